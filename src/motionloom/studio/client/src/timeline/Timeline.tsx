import "./Timeline.css";
import {
  memo,
  type PointerEvent,
  useCallback,
  useEffect,
  useMemo,
  useRef,
  useState,
  type WheelEvent,
} from "react";
import type { Motion } from "../motion/document";
import { DRAWN_ID } from "../motion/names";
import { startPlayback } from "../store/playback";
import { startPreviews } from "../store/preview";
import { editor, useEditor } from "../store/react";
import { startReceived } from "../store/received";
import { useShortcuts } from "../ui";
import { Bar } from "./Bar";
import { LaneHeader, LaneTrack } from "./LaneRow";
import { RULER, useFollowPlayhead, useShowSelected, useSizes, useZoom } from "./looking";
import { PlayheadHandle, PlayheadLine } from "./Playhead";
import { PLAYBACK_SHORTCUTS } from "./playing";
import { RowHeader } from "./RowHeader";
import { Ruler } from "./Ruler";
import { type TimelineRow, timelineRows } from "./rows";
import { maxZoom, type Scale, toFrame, widthOf, zoomedScale } from "./scale";
import { TimelineBar } from "./TimelineBar";
import { useBox } from "./useBox";
import { useSpeedLimit, useSpeeds } from "./useSpeeds";

/** Rows rendered beyond what is in sight, so that scrolling shows no gaps. */
const SPARE = 4;

/** The time of everything: a ruler with the playhead, and a row for each instruction. Also keeps the clock going. */
export function Timeline() {
  useEffect(() => {
    const ends = [startPlayback(editor), startPreviews(), startReceived()];
    return () => {
      for (const end of ends) end();
    };
  }, []);
  useShortcuts(PLAYBACK_SHORTCUTS);

  const scroller = useRef<HTMLDivElement>(null);
  const box = useBox(scroller);
  const { header, row: rowHeight } = useSizes(box.width);
  const [zoom, setZoom] = useState(1);
  const [top, setTop] = useState(0);
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());

  const motion = useEditor((state) => state.draft ?? state.motion);
  const lastFrame = motion.num_frames - 1;
  const room = Math.max(60, box.width - header);
  const scale = useMemo(() => zoomedScale(lastFrame, room, zoom), [lastFrame, room, zoom]);
  const rows = useMemo(() => {
    const finished = motion.instructions.filter(({ id }) => id !== DRAWN_ID);
    return timelineRows(finished, open);
  }, [motion.instructions, open]);

  const zoomTo = useZoom(scroller, header, scale, zoom, room, setZoom);
  const latestZoom = useRef(zoomTo);
  latestZoom.current = zoomTo;
  const onZoom = useCallback((next: number) => latestZoom.current(next, null), []);
  useFollowPlayhead(scroller, header, scale);
  useShowSelected(scroller, rows, rowHeight);

  const first = Math.max(0, Math.floor(top / rowHeight) - SPARE);
  const count = Math.ceil(Math.max(0, box.height - RULER) / rowHeight) + 2 * SPARE;
  const shown = rows.slice(first, first + count);
  const toggle = useCallback((id: string) => setOpen((old) => toggled(old, id)), []);

  return (
    <section className="tl" aria-label="Timeline">
      <TimelineBar zoom={zoom} maxZoom={maxZoom(lastFrame, room)} onZoom={onZoom} />
      <div
        ref={scroller}
        className="tl-scroll"
        data-zoomed={zoom > 1 || undefined}
        style={
          {
            "--tl-header": `${header}px`,
            "--tl-row": `${rowHeight}px`,
            "--tl-ruler": `${RULER}px`,
          } as React.CSSProperties
        }
        onScroll={(event) => setTop(event.currentTarget.scrollTop)}
        onWheel={(event: WheelEvent) => {
          if (event.ctrlKey || event.metaKey) zoomTo(zoom * Math.exp(-event.deltaY / 300), event.clientX);
        }}
      >
        <div
          className="tl-content"
          style={{ width: header + widthOf(scale), height: RULER + rows.length * rowHeight }}
        >
          <div className="tl-ruler-row">
            <div className="tl-corner" />
            <Scrubber scale={scale} fps={motion.fps} />
          </div>
          <Rows {...{ motion, rows, shown, first, scale, rowHeight, open, toggle }} />
          <PlayheadLine scale={scale} />
        </div>
        {rows.length === 0 && (
          <p className="tl-empty">
            Nothing moves yet. Pick “Free path” and draw on the picture: its time appears here.
          </p>
        )}
      </div>
    </section>
  );
}

// --------------------------------------------------------------------------------------------------------------- rows
interface RowsProps {
  motion: Motion;
  rows: readonly TimelineRow[];
  shown: readonly TimelineRow[];
  first: number;
  scale: Scale;
  rowHeight: number;
  open: ReadonlySet<string>;
  toggle(id: string): void;
}

