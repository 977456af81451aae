// The moments of an instruction along the timeline, and edits of when it begins, ends and passes them. Times are frames
// of the motion. All edits are pure and keep a document valid: frames stay in order and at zero or later.

import { flatten, legs } from "../motion/curve";
import type { Instruction } from "../motion/document";
import { ease } from "../motion/easing";
import { routeOf, withControlPoints } from "../motion/points";
import { retimed, spanOf } from "../motion/timing";
import { clamp, clampToWhole, curveFields, curveOf, isKeyframed, MIN_GAP } from "./curves";

export const MAX_FRAME = 100_000;

/** A moment on an instruction's bar that can be moved: a control point (`field` "points") or a keyframe. */
export interface Moment {
  readonly field: string;
  readonly index: number;
  readonly frame: number;
  /** False: the point has no time of its own and is passed on the way. */
  readonly fixed: boolean;
  readonly label: string;
}

export function momentsOf(instruction: Instruction, lastFrame: number): readonly Moment[] {
  const moments: Moment[] = [];
  const route = routeOf(instruction);
  if (route && route.points.length > 1) {
    const passed = passingFrames(instruction, lastFrame);
    route.points.forEach((point, index) => {
      const frame = passed[index] as number;
      const fixed = point.frame !== undefined;
      moments.push({ field: "points", index, frame, fixed, label: `point ${index + 1} time` });
    });
  }
  for (const { field, label } of curveFields(instruction)) {
    const curve = curveOf(instruction, field);
    if (!isKeyframed(curve)) continue;
    curve.forEach(({ frame }, index) => {
      moments.push({
        field,
        index,
        frame,
        fixed: true,
        label: `${label.toLowerCase()} keyframe ${index + 1}`,
      });
    });
  }
  return moments;
}

/** The frame at which each control point is passed. */
export function passingFrames(instruction: Instruction, lastFrame: number): readonly number[] {
  const route = routeOf(instruction);
  if (!route) return [];
  const { start, end } = spanOf(instruction, lastFrame);
  const known = route.points.map((point) => point.frame);
  known[0] ??= start;
  if (known.length > 1) known[known.length - 1] ??= end;
  const frames = known.slice();
  if (!known.includes(undefined)) return frames as number[];
  const knots = flatten(route.points, route.curve).knots;
  let from = 0;
  for (let to = 1; to < known.length; to++) {
    if (known[to] === undefined) continue;
    const [first, last] = [known[from] as number, known[to] as number];
    const [near, far] = [knots[from] as number, knots[to] as number];
    for (let index = from + 1; index < to; index++) {
      const share =
        far > near ? ((knots[index] as number) - near) / (far - near) : (index - from) / (to - from);
      frames[index] = first + (last - first) * whenReached(share, instruction.easing);
    }
    from = to;
  }
  return frames as number[];
}

/** The first share of the time at which an easing has come `share` of the way. */
function whenReached(share: number, easing: Instruction["easing"]): number {
  if (easing === "linear") return share;
  if (easing === "hold") return 1;
  const steps = 64;
  for (let step = 1; step <= steps; step++) {
    if (ease(step / steps, easing) < share) continue;
    let low = (step - 1) / steps;
    let high = step / steps;
    for (let round = 0; round < 30; round++) {
      const middle = (low + high) / 2;
      if (ease(middle, easing) < share) low = middle;
      else high = middle;
    }
    return (low + high) / 2;
  }
  return 1;
}

// ------------------------------------------------------------------------------------------------- moving all of it
/** Everything that has a time, later by `by` frames: never before frame 0, never beginning after the last frame. */
export function shifted(instruction: Instruction, by: number, lastFrame: number): Instruction {
  const { start, end } = spanOf(instruction, lastFrame);
  const earliest = Math.min(start, ...timesOf(instruction));
  const latest = Math.max(0, Math.min(MAX_FRAME - end, lastFrame - start));
  const shift = clamp(by, -earliest, latest);
  if (Math.abs(shift) < 1e-9) return instruction;
  return retimed(instruction, { start: start + shift, end: end + shift }, lastFrame);
}

/**
 * The instruction beginning at another frame. Times of points and keyframes keep their share of the way to the end;
 * with `inner` "keep" they stay where they are, and limit how far the start goes.
 */
export function withStart(
  instruction: Instruction,
  frame: number,
  lastFrame: number,
  inner: "stretch" | "keep" = "stretch",
): Instruction {
  const { end } = spanOf(instruction, lastFrame);
  const between = innerFrames(instruction);
  if (inner === "stretch") {
    const start = clampToWhole(frame, 0, Math.max(0, end - room(between)));
    return firstInOrder(
      lastFrame,
      retimed(instruction, { start }, lastFrame),
      { ...instruction, start },
      instruction,
    );
  }
  const limit = Math.min(end, ...between.map((each) => each - MIN_GAP));
  const start = clampToWhole(frame, 0, Math.max(0, limit));
  const first = routeOf(instruction)?.points[0];
  const timed = first?.frame !== undefined;
  return firstInOrder(
    lastFrame,
    { ...(timed ? withPointTime(instruction, 0, start) : instruction), start },
    instruction,
  );
}

