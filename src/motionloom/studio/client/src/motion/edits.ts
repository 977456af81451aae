// Edits of a motion as plain functions: motion in, motion out.

import { nextColor } from "./colors";
import type { Instruction, Kind, Motion, Pan, PathPoint, XY } from "./document";
import { copyName, displayName, freeId, KIND_LABELS } from "./names";
import { nearest, splitAt } from "./nearest";
import { controlPoints, routeOf, withControlPoints } from "./points";
import { readInstruction } from "./read";
import { translate } from "./transform";

export function find(motion: Motion, id: string): Instruction | undefined {
  return motion.instructions.find((each) => each.id === id);
}

/** Changes the instructions with these ids; null takes one away. */
export function changeEach(
  motion: Motion,
  ids: Iterable<string>,
  change: (instruction: Instruction) => Instruction | null,
): Motion {
  const wanted = new Set(ids);
  let same = true;
  const instructions: Instruction[] = [];
  for (const each of motion.instructions) {
    const result = wanted.has(each.id) ? change(each) : each;
    if (result) instructions.push(result);
    same &&= result === each;
  }
  return same ? motion : { ...motion, instructions };
}

/**
 * New instructions in front, with an id and a colour where they have none or a taken one. Returns their ids.
 *
 * @throws DocumentError a field of the wrong type
 */
export function added(
  motion: Motion,
  wanted: readonly ({ kind: Kind; id?: string } & Record<string, unknown>)[],
): { motion: Motion; ids: readonly string[] } {
  const taken = new Set(motion.instructions.map((each) => each.id));
  const ids: string[] = [];
  let result = motion;
  for (const each of wanted) {
    const id = each.id !== undefined && !taken.has(each.id) ? each.id : freeId(each.kind, taken);
    const color = each.color ?? nextColor(result);
    taken.add(id);
    ids.push(id);
    const made = readInstruction({ ...each, id, color }, KIND_LABELS[each.kind]);
    result = { ...result, instructions: [...result.instructions, made] };
  }
  return { motion: result, ids };
}

/** Fields changed; one that is set to undefined is taken away. */
export function withFields(instruction: Instruction, fields: Partial<Instruction>): Instruction {
  const all = Object.entries({ ...instruction, ...fields }).filter(([, value]) => value !== undefined);
  return Object.fromEntries(all) as unknown as Instruction;
}

/** Copies in front of their originals, shifted; pans of an original hold for its copy too. Returns the new ids. */
export function duplicated(
  motion: Motion,
  ids: readonly string[],
  by: XY,
): { motion: Motion; ids: readonly string[] } {
  const wanted = new Set(ids);
  const taken = new Set(motion.instructions.map((each) => each.id));
  const names = new Set(motion.instructions.map(displayName));
  const copies = new Map<string, string>();
  const instructions: Instruction[] = [];
  for (const each of motion.instructions) {
    instructions.push(each);
    if (!wanted.has(each.id)) continue;
    const id = freeId(each.kind, taken);
    const name = each.name && copyName(each.name, names);
    taken.add(id);
    names.add(name);
    copies.set(each.id, id);
    instructions.push({ ...translate(each, by), id, name });
  }
  const pan = motion.pan.map((each) => {
    const more = each.instructions?.flatMap((id) => copies.get(id) ?? []);
    return more?.length ? { ...each, instructions: [...(each.instructions ?? []), ...more] } : each;
  });
  return { motion: { ...motion, instructions, pan }, ids: [...copies.values()] };
}

/** To a place in the drawing order, 0 is the back. */
export function reordered(motion: Motion, id: string, place: number): Motion {
  const moved = find(motion, id);
  if (!moved) return motion;
  const others = motion.instructions.filter((each) => each !== moved);
  const at = Math.min(Math.max(Math.round(place), 0), others.length);
  if (motion.instructions[at] === moved) return motion;
  return { ...motion, instructions: [...others.slice(0, at), moved, ...others.slice(at)] };
}

