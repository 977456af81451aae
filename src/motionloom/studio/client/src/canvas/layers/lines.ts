// Lines as SVG path data and along them: ticks for frames, the direction at the end.

import type { XY } from "../../motion/document";
import type { Traced } from "../../motion/evaluate";
import { loopsOf } from "../../motion/geometry";

/** x, y, x, y, ... as one line. */
export function lineData(values: ArrayLike<number>, closed = false): string {
  if (values.length < 2) return "";
  let data = `M${short(values[0])} ${short(values[1])}`;
  for (let k = 2; k < values.length; k += 2) data += `L${short(values[k])} ${short(values[k + 1])}`;
  return closed ? `${data}Z` : data;
}

/** A closed outline; of one that was joined from several its loops alone. */
export function polygonData(corners: readonly XY[]): string {
  const loops = corners.length > 4 ? loopsOf(corners) : [corners];
  return (loops.length > 0 ? loops : [corners]).map((loop) => lineData(loop.flat(), true)).join("");
}

/** Places as dots: lines of no length, whose round ends have the width of the stroke on the screen. */
export function dotsData(places: readonly XY[]): string {
  return places.map(([x, y]) => `M${short(x)} ${short(y)}h0.001`).join("");
}

/** An arrow head with its tip just beyond `at`, pointing along `degrees`; `unit`: canvas pixels of a screen pixel. */
export function arrowData([x, y]: XY, degrees: number, unit: number, small = false): string {
  const [cos, sin] = [Math.cos((degrees * Math.PI) / 180), Math.sin((degrees * Math.PI) / 180)];
  const corners = (small ? SMALL_ARROW : ARROW).map(
    ([ahead, aside]): XY => [x + (ahead * cos - aside * sin) * unit, y + (ahead * sin + aside * cos) * unit],
  );
  return lineData(corners.flat(), true);
}

const ARROW: readonly XY[] = [
  [6, 0],
  [-6, -5.5],
  [-3.5, 0],
  [-6, 5.5],
];
const SMALL_ARROW: readonly XY[] = [
  [3, 0],
  [-4, -3.5],
  [-4, 3.5],
];

function short(value: number | undefined): string {
  return String(Math.round((value ?? 0) * 100) / 100);
}

/** The way of point `n`: x, y at every moment. */
export function wayOf(traced: Traced, n = 0): Float64Array {
  const way = new Float64Array(traced.frames * 2);
  for (let t = 0; t < traced.frames; t += 1) {
    way[2 * t] = traced.points[2 * (t * traced.count + n)] as number;
    way[2 * t + 1] = traced.points[2 * (t * traced.count + n) + 1] as number;
  }
  return way;
}

/** The part of a way where a point is visible, and the rest; neighbouring parts meet. Path data of each. */
export function splitByVisible(traced: Traced, n = 0): { seen: string; unseen: string } {
  const way = wayOf(traced, n);
  let [seen, unseen] = ["", ""];
  let from = 0;
  const isSeen = (t: number) => traced.visible[t * traced.count + n] === 1;
  for (let t = 1; t <= traced.frames; t += 1) {
    if (t < traced.frames && isSeen(t) === isSeen(from)) continue;
    const part = lineData(way.subarray(2 * from, 2 * Math.min(t + 1, traced.frames)));
    if (isSeen(from)) seen += part;
    else unseen += part;
    from = t;
  }
  return { seen, unseen };
}

export function allVisible(traced: Traced): boolean {
  return !traced.visible.includes(0);
}

const STEPS = [1, 2, 4, 5, 8, 10, 16, 20, 24, 40, 48, 80, 120, 240, 480, 1000];

/** Frames to number along a way so that neighbours lie at least `gap` canvas pixels apart, without first and last. */
export function ticks(way: Float64Array, gap: number): number[] {
  const last = way.length / 2 - 1;
  let length = 0;
  for (let t = 1; t <= last; t += 1) length += step(way, t - 1, t);
  if (length < gap) return [];
  const every = STEPS.find((each) => (length / last) * each >= gap) ?? last + 1;
  const found: number[] = [];
  let before = 0;
  for (let t = every; t < last; t += every) {
    // Where the pace changes, some would still lie on top of each other.
    if (step(way, before, t) < gap * 0.75 || step(way, t, last) < gap * 0.75) continue;
    found.push(t);
    before = t;
  }
  return found;
}

function step(way: Float64Array, a: number, b: number): number {
  return Math.hypot(
    (way[2 * b] as number) - (way[2 * a] as number),
    (way[2 * b + 1] as number) - (way[2 * a + 1] as number),
  );
}

/** Degrees in which a line ends, looking back over `over` pixels; null for one that goes nowhere. */
export function endDirection(values: ArrayLike<number>, over: number): number | null {
  const last = values.length - 2;
  const [x, y] = [values[last] as number, values[last + 1] as number];
  for (let k = last - 2; k >= 0; k -= 2) {
    const [dx, dy] = [x - (values[k] as number), y - (values[k + 1] as number)];
    const away = Math.hypot(dx, dy);
    if (away >= over || (k === 0 && away > 1e-3)) return (Math.atan2(dy, dx) * 180) / Math.PI;
  }
  return null;
}
