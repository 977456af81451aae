// What a dragged frame takes in.

import type { Motion, XY } from "../../motion/document";
import { placesOf } from "../places";

/** Ids of what has a place inside the frame; the camera, whose frame is everywhere, is picked by itself. */
export function surrounded(motion: Motion, locked: ReadonlySet<string>, from: XY, to: XY): string[] {
  const within = isWithin(from, to);
  return motion.instructions
    .filter((each) => !each.hidden && !locked.has(each.id) && each.kind !== "camera")
    .filter((each) => placesOf(each, motion.canvas).some(within))
    .map(({ id }) => id);
}

export function isWithin(from: XY, to: XY): (at: XY) => boolean {
  const [left, right] = [Math.min(from[0], to[0]), Math.max(from[0], to[0])];
  const [top, bottom] = [Math.min(from[1], to[1]), Math.max(from[1], to[1])];
  return ([x, y]) => x >= left && x <= right && y >= top && y <= bottom;
}
