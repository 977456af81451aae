// Reading traces: where a point is at some moment, and how fast it goes.

import type { Traced } from "./scene";

/** Point `n` at `frame`, a fraction lying between two moments; `visible` as at the moment before it. */
export function pointAt(
  traced: Traced,
  n: number,
  frame: number,
): { x: number; y: number; visible: boolean } {
  const { points, count, frames, visible } = traced;
  const here = Math.min(Math.max(Math.floor(frame), 0), frames - 1);
  const there = Math.min(here + 1, frames - 1);
  const share = Math.min(Math.max(frame - here, 0), 1);
  const a = 2 * (here * count + n);
  const b = 2 * (there * count + n);
  const x = points[a] as number;
  const y = points[a + 1] as number;
  return {
    x: x + share * ((points[b] as number) - x),
    y: y + share * ((points[b + 1] as number) - y),
    visible: visible[here * count + n] === 1,
  };
}

/**
 * How far an instruction's fastest visible point goes from each frame to the next, in pixels per frame: one number for
 * each frame, that of the last is 0.
 */
export function speedOf(traced: Traced): Float64Array {
  const { points, count, frames, visible } = traced;
  const speeds = new Float64Array(frames);
  for (let t = 0; t + 1 < frames; t += 1)
    for (let n = 0; n < count; n += 1) {
      const a = t * count + n;
      const b = a + count;
      if (!visible[a] || !visible[b]) continue;
      const dx = (points[2 * b] as number) - (points[2 * a] as number);
      const dy = (points[2 * b + 1] as number) - (points[2 * a + 1] as number);
      speeds[t] = Math.max(speeds[t] as number, Math.hypot(dx, dy));
    }
  return speeds;
}