/** The instruction done at another frame; see `withStart`. */
export function withEnd(
  instruction: Instruction,
  frame: number,
  lastFrame: number,
  inner: "stretch" | "keep" = "stretch",
): Instruction {
  const { start } = spanOf(instruction, lastFrame);
  const between = innerFrames(instruction);
  if (inner === "stretch") {
    const end = clampToWhole(frame, start + room(between), MAX_FRAME);
    return firstInOrder(
      lastFrame,
      retimed(instruction, { end }, lastFrame),
      { ...instruction, end },
      instruction,
    );
  }
  const end = clampToWhole(frame, Math.max(start, ...between.map((each) => each + MIN_GAP)), MAX_FRAME);
  const points = routeOf(instruction)?.points ?? [];
  const timed = points.length > 1 && points.at(-1)?.frame !== undefined;
  const moved = timed ? withPointTime(instruction, points.length - 1, end) : instruction;
  return firstInOrder(lastFrame, { ...moved, end }, instruction);
}

/** Timed points between the ends need a moment each. */
function room(between: readonly number[]): number {
  return between.length > 0 ? MIN_GAP * (between.length + 1) : 0;
}

function innerFrames(instruction: Instruction): number[] {
  const points = routeOf(instruction)?.points ?? [];
  return points.slice(1, -1).flatMap((point) => point.frame ?? []);
}

/** Every time of a point or a keyframe. */
function timesOf(instruction: Instruction): number[] {
  const frames = (routeOf(instruction)?.points ?? []).flatMap((point) => point.frame ?? []);
  for (const { field } of curveFields(instruction)) {
    const curve = curveOf(instruction, field);
    if (isKeyframed(curve)) frames.push(...curve.map((key) => key.frame));
  }
  return frames;
}

/** The first of these whose times are in order: an edit, something milder, what was there before. */
function firstInOrder(lastFrame: number, ...candidates: readonly Instruction[]): Instruction {
  return candidates.find((each) => isInOrder(each, lastFrame)) ?? (candidates.at(-1) as Instruction);
}

function isInOrder(instruction: Instruction, lastFrame: number): boolean {
  const curves = curveFields(instruction).every(({ field }) => {
    const curve = curveOf(instruction, field);
    return !isKeyframed(curve) || curve.every((key, k) => k === 0 || key.frame > (curve[k - 1]?.frame ?? -1));
  });
  const frames = (routeOf(instruction)?.points ?? []).map((point) => point.frame);
  if (!curves || frames.every((frame) => frame === undefined)) return curves;
  const { start, end } = spanOf(instruction, lastFrame);
  const passed = legs(frames, start, end).frames;
  return passed.every((frame, k) => k === 0 || frame > (passed[k - 1] as number));
}

// -------------------------------------------------------------------------------------------------- moving one point
/** A control point passed at `frame`, which stays between its timed neighbours; null: on the way, without its own. */
export function withPointFrame(
  instruction: Instruction,
  index: number,
  frame: number | null,
  lastFrame: number,
): Instruction {
  if (!routeOf(instruction)?.points[index]) return instruction;
  const { low, high } = roomFor(instruction, index, lastFrame);
  const time = frame === null ? undefined : clampToWhole(frame, low, high);
  return firstInOrder(lastFrame, withPointTime(instruction, index, time), instruction);
}

/** Between which frames a control point's own time may lie. */
export function roomFor(
  instruction: Instruction,
  index: number,
  lastFrame: number,
): { low: number; high: number } {
  const points = routeOf(instruction)?.points ?? [];
  const { start, end } = spanOf(instruction, lastFrame);
  const known = points.map((point) => point.frame);
  // The ends count as start and end even without a time of their own, except for the point that is moved.
  if (index !== 0) known[0] ??= start;
  if (index !== points.length - 1) known[points.length - 1] ??= end;
  const before = known.slice(0, index).findLast((frame) => frame !== undefined);
  const after = known.slice(index + 1).find((frame) => frame !== undefined);
  const low = before === undefined ? 0 : before + MIN_GAP;
  return { low, high: Math.max(low, after === undefined ? MAX_FRAME : after - MIN_GAP) };
}

function withPointTime(instruction: Instruction, index: number, frame: number | undefined): Instruction {
  const points = routeOf(instruction)?.points ?? [];
  const changed = points.map((point, place) => {
    if (place !== index) return point;
    const { frame: _, ...untimed } = point;
    return frame === undefined ? untimed : { ...untimed, frame };
  });
  return withControlPoints(instruction, changed) ?? instruction;
}