/** The velocity of exactly these instructions (null: of all) in place of an earlier one; zero takes it away. */
export function withPan(motion: Motion, velocity: XY, ids: readonly string[] | null): Motion {
  const wanted = ids && [...ids].sort().join("\n");
  const isSame = (pan: Pan) =>
    wanted === null ? pan.instructions === undefined : pan.instructions?.toSorted().join("\n") === wanted;
  const place = motion.pan.findIndex(isSame);
  const others = motion.pan.filter((pan) => !isSame(pan));
  if ((velocity[0] === 0 && velocity[1] === 0) || ids?.length === 0)
    return others.length === motion.pan.length ? motion : { ...motion, pan: others };
  const added: Pan = ids ? { velocity, instructions: [...ids] } : { velocity };
  const at = place < 0 ? others.length : place;
  return { ...motion, pan: [...others.slice(0, at), added, ...others.slice(at)] };
}

export function withPointsMoved(instruction: Instruction, indices: readonly number[], by: XY): Instruction {
  const wanted = new Set(indices);
  const points = controlPoints(instruction).map((point, k) =>
    wanted.has(k) ? { ...point, x: point.x + by[0], y: point.y + by[1] } : point,
  );
  return withControlPoints(instruction, points) ?? instruction;
}

/**
 * One more control point: on the curve nearest to `at` for a route, at `at` for single points. The shape stays as it
 * was for polylines and Bézier curves, and nearly so for splines; so does the timing. Returns its index too.
 */
export function withPointInserted(
  instruction: Instruction,
  at: XY,
): { instruction: Instruction; index: number } {
  const points = controlPoints(instruction);
  const route = routeOf(instruction);
  if (!route || points.length < 2) {
    const added = [...points, { x: at[0], y: at[1] }];
    return { instruction: withControlPoints(instruction, added) ?? instruction, index: points.length };
  }
  const found = nearest(route, at);
  const { before, middle, after } = splitAt(route, found);
  const added = [
    ...points.slice(0, found.segment),
    before,
    middle,
    after,
    ...points.slice(found.segment + 2),
  ];
  return { instruction: withControlPoints(instruction, added) ?? instruction, index: found.segment + 1 };
}

/** Null when nothing is left of the instruction. */
export function withoutPoints(instruction: Instruction, indices: readonly number[]): Instruction | null {
  const gone = new Set(indices);
  const points = controlPoints(instruction).filter((_, k) => !gone.has(k));
  return withControlPoints(instruction, points);
}

/** Two control points are passed at least this much apart, in frames. */
const LEAST_GAP = 0.01;

/** When a control point is passed, kept between its neighbours in time; null: on the way. */
export function withPointFrame(instruction: Instruction, index: number, frame: number | null): Instruction {
  const points = controlPoints(instruction);
  const point = points[index];
  if (!point || !routeOf(instruction)) return instruction;
  const { frame: _, ...rest } = point;
  let timed: PathPoint = rest;
  if (frame !== null) {
    const low = points.slice(0, index).findLast((each) => each.frame !== undefined)?.frame;
    const high = points.slice(index + 1).find((each) => each.frame !== undefined)?.frame;
    const most = high === undefined ? Number.POSITIVE_INFINITY : high - LEAST_GAP;
    timed = {
      ...rest,
      frame: Math.max(0, Math.min(Math.max(frame, low === undefined ? 0 : low + LEAST_GAP), most)),
    };
  }
  const changed = withControlPoints(instruction, points.with(index, timed)) ?? instruction;
  // Start and end that were said follow the end points, which now say them too.
  if (timed.frame === undefined) return changed;
  if (index === 0 && changed.start !== undefined) return { ...changed, start: timed.frame };
  if (index === points.length - 1 && changed.end !== undefined) return { ...changed, end: timed.frame };
  return changed;
}
