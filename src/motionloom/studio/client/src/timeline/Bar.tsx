import { type KeyboardEvent, memo, useMemo } from "react";
import type { Instruction } from "../motion/document";
import { displayName } from "../motion/names";
import { routeOf } from "../motion/points";
import { spanOf } from "../motion/timing";
import { editor } from "../store/react";
import { Icon } from "../ui";
import { type Change, labelOf, makeChange, showChange, snapped } from "./actions";
import { useDrag } from "./drag";
import { Moments } from "./Moments";
import { Sparkline } from "./Sparkline";
import { frameText, type Scale, toX } from "./scale";
import type { SpeedLimit, Speeds } from "./speeds";
import { type Moment, momentsOf, shifted, withEnd, withStart } from "./timing";

export interface BarProps {
  instruction: Instruction;
  scale: Scale;
  selected: boolean;
  locked: boolean;
  /** Shown along the bar. */
  speeds: Speeds | null;
  limit: SpeedLimit | null;
}

/** When an instruction moves: a bar to shift, two ends to drag, what happens outside of them, its moments. */
export const Bar = memo(function Bar({ instruction, scale, selected, locked, speeds, limit }: BarProps) {
  const { lastFrame } = scale;
  const { start, end } = spanOf(instruction, lastFrame);
  const moments = useMemo(() => {
    const count = routeOf(instruction)?.points.length ?? 0;
    // The ends of a route without times of their own are the ends of the bar.
    const isEnd = ({ field, index, fixed }: Moment) =>
      field === "points" && !fixed && (index === 0 || index === count - 1);
    return momentsOf(instruction, lastFrame).filter((moment) => !isEnd(moment));
  }, [instruction, lastFrame]);
  const { id } = instruction;
  const name = displayName(instruction);
  const left = toX(scale, Math.min(start, lastFrame));
  const right = toX(scale, Math.min(end, lastFrame));

  const drag = useDrag({
    begin: (event) => {
      select(id, event.shiftKey || event.metaKey || event.ctrlKey);
      return !locked;
    },
    move: (dx, _, event) => {
      const by = snapped(start + dx / scale.perFrame, event.shiftKey) - start;
      showChange(dragged(id), (each, last) => shifted(each, by, last));
    },
    drop: () => editor.getState().commit(labelOf(dragged(id), "Move % in time")),
    cancel: () => editor.getState().cancel(),
  });

  return (
    <>
      <Outside side="before" instruction={instruction} from={scale.pad} to={left} show={start > 0} />
      <Outside
        side="after"
        instruction={instruction}
        from={right}
        to={toX(scale, lastFrame)}
        show={end < lastFrame}
      />
      <div
        className="tl-bar"
        data-selected={selected || undefined}
        data-locked={locked || undefined}
        data-hidden={instruction.hidden || undefined}
        data-beyond={end > lastFrame || undefined}
        title={`${name}: frame ${frameText(start)} to ${frameText(end)}`}
        style={
          { left, width: Math.max(right - left, 2), "--row-color": instruction.color } as React.CSSProperties
        }
        {...drag}
      >
        {speeds && (
          <Sparkline
            speeds={speeds}
            limit={limit}
            from={start}
            to={Math.min(end, lastFrame)}
            perFrame={scale.perFrame}
            text={speedPlace(
              left,
              right,
              toX(scale, lastFrame),
              moments.map(({ frame }) => toX(scale, frame)),
            )}
          />
        )}
      </div>
      <Moments
        moments={moments}
        instruction={instruction}
        scale={scale}
        focusable={selected}
        locked={locked}
      />
      <End side="start" {...{ instruction, name, scale, locked, selected }} frame={start} other={end} />
      <End side="end" {...{ instruction, name, scale, locked, selected }} frame={end} other={start} />
    </>
  );
});

/** Screen pixels that a speed takes, written beside a bar or on its end. */
const ROOM_FOR_SPEED = 96;

