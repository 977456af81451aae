// Many points: trails of what moves as one, and the dots at the playhead. On two canvases, so that playing draws the
// dots alone.

import { memo, useEffect, useRef } from "react";
import type { Traced } from "../../motion/evaluate";
import { editor, tracedFrames, useEditor } from "../../store/react";
import { isVisibleAt, placeAt } from "../dots";
import { prepared, useDrawing, useView } from "./useView";

/** With more dots than this in sight, each is drawn smaller and without an edge. */
const MANY = 300;
const EDGE = "rgba(0, 0, 0, 0.65)";
const NO_COLOR = "#46cdb9";

export const DenseLayer = memo(function DenseLayer() {
  return (
    <>
      <Trails />
      <DotsAtPlayhead />
    </>
  );
});

function Trails() {
  const element = useRef<HTMLCanvasElement>(null);
  const draw = useDrawing(() => drawTrails(element.current));
  useView(draw);
  useEffect(() => {
    let shown: readonly Traced[] = [];
    let selection: readonly string[] = [];
    let paths = true;
    return editor.subscribe(({ draft, motion, overlay, selection: selected }) => {
      const now = tracedFrames(draft ?? motion).filter(hasTrails);
      const same = now.length === shown.length && now.every((traced, k) => traced === shown[k]);
      if (same && selected === selection && overlay.paths === paths) return;
      [shown, selection, paths] = [now, selected, overlay.paths];
      draw();
    });
  }, [draw]);
  return <canvas ref={element} className="stage-layer" />;
}

function DotsAtPlayhead() {
  const element = useRef<HTMLCanvasElement>(null);
  const draw = useDrawing(() => drawDots(element.current));
  useView(draw);
  useEffect(() => {
    let shown: readonly Traced[] = [];
    return editor.subscribe((now, before) => {
      const moved = now.playhead !== before.playhead || now.overlay !== before.overlay;
      if (!moved && now.motion === before.motion && now.draft === before.draft) return;
      const all = tracedFrames(now.draft ?? now.motion);
      const same =
        all.length === shown.length && all.every((each, k) => looksAs(each, shown[k], now.playhead));
      shown = all;
      if (moved || !same) draw();
    });
  }, [draw]);
  const show = useEditor((state) => state.overlay.points);
  useEffect(() => {
    if (show) draw();
  }, [show, draw]);
  return <canvas ref={element} className="stage-layer" />;
}

/** Whether the dots of two traces lie at the same places at the playhead: most edits of a path leave its start alone. */
function looksAs(now: Traced, before: Traced | undefined, playhead: number): boolean {
  if (now === before) return true;
  if (!before || now.count !== before.count || now.instruction.color !== before.instruction.color)
    return false;
  if (now.count > MANY || now.frames !== before.frames) return false;
  for (let n = 0; n < now.count; n += 1) {
    const [[x, y], [oldX, oldY]] = [placeAt(now, n, playhead), placeAt(before, n, playhead)];
    if (x !== oldX || y !== oldY || isVisibleAt(now, n, playhead) !== isVisibleAt(before, n, playhead))
      return false;
  }
  return true;
}

/** Paths are drawn as lines of their own; points that stand still have no trail. */
function hasTrails(traced: Traced): boolean {
  return traced.kind !== "path" && traced.kind !== "static" && traced.kind !== "circle" && traced.count > 0;
}

const trails = new WeakMap<Traced, Path2D>();

function trailsOf(traced: Traced): Path2D {
  const known = trails.get(traced);
  if (known) return known;
  const path = new Path2D();
  const { points, visible, count, frames } = traced;
  // Long clips of many points: every so many frames are enough to see the way.
  const every = Math.max(1, Math.ceil((count * frames) / 40_000));
  for (let n = 0; n < count; n += 1) {
    let down = false;
    for (let t = 0; t < frames; t = t < frames - 1 ? Math.min(t + every, frames - 1) : frames) {
      const k = t * count + n;
      if (!visible[k]) {
        down = false;
        continue;
      }
      const [x, y] = [points[2 * k] as number, points[2 * k + 1] as number];
      if (down) path.lineTo(x, y);
      else path.moveTo(x, y);
      down = true;
    }
  }
  trails.set(traced, path);
  return path;
}

function drawTrails(element: HTMLCanvasElement | null): void {
  const ready = prepared(element);
  const { draft, motion, overlay, selection } = editor.getState();
  if (!ready || !overlay.paths) return;
  const { context, view } = ready;
  context.lineJoin = "round";
  for (const traced of tracedFrames(draft ?? motion)) {
    if (!hasTrails(traced)) continue;
    const path = trailsOf(traced);
    const strong = selection.includes(traced.id);
    context.globalAlpha = strong ? 0.5 : 0.3;
    if (traced.count <= MANY) {
      context.strokeStyle = "#000";
      context.lineWidth = 2.5 / view.scale;
      context.stroke(path);
    }
    context.globalAlpha = strong ? 0.95 : 0.65;
    context.strokeStyle = traced.instruction.color ?? NO_COLOR;
    context.lineWidth = 1.2 / view.scale;
    context.stroke(path);
  }
  context.globalAlpha = 1;
}

function drawDots(element: HTMLCanvasElement | null): void {
  const ready = prepared(element);
  const { draft, motion, overlay, playhead } = editor.getState();
  if (!ready || !overlay.points) return;
  const { context, view } = ready;
  const all = tracedFrames(draft ?? motion);
  const total = all.reduce((sum, { count }) => sum + count, 0);
  const size = (total > MANY ? 2.2 : 3.6) / view.scale;
  const edge = 1.25 / view.scale;
  for (const traced of all) {
    const seen = new Path2D();
    const edges = new Path2D();
    const hidden = new Path2D();
    const still = traced.kind === "static";
    for (let n = 0; n < traced.count; n += 1) {
      const [x, y] = placeAt(traced, n, playhead);
      if (!isVisibleAt(traced, n, playhead)) addRing(hidden, x, y, size);
      else if (total > MANY)
        seen.rect(x - size / 2 - edge / 2, y - size / 2 - edge / 2, size + edge, size + edge);
      else if (still) addDiamond(seen, edges, x, y, size, edge);
      else {
        addRing(seen, x, y, size);
        addRing(edges, x, y, size + edge);
      }
    }
    context.fillStyle = EDGE;
    context.fill(edges);
    context.fillStyle = traced.instruction.color ?? NO_COLOR;
    context.fill(seen);
    context.globalAlpha = 0.6;
    context.lineWidth = 1 / view.scale;
    context.strokeStyle = traced.instruction.color ?? NO_COLOR;
    context.stroke(hidden);
    context.globalAlpha = 1;
  }
}

function addRing(path: Path2D, x: number, y: number, radius: number): void {
  path.moveTo(x + radius, y);
  path.arc(x, y, radius, 0, 2 * Math.PI);
}

/** A small square standing on its tip: a point that is pinned. */
function addDiamond(seen: Path2D, edges: Path2D, x: number, y: number, size: number, edge: number): void {
  for (const [path, reach] of [
    [seen, size * 1.15],
    [edges, size * 1.15 + edge * 1.5],
  ] as const) {
    path.moveTo(x, y - reach);
    path.lineTo(x + reach, y);
    path.lineTo(x, y + reach);
    path.lineTo(x - reach, y);
    path.closePath();
  }
}
