// How a value gets from one key to the next, as motionloom/tracks/easing.py has it.

import type { Easing, EasingName } from "./document";

/** The control points behind the CSS keywords. */
export const NAMED: Readonly<
  Record<Exclude<EasingName, "linear" | "hold">, readonly [number, number, number, number]>
> = {
  "ease-in": [0.42, 0, 1, 1],
  "ease-out": [0, 0, 0.58, 1],
  "ease-in-out": [0.42, 0, 0.58, 1],
};

/** Frames that lie closer together have no time in between. */
const SAME_MOMENT = 1e-9;

/** Eased progress of a linear progress (clamped to 0..1): starts at 0, ends at 1, may overshoot in between. */
export function ease(progress: number, easing: Easing): number {
  const x = Math.min(Math.max(progress, 0), 1);
  if (easing === "linear") return x;
  if (easing === "hold") return x >= 1 ? 1 : 0;
  if (x <= 0 || x >= 1) return x;
  const [x1, y1, x2, y2] = typeof easing === "string" ? NAMED[easing] : easing;
  let low = 0;
  let high = 1;
  // x grows with the curve parameter, so bisection always converges, also where the slope vanishes.
  for (let step = 0; step < 50; step += 1) {
    const middle = (low + high) / 2;
    if (bezier(middle, x1, x2) < x) low = middle;
    else high = middle;
  }
  return bezier((low + high) / 2, y1, y2);
}

function bezier(s: number, first: number, second: number): number {
  const rest = 1 - s;
  return 3 * rest * rest * s * first + 3 * rest * s * s * second + s * s * s;
}

/** Linear progress of a time from `start` (0) to `end` (1), clamped; a jump where both are equal. */
export function progress(time: number, start: number, end: number): number {
  if (end - start < SAME_MOMENT) return time >= start ? 1 : 0;
  return Math.min(Math.max((time - start) / (end - start), 0), 1);
}

/**
 * The value at `time` of keys with increasing `frames`; the first and last value hold outside. `easing(k)` shapes the
 * way from key k to the next.
 */
export function keyframed(
  time: number,
  frames: readonly number[],
  values: readonly number[],
  easing: (k: number) => Easing,
): number {
  let low = 0;
  let high = frames.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((frames[middle] as number) <= time) low = middle + 1;
    else high = middle;
  }
  const here = Math.min(Math.max(low - 1, 0), frames.length - 1);
  const there = Math.min(here + 1, frames.length - 1);
  const span = (frames[there] as number) - (frames[here] as number);
  const share = (time - (frames[here] as number)) / (span > SAME_MOMENT ? span : 1);
  const from = values[here] as number;
  return from + ((values[there] as number) - from) * ease(share, easing(here));
}