/** Where a bar's largest speed is written: beside it if there is room before the last frame, else on its end. */
export function speedPlace(
  left: number,
  right: number,
  last: number,
  diamonds: readonly number[],
): "inside" | "beside" | null {
  if (last - right >= ROOM_FOR_SPEED) return "beside";
  const taken = diamonds.some((x) => x > right - ROOM_FOR_SPEED && x < right - 8);
  return right - left >= ROOM_FOR_SPEED + 24 && !taken ? "inside" : null;
}

/** What is dragged together with an instruction: the selection it belongs to. */
function dragged(id: string): readonly string[] {
  const { selection } = editor.getState();
  return selection.includes(id) ? selection : [id];
}

export function select(id: string, more: boolean): void {
  const { selection, select } = editor.getState();
  if (more) select([id], "toggle");
  else if (!selection.includes(id)) select([id]);
}

interface EndProps {
  side: "start" | "end";
  instruction: Instruction;
  name: string;
  scale: Scale;
  frame: number;
  other: number;
  locked: boolean;
  selected: boolean;
}

function End({ side, instruction, name, scale, frame, other, locked, selected }: EndProps) {
  const { id } = instruction;
  const { lastFrame } = scale;
  const shown = Math.min(frame, lastFrame);
  const to = (next: number, keep: boolean): Change => {
    const inner = keep ? "keep" : "stretch";
    return (each, last) =>
      side === "start" ? withStart(each, next, last, inner) : withEnd(each, next, last, inner);
  };
  const verb = side === "start" ? "Change start of %" : "Change end of %";
  const drag = useDrag({
    begin: () => {
      select(id, false);
      return !locked;
    },
    move: (dx, _, event) => {
      showChange([id], to(snapped(shown + dx / scale.perFrame, event.shiftKey), event.altKey));
    },
    drop: () => editor.getState().commit(labelOf([id], verb)),
    cancel: () => editor.getState().cancel(),
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.shiftKey ? 0.1 : 1;
    const next = {
      ArrowLeft: shown - by,
      ArrowDown: shown - by,
      ArrowRight: shown + by,
      ArrowUp: shown + by,
      PageDown: shown - 10,
      PageUp: shown + 10,
      Home: side === "start" ? 0 : other,
      End: side === "start" ? other : lastFrame,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    makeChange([id], verb, to(Math.round(next * 100) / 100, event.altKey), `${side} by key`);
  };
  return (
    <div
      className="tl-end"
      data-side={side}
      role="slider"
      tabIndex={selected ? 0 : -1}
      aria-label={`${name} ${side}`}
      aria-valuemin={side === "start" ? 0 : other}
      aria-valuemax={side === "start" ? other : Math.max(lastFrame, frame)}
      aria-valuenow={frame}
      aria-valuetext={`frame ${frameText(frame)}`}
      aria-disabled={locked || undefined}
      title={`${side === "start" ? "Begins" : "Done"} at frame ${frameText(frame)} (Alt: points keep their times)`}
      style={{ left: toX(scale, shown) }}
      onKeyDown={onKeyDown}
      {...drag}
    />
  );
}

interface OutsideProps {
  side: "before" | "after";
  instruction: Instruction;
  from: number;
  to: number;
  show: boolean;
}

/** Before the start or after the end: a line where points stay, none where they vanish; a button that switches. */
function Outside({ side, instruction, from, to, show }: OutsideProps) {
  if (!show) return null;
  const vanishes = instruction[side] === "vanish";
  const when = side === "before" ? "before its start" : "after its end";
  const width = to - from;
  return (
    <button
      type="button"
      className="tl-outside"
      data-side={side}
      data-vanishes={vanishes || undefined}
      tabIndex={-1}
      aria-pressed={vanishes}
      aria-label={`Vanish ${when}: ${displayName(instruction)}`}
      title={
        vanishes
          ? `Not there ${when}. Click: stays in place.`
          : `Stays in place ${when}. Click: is not there.`
      }
      style={{ left: from, width }}
      onClick={() => editor.getState().setTiming(instruction.id, { [side]: vanishes ? "hold" : "vanish" })}
    >
      {width > 26 && <Icon name={vanishes ? "eye-off" : "eye"} size={13} />}
    </button>
  );
}
