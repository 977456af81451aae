// Between the control points of a path: take hold there and a new point comes along.

import { at, flatten } from "../../motion/curve";
import type { Instruction, XY } from "../../motion/document";
import { withPointInserted } from "../../motion/edits";
import { routeOf, withControlPoints } from "../../motion/points";
import type { Handle } from "./handle";
import { movedPoint } from "./route";

/** Screen pixels between two points that leave room for one between them. */
const ROOM = 56;

export function insertHandles(instruction: Instruction, scale: number): Handle[] {
  const route = routeOf(instruction);
  if (!route || route.points.length < 2) return [];
  const curve = flatten(route.points, route.curve);
  const handles: Handle[] = [];
  for (let k = 0; k + 1 < route.points.length; k += 1) {
    const [from, to] = [curve.knots[k] as number, curve.knots[k + 1] as number];
    if ((to - from) * scale < ROOM) continue;
    const middle = at(curve, (from + to) / 2);
    handles.push({
      key: `insert-${k}`,
      label: `new point after point ${k + 1}`,
      at: middle,
      look: "plus",
      inserts: true,
      drag: (place, how) => inserted(instruction, middle, place, how.shift),
    });
  }
  return handles;
}

function inserted(instruction: Instruction, on: XY, to: XY, shift: boolean): Instruction {
  const { instruction: longer, index } = withPointInserted(instruction, on);
  const route = routeOf(longer);
  if (!route) return longer;
  const { points } = movedPoint(route, index, to, { shift, alt: false, soft: 0 });
  return withControlPoints(longer, points) ?? longer;
}

/** Index of the control point a handle made by `insertHandles` puts in. */
export function insertedIndex(handle: Handle): number {
  return Number(handle.key.slice("insert-".length)) + 1;
}
