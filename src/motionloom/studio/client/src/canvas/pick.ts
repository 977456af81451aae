// What lies under the pointer: lines before areas, areas before loose dots; in front before behind.

import type { Area, Instruction, Motion, Rectangle, XY } from "../motion/document";
import { distanceToSegment } from "../motion/geometry";
import { nearest } from "../motion/nearest";
import { routeOf } from "../motion/points";
import { cameraFrame } from "./handles/camera";
import { areaShape } from "./handles/outline";
import { boxEnd } from "./handles/shapes";
import { endValue } from "./handles/values";

/** Where an instruction's points are at the playhead: x, y of each. */
export interface Dots {
  readonly id: string;
  readonly points: Float64Array;
}

/** The id of the instruction at a place, within `reach` canvas pixels of its lines and points. */
export function pick(
  motion: Motion,
  dots: readonly Dots[],
  at: XY,
  reach: number,
  locked: ReadonlySet<string>,
): string | undefined {
  const there = motion.instructions.filter((each) => !each.hidden && !locked.has(each.id)).reverse();
  let best: string | undefined;
  let least = reach;
  for (const each of there) {
    const distance = distanceToLines(each, at, motion.canvas);
    if (distance < least || (distance === least && best === undefined)) [best, least] = [each.id, distance];
  }
  if (best !== undefined) return best;
  const area = there.find((each) => isInside(each, at, motion.canvas));
  if (area) return area.id;
  for (const each of there) {
    const found = dots.find(({ id }) => id === each.id);
    if (found && distanceToDots(found.points, at) <= reach) return each.id;
  }
  return undefined;
}

/** To what is drawn as a line or as a single point. */
export function distanceToLines(instruction: Instruction, at: XY, canvas: Motion["canvas"]): number {
  const route = routeOf(instruction);
  const distances: number[] = route ? [nearest(route, at).distance] : [];
  switch (instruction.kind) {
    case "circle": {
      const fromCenter = apart(instruction.center, at);
      distances.push(fromCenter, Math.abs(fromCenter - instruction.radius));
      distances.push(Math.abs(fromCenter - endValue(instruction.radius_curve)));
      break;
    }
    case "static":
      distances.push(...instruction.points.map((point) => apart(point, at)));
      break;
    case "box":
      distances.push(
        toOutline(cornersOf(instruction.source), at),
        toOutline(cornersOf(boxEnd(instruction)), at),
      );
      break;
    case "region":
      distances.push(toArea(instruction, at));
      break;
    case "rotate":
      distances.push(apart(instruction.center, at), ...instruction.points.map((point) => apart(point, at)));
      if (instruction.region) distances.push(toArea(instruction.region, at));
      break;
    case "camera": {
      const frame = cameraFrame(instruction, canvas);
      if (frame) distances.push(toOutline(frame, at));
      break;
    }
  }
  return Math.min(Number.POSITIVE_INFINITY, ...distances);
}

export function isInside(instruction: Instruction, at: XY, canvas: Motion["canvas"]): boolean {
  if (instruction.kind === "box")
    return insideRectangle(instruction.source, at) || insideRectangle(boxEnd(instruction), at);
  return areaShape(instruction, canvas)?.contains(...at) ?? false;
}

export function insideRectangle({ x, y, width, height }: Rectangle, at: XY): boolean {
  return at[0] >= x && at[0] <= x + width && at[1] >= y && at[1] <= y + height;
}

export function cornersOf({ x, y, width, height }: Rectangle): XY[] {
  return [
    [x, y],
    [x + width, y],
    [x + width, y + height],
    [x, y + height],
  ];
}

function toArea(area: Area, at: XY): number {
  return area.polygon ? toOutline(area.polygon, at) : Number.POSITIVE_INFINITY;
}

function toOutline(corners: readonly XY[], at: XY): number {
  let least = Number.POSITIVE_INFINITY;
  corners.forEach((corner, k) => {
    least = Math.min(least, distanceToSegment(at, corner, corners[(k + 1) % corners.length] as XY));
  });
  return least;
}

function distanceToDots(points: Float64Array, [x, y]: XY): number {
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < points.length; k += 2)
    least = Math.min(least, Math.hypot((points[k] as number) - x, (points[k + 1] as number) - y));
  return least;
}

function apart(a: XY, b: XY): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
