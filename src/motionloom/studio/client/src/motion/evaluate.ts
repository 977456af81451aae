// A motion as points over time, as `Motion.compile` has it: all instructions together. What did not change since the
// last time is taken over as it was, the very same object, so that dragging one of many tracks costs one track.

import { lensOf, planeHomography } from "./camera";
import type { Camera, Instruction, Motion, Static } from "./document";
import { beginningsOf, gridPoints, isGrid, shapesToAvoid } from "./grids";
import { type Masks, masks as pageMasks } from "./masks";
import { applyTo, determinant, inverse, type Matrix, multiply } from "./matrices";
import type { Scene, Traced } from "./scene";
import type { Shape } from "./shapes";
import { guarded, movesOf, traceGrid, traceOne } from "./traces";

export type { Traced } from "./scene";

/** Every instruction that is not hidden, in drawing order, at `times` in frames of the motion. */
export function trace(
  motion: Motion,
  times: Float64Array | readonly number[],
  masks: Masks = pageMasks,
): Traced[] {
  return createTracer(masks)(motion, Float64Array.from(times));
}

/** Traces motions one after the other; what stayed the same is not traced again. */
export type Tracer = (motion: Motion, times: Float64Array) => Traced[];

export function createTracer(masks: Masks = pageMasks): Tracer {
  let scene: Scene = { canvas: { width: 0, height: 0 }, times: new Float64Array(), lastFrame: 0, masks };
  let memory = forget();
  return (motion, times) => {
    const { width, height } = motion.canvas;
    const lastFrame = motion.num_frames - 1;
    const same =
      scene.canvas.width === width &&
      scene.canvas.height === height &&
      scene.times === times &&
      scene.lastFrame === lastFrame;
    if (!same) {
      scene = { canvas: motion.canvas, times, lastFrame, masks };
      memory = forget();
    }
    return traceAll(motion, scene, memory);
  };
}

interface Grid {
  readonly shapes: readonly Shape[];
  readonly begins: Float64Array;
  readonly points: Float64Array;
  readonly result: Traced;
}

interface Memory {
  readonly single: WeakMap<Instruction, Traced>;
  readonly grid: WeakMap<Instruction, Grid>;
  readonly moves: WeakMap<Camera, readonly Matrix[]>;
  readonly seen: WeakMap<Traced, { camera: Camera; result: Traced }>;
  readonly panned: WeakMap<Traced, { x: number; y: number; result: Traced }>;
  readonly backs: WeakMap<Traced, readonly (Matrix | null)[]>;
  readonly covered: WeakMap<Traced, { fronts: readonly Traced[]; result: Traced }>;
}

function forget(): Memory {
  return {
    single: new WeakMap(),
    grid: new WeakMap(),
    moves: new WeakMap(),
    seen: new WeakMap(),
    panned: new WeakMap(),
    backs: new WeakMap(),
    covered: new WeakMap(),
  };
}

function traceAll(motion: Motion, scene: Scene, memory: Memory): Traced[] {
  const shown = motion.instructions.filter((each) => !each.hidden);
  // Grids keep clear of everything else, so they come when everything else is known.
  const known = new Map<Instruction, Traced>();
  for (const each of shown) {
    if (isGrid(each)) continue;
    let found = memory.single.get(each);
    if (!found) {
      found = traceOne(each, scene);
      if (!found.pending) memory.single.set(each, found);
    }
    known.set(each, found);
  }
  const others = [...known.values()];
  const grids = shown.filter(isGrid);
  if (grids.length) {
    const begins = beginningsOf(others);
    for (const each of grids) known.set(each, rememberedGrid(each, others, begins, scene, memory));
  }
  let traces = shown.map((each) => known.get(each) as Traced);
  const camera = shown.find((each): each is Camera => each.kind === "camera" && each.include_objects);
  if (camera)
    traces = traces.map((each) => (each.kind === "camera" ? each : seenBy(each, camera, scene, memory)));
  if (motion.pan.length) traces = traces.map((each) => panned(each, motion, scene, memory));
  return motion.occlusion ? occluded(traces, memory) : traces;
}

function rememberedGrid(
  instruction: Static | Camera,
  others: readonly Traced[],
  begins: Float64Array,
  scene: Scene,
  memory: Memory,
): Traced {
  const shapes = shapesToAvoid(instruction, others, scene);
  const near = instruction.kind === "camera" ? NOWHERE : begins;
  const old = memory.grid.get(instruction);
  if (old && sameItems(old.shapes, shapes) && sameItems(old.begins, near)) return old.result;
  return guarded(instruction, scene, () => {
    const points = gridPoints(instruction, scene, shapes, near);
    // What others did may leave the grid as it was.
    const same = old && !old.result.problem && sameItems(old.points, points);
    const result = same ? old.result : traceGrid(instruction, scene, points);
    memory.grid.set(instruction, { shapes, begins: near, points, result });
    return result;
  });
}

const NOWHERE = new Float64Array();

function sameItems(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let k = 0; k < a.length; k += 1) if (a[k] !== b[k]) return false;
  return true;
}

