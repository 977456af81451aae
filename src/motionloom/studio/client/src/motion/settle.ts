// After an edit: what other parts of a motion have to follow, so that every motion in the editor is one that can be
// saved. Nothing changes where nothing has to.

import type { Instruction, Motion, Pan, PathPoint, Static } from "./document";
import { displayName } from "./names";
import { hasArea, routeOf, withControlPoints } from "./points";
import { spanOf } from "./timing";

export interface Settled {
  readonly motion: Motion;
  /** What was changed beyond what was asked for, for the person at the screen. */
  readonly notice: string | null;
}

/**
 * A motion whose parts agree.
 *
 * References to what is gone are dropped; of several visible cameras the one that came last to be seen stays; times
 * that ended up in the wrong order are put right. `before` tells what is new: instructions that are in it already are
 * not looked at again.
 */
export function settle(motion: Motion, before: Motion | null): Settled {
  let result = motion;
  const sameLength = before?.num_frames === motion.num_frames;
  const old = new Set<Instruction>(sameLength ? before.instructions : []);
  if (!before || motion.instructions !== before.instructions || !sameLength) {
    result = replaceEach(result, (each) => (old.has(each) ? each : inOrder(each, motion.num_frames - 1)));
    result = withoutDangling(result);
  } else if (motion.pan !== before.pan) result = withoutDangling(result);
  const cameras = result.instructions.filter((each) => each.kind === "camera" && !each.hidden);
  if (cameras.length < 2) return { motion: result, notice: null };
  const seen = new Set((before?.instructions ?? []).filter((each) => !each.hidden).map((each) => each.id));
  const stays =
    cameras.filter((each) => !seen.has(each.id)).pop() ?? (cameras[cameras.length - 1] as Instruction);
  const names = cameras.filter((each) => each !== stays).map(displayName);
  return {
    motion: replaceEach(result, (each) =>
      each.kind === "camera" && !each.hidden && each !== stays ? { ...each, hidden: true } : each,
    ),
    notice: `One camera at a time: ${displayName(stays)} is on, ${names.join(", ")} is hidden.`,
  };
}

function replaceEach(motion: Motion, change: (instruction: Instruction) => Instruction): Motion {
  const instructions = motion.instructions.map(change);
  return instructions.some((each, k) => each !== motion.instructions[k])
    ? { ...motion, instructions }
    : motion;
}

/** Pans and grids name only what exists, and grids only what has an area. */
function withoutDangling(motion: Motion): Motion {
  const known = new Set(motion.instructions.map((each) => each.id));
  const areas = new Set(motion.instructions.filter(hasArea).map((each) => each.id));
  const result = replaceEach(motion, (each) => {
    const outside = each.kind === "static" ? each.grid?.outside : undefined;
    if (!outside?.some((area) => typeof area === "string" && !areas.has(area))) return each;
    const kept = outside.filter((area) => typeof area !== "string" || areas.has(area));
    return { ...each, grid: { ...(each as Static).grid, outside: kept } } as Static;
  });
  if (!motion.pan.some((pan) => pan.instructions?.some((id) => !known.has(id)))) return result;
  const pan: Pan[] = [];
  for (const each of motion.pan) {
    const kept = each.instructions?.filter((id) => known.has(id));
    if (kept?.length !== 0) pan.push(kept ? { ...each, instructions: kept } : each);
  }
  return { ...result, pan };
}

/** End not before start, and control points passed one after the other. */
function inOrder(instruction: Instruction, lastFrame: number): Instruction {
  let result = instruction;
  const points = routeOf(result)?.points;
  if (points?.some((point) => point.frame !== undefined)) result = pointsInOrder(result, points, lastFrame);
  const { start, end } = spanOf(result, lastFrame);
  return end < start ? { ...result, end: start } : result;
}

function pointsInOrder(
  instruction: Instruction,
  points: readonly PathPoint[],
  lastFrame: number,
): Instruction {
  let result = instruction;
  const first = points[0] as PathPoint;
  // A time that is not after the one before it is forgotten: the point is passed on the way.
  let newest = first.frame ?? -1;
  const timed: readonly PathPoint[] = points.map((point, k) => {
    if (k === 0 || point.frame === undefined) return point;
    if (point.frame > newest && (point.frame > 0 || first.frame !== undefined)) {
      newest = point.frame;
      return point;
    }
    const { frame: _, ...rest } = point;
    return rest;
  });
  if (timed.some((point, k) => point !== points[k])) result = withControlPoints(result, timed) ?? result;
  const known = timed.flatMap((point) => (point.frame === undefined ? [] : [point.frame]));
  const earliest = known[0];
  const latest = known[known.length - 1];
  if (earliest === undefined || latest === undefined) return result;
  // Points at the ends without a time of their own are passed at start and end, which must lie outside all others.
  const { start, end } = spanOf(result, lastFrame);
  if (first.frame === undefined && start >= earliest)
    result = { ...result, start: Math.max(0, earliest - 1) };
  if (timed.length > 1 && timed[timed.length - 1]?.frame === undefined && end <= latest)
    result = { ...result, end: latest + 1 };
  return result;
}
