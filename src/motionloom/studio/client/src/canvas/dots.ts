// Where points are at the playhead.

import type { XY } from "../motion/document";
import type { Traced } from "../motion/evaluate";
import { editor, tracedFrames } from "../store/react";
import type { Dots } from "./pick";

/** Point `n` at a frame; fractions lie on the way to the next one. */
export function placeAt({ points, count, frames }: Traced, n: number, frame: number): XY {
  const here = Math.min(Math.max(Math.floor(frame), 0), frames - 1);
  const there = Math.min(here + 1, frames - 1);
  const share = Math.min(Math.max(frame - here, 0), 1);
  const [a, b] = [2 * (here * count + n), 2 * (there * count + n)];
  const [x, y] = [points[a] as number, points[a + 1] as number];
  return [x + share * ((points[b] as number) - x), y + share * ((points[b + 1] as number) - y)];
}

export function isVisibleAt({ visible, count, frames }: Traced, n: number, frame: number): boolean {
  return visible[Math.min(Math.max(Math.floor(frame), 0), frames - 1) * count + n] === 1;
}

/** For picking what has no lines: the grids of the camera and of what is pinned. */
export function dotsNow(): readonly Dots[] {
  const { draft, motion, playhead } = editor.getState();
  return tracedFrames(draft ?? motion)
    .filter(({ instruction: each }) => each.kind === "camera" || (each.kind === "static" && each.grid))
    .map((traced) => {
      const points = new Float64Array(traced.count * 2);
      for (let n = 0; n < traced.count; n += 1) points.set(placeAt(traced, n, playhead), 2 * n);
      return { id: traced.id, points };
    });
}