// ------------------------------------------------------------------------------------------------- cameras and pans
/** What an instruction draws, moved by the camera as something at one depth. */
function seenBy(found: Traced, camera: Camera, scene: Scene, memory: Memory): Traced {
  if (!found.count) return found;
  const old = memory.seen.get(found);
  if (old?.camera === camera) return old.result;
  let matrices = memory.moves.get(camera);
  if (!matrices) {
    const lens = lensOf(camera, scene.canvas);
    matrices = movesOf(camera, scene).map((moves) => planeHomography(lens, moves));
    memory.moves.set(camera, matrices);
  }
  const points = new Float64Array(found.points);
  const visible = new Uint8Array(found.visible);
  for (const [t, matrix] of matrices.entries())
    for (let place = t * found.count; place < (t + 1) * found.count; place += 1) {
      const x = points[2 * place] as number;
      const y = points[2 * place + 1] as number;
      if (applyTo(matrix, x, y, points, 2 * place)) continue;
      // Behind the camera it stays where it was, unseen.
      points[2 * place] = x;
      points[2 * place + 1] = y;
      visible[place] = 0;
    }
  const transform = found.transform && transformedBy(found.transform, matrices);
  const result = { ...found, points, visible, ...(transform && { transform }) };
  memory.seen.set(found, { camera, result });
  return result;
}

function transformedBy(transform: Float64Array, matrices: readonly Matrix[]): Float64Array {
  const result = new Float64Array(transform.length);
  for (const [t, matrix] of matrices.entries()) result.set(multiply(matrix, matrixAt(transform, t)), 9 * t);
  return result;
}

function matrixAt(transform: Float64Array, t: number): Matrix {
  return Array.from(transform.subarray(9 * t, 9 * t + 9)) as unknown as Matrix;
}

function panned(found: Traced, motion: Motion, scene: Scene, memory: Memory): Traced {
  let [x, y] = [0, 0];
  for (const pan of motion.pan)
    if (pan.instructions === undefined || pan.instructions.includes(found.id)) {
      x += pan.velocity[0];
      y += pan.velocity[1];
    }
  if (x === 0 && y === 0) return found;
  const old = memory.panned.get(found);
  if (old && old.x === x && old.y === y) return old.result;
  const points = new Float64Array(found.points);
  for (let t = 0; t < found.frames; t += 1) {
    const time = scene.times[t] as number;
    for (let place = t * found.count; place < (t + 1) * found.count; place += 1) {
      points[2 * place] = (points[2 * place] as number) + time * x;
      points[2 * place + 1] = (points[2 * place + 1] as number) + time * y;
    }
  }
  const shifts = Array.from(scene.times, (time): Matrix => [1, 0, time * x, 0, 1, time * y, 0, 0, 1]);
  const transform = found.transform && transformedBy(found.transform, shifts);
  const result = { ...found, points, ...(transform && { transform }) };
  memory.panned.set(found, { x, y, result });
  return result;
}

// --------------------------------------------------------------------------------------------------------- occlusion
/**
 * Hides points where an area in front covers them. Later areas are in front; what has no area is behind all. A point
 * that begins on an area is part of it and never hidden by it.
 */
function occluded(traces: Traced[], memory: Memory): Traced[] {
  const areas = traces.flatMap((found, place) => (found.shape && found.transform ? [{ place, found }] : []));
  if (!areas.length) return traces;
  return traces.map((behind, place) => {
    if (!behind.count) return behind;
    const fronts = areas
      .filter((front) => front.place !== place && !(behind.shape && place > front.place))
      .map((front) => front.found);
    if (!fronts.length) return behind;
    const old = memory.covered.get(behind);
    if (old && sameItems(old.fronts, fronts)) return old.result;
    const result = coveredBy(behind, fronts, memory);
    memory.covered.set(behind, { fronts, result });
    return result;
  });
}

function coveredBy(behind: Traced, fronts: readonly Traced[], memory: Memory): Traced {
  const { points, count, frames } = behind;
  const visible = new Uint8Array(behind.visible);
  const at = new Float64Array(2);
  let changed = false;
  for (const front of fronts) {
    const { shape } = front;
    if (!shape) continue;
    const outside: number[] = [];
    for (let n = 0; n < count; n += 1)
      if (!shape.contains(points[2 * n] as number, points[2 * n + 1] as number)) outside.push(n);
    if (!outside.length) continue;
    let backs = memory.backs.get(front);
    if (!backs) {
      backs = backToPicture(front);
      memory.backs.set(front, backs);
    }
    for (let t = 0; t < frames; t += 1) {
      const back = backs[t];
      if (!back) continue;
      for (const n of outside) {
        const place = t * count + n;
        if (!visible[place]) continue;
        const ahead = applyTo(back, points[2 * place] as number, points[2 * place + 1] as number, at, 0);
        if (!ahead || !shape.contains(at[0] as number, at[1] as number)) continue;
        visible[place] = 0;
        changed = true;
      }
    }
  }
  return changed ? { ...behind, visible } : behind;
}

/** From each moment back to the picture, for an area; null where it is not there or scaled down to nothing. */
function backToPicture({ transform, visible, count, frames }: Traced): readonly (Matrix | null)[] {
  return Array.from({ length: frames }, (_, t) => {
    if (!transform || !visible.subarray(t * count, (t + 1) * count).includes(1)) return null;
    const matrix = matrixAt(transform, t);
    return Math.abs(determinant(matrix)) > 1e-9 ? inverse(matrix) : null;
  });
}