function Rows({ motion, rows, shown, first, scale, rowHeight, open, toggle }: RowsProps) {
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const speeds = useSpeeds(motion);
  const limit = useSpeedLimit();
  const list = useRef<HTMLDivElement>(null);
  const [moving, setMoving] = useState<{ id: string; place: number } | null>(null);
  const latest = useRef({ rows, rowHeight, moving });
  latest.current = { rows, rowHeight, moving };

  const reorder = useCallback((id: string, dy: number | null, drop: boolean) => {
    const { rows, rowHeight, moving } = latest.current;
    if (drop && moving) editor.getState().reorder(id, instructionsOf(rows).length - 1 - moving.place);
    setMoving(dy === null || drop ? null : { id, place: placeAfter(rows, id, dy / rowHeight) });
  }, []);
  const stepTo = useCallback((id: string, by: -1 | 1) => {
    const order = instructionsOf(latest.current.rows);
    const next = order[order.indexOf(id) + by];
    if (next === undefined) return;
    editor.getState().select([next]);
    // It may have to be scrolled into sight first.
    requestAnimationFrame(() => list.current?.querySelector<HTMLElement>(`[data-row="${next}"]`)?.focus());
  }, []);

  const reachable = selection[0] ?? instructionsOf(rows)[0];
  return (
    <div ref={list} className="tl-rows">
      {shown.map((row, index) => {
        const { instruction } = row;
        const common = { instruction, locked: locked.has(instruction.id) };
        const selected = selection.includes(instruction.id);
        return (
          <div
            key={row.key}
            className="tl-row"
            data-selected={selected || undefined}
            data-moving={moving?.id === instruction.id || undefined}
            style={{ top: (first + index) * rowHeight }}
          >
            {row.kind === "instruction" ? (
              <>
                <RowHeader
                  {...common}
                  selected={selected}
                  open={row.expandable ? open.has(instruction.id) : null}
                  focusable={instruction.id === reachable}
                  onToggle={toggle}
                  onReorder={reorder}
                  onStep={stepTo}
                />
                <div className="tl-track">
                  <Bar
                    {...common}
                    scale={scale}
                    selected={selected}
                    speeds={selected ? (speeds.get(instruction.id) ?? null) : null}
                    limit={limit}
                  />
                </div>
              </>
            ) : (
              <>
                <LaneHeader {...common} lane={row.lane} />
                <div className="tl-track">
                  <LaneTrack {...common} lane={row.lane} scale={scale} />
                </div>
              </>
            )}
          </div>
        );
      })}
      {moving && <div className="tl-drop" style={{ top: dropLine(rows, moving) * rowHeight }} />}
    </div>
  );
}

/** Ids from front to back. */
function instructionsOf(rows: readonly TimelineRow[]): readonly string[] {
  return rows.flatMap((row) => (row.kind === "instruction" ? [row.instruction.id] : []));
}

/** The place from the front that an instruction gets when its row is dragged by `by` rows. */
function placeAfter(rows: readonly TimelineRow[], id: string, by: number): number {
  const from = rows.findIndex((row) => row.kind === "instruction" && row.instruction.id === id);
  const target = from + by;
  let place = 0;
  rows.forEach((row, index) => {
    if (row.kind === "instruction" && row.instruction.id !== id && index < target) place += 1;
  });
  return place;
}

/** In which row's top edge the line is drawn that shows where a dragged one goes. */
function dropLine(rows: readonly TimelineRow[], { id, place }: { id: string; place: number }): number {
  const others = rows.flatMap((row, index) =>
    row.kind === "instruction" && row.instruction.id !== id ? [index] : [],
  );
  return others[place] ?? rows.length;
}

function toggled(set: ReadonlySet<string>, id: string): ReadonlySet<string> {
  const next = new Set(set);
  if (!next.delete(id)) next.add(id);
  return next;
}

// ----------------------------------------------------------------------------------------------------------- scrubbing
const Scrubber = memo(function Scrubber({ scale, fps }: { scale: Scale; fps: number }) {
  const track = useRef<HTMLDivElement>(null);
  const go = (event: PointerEvent) => {
    const left = track.current?.getBoundingClientRect().left ?? 0;
    const frame = toFrame(scale, event.clientX - left);
    const whole = event.shiftKey ? frame : Math.round(frame);
    editor.getState().setPlayhead(Math.min(Math.max(whole, 0), scale.lastFrame));
  };
  return (
    // The slider "Frame" in it is the one for the keyboard.
    <div
      ref={track}
      className="tl-scrub"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture?.(event.pointerId);
        editor.getState().setPlaying(false);
        go(event);
      }}
      onPointerMove={(event) => {
        if (event.buttons & 1) go(event);
      }}
    >
      <Ruler scale={scale} fps={fps} />
      <PlayheadHandle scale={scale} />
    </div>
  );
});
