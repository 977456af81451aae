// When instructions happen, and how their times change together. Times are frames of the motion.

import {
  CAMERA_MOVES,
  type Instruction,
  type Keyframe,
  type Motion,
  type PathPoint,
  type ValueCurve,
} from "./document";
import { routeOf, withControlPoints } from "./points";

export interface Span {
  readonly start: number;
  readonly end: number;
}

/** Start and end of an instruction: its own, else those of its timed points, else the whole motion. */
export function spanOf(instruction: Instruction, lastFrame: number): Span {
  const points = routeOf(instruction)?.points ?? [];
  const start = instruction.start ?? points[0]?.frame ?? 0;
  const lastTime = points.length > 1 ? points[points.length - 1]?.frame : undefined;
  return { start, end: instruction.end ?? lastTime ?? Math.max(lastFrame, start) };
}

/** The names of an instruction's values that may have keyframes. */
export function curveNames(instruction: Instruction): readonly string[] {
  switch (instruction.kind) {
    case "circle":
      return ["radius_curve"];
    case "region":
      return ["rotation", "scale"];
    case "rotate":
      return ["angle"];
    case "camera":
      return CAMERA_MOVES;
    default:
      return [];
  }
}

export function valueCurve(instruction: Instruction, name: string): ValueCurve {
  return (instruction as unknown as Record<string, ValueCurve>)[name] ?? 0;
}

/** Every time inside an instruction, put through `change`; start and end only where they are given. */
export function mapTimes(instruction: Instruction, change: (frame: number) => number): Instruction {
  let result = instruction;
  if (result.start !== undefined) result = { ...result, start: change(result.start) };
  if (result.end !== undefined) result = { ...result, end: change(result.end) };
  return mapInnerTimes(result, change);
}

function mapInnerTimes(instruction: Instruction, change: (frame: number) => number): Instruction {
  let result = instruction;
  const route = routeOf(result);
  if (route?.points.some((point) => point.frame !== undefined)) {
    const timed = (point: PathPoint) =>
      point.frame === undefined ? point : { ...point, frame: change(point.frame) };
    result = withControlPoints(result, route.points.map(timed)) ?? result;
  }
  for (const name of curveNames(result)) {
    const value = valueCurve(result, name);
    if (typeof value === "number") continue;
    const keys: readonly Keyframe[] = value.map((key) => ({ ...key, frame: change(key.frame) }));
    result = { ...result, [name]: keys } as Instruction;
  }
  return result;
}

export interface Timing {
  readonly start?: number | null;
  readonly end?: number | null;
  readonly before?: "hold" | "vanish";
  readonly after?: "hold" | "vanish";
}

/**
 * An instruction with another start or end (null: the default again). Times of its points and keyframes go along, so
 * that what was half way stays half way. The end never comes before the start.
 */
export function retimed(instruction: Instruction, timing: Timing, lastFrame: number): Instruction {
  const old = spanOf(instruction, lastFrame);
  let start = typeof timing.start === "number" ? Math.max(0, timing.start) : old.start;
  let end = typeof timing.end === "number" ? Math.max(0, timing.end) : old.end;
  if (end < start) {
    if (typeof timing.start === "number" && typeof timing.end !== "number") start = end;
    else end = start;
  }
  let result = { ...instruction };
  if (timing.before !== undefined) result = { ...result, before: timing.before };
  if (timing.after !== undefined) result = { ...result, after: timing.after };
  const moved = typeof timing.start === "number" || typeof timing.end === "number";
  if (moved && (start !== old.start || end !== old.end))
    result = mapInnerTimes(result, (frame) => along(frame, old, { start, end }));
  if (timing.start === null) delete (result as { start?: number }).start;
  else if (timing.start !== undefined) result = { ...result, start };
  if (timing.end === null) delete (result as { end?: number }).end;
  else if (timing.end !== undefined) result = { ...result, end };
  return result;
}

/** A time carried from one span to another. Where one has no length, times shift and keep their order. */
function along(frame: number, from: Span, to: Span): number {
  const before = from.end - from.start;
  const after = to.end - to.start;
  const scale = before > 0 && after > 0 ? after / before : 1;
  return Math.max(0, tidy(to.start + (frame - from.start) * scale));
}

/** Without the dust of floating point: 12 rather than 11.999999999. */
function tidy(frame: number): number {
  return Math.round(frame * 1e6) / 1e6;
}

/**
 * A motion of another length and rate.
 *
 * `keep`: every time stays the same frame number; what has no time of its own goes on filling the whole motion, and
 * what lies beyond the end is kept, out of sight. `stretch`: the whole movement takes up the new length.
 */
export function withLength(motion: Motion, numFrames: number, fps: number, mode: "keep" | "stretch"): Motion {
  const frames = Math.max(1, Math.round(numFrames));
  const before = motion.num_frames - 1;
  const after = frames - 1;
  const result = { ...motion, num_frames: frames, fps };
  if (mode === "keep" || before === after || before === 0 || after === 0) return result;
  const ratio = after / before;
  return {
    ...result,
    instructions: motion.instructions.map((each) => mapTimes(each, (frame) => tidy(frame * ratio))),
    pan: motion.pan.map((pan) => ({
      ...pan,
      velocity: [pan.velocity[0] / ratio, pan.velocity[1] / ratio] as const,
    })),
  };
}
