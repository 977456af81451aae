// Each kind of instruction as points over time, as motionloom/tracks/traces.py has it.

import { lensOf, type Moves, projector } from "./camera";
import { BY_KIND } from "./defaults";
import {
  type Box,
  CAMERA_MOVES,
  type Camera,
  type Circle,
  type Instruction,
  type Region,
  type Rotate,
  type Static,
  type XY,
} from "./document";
import { ease, progress } from "./easing";
import { affine, applyTo, type Matrix } from "./matrices";
import {
  afford,
  boxShape,
  flatPoints,
  MaskPending,
  presence,
  type Scene,
  shapeOf,
  type Traced,
  travel,
  valueAt,
} from "./scene";
import { fill, filterPoints, lattice, type Shape, TraceProblem } from "./shapes";
import { spanOf } from "./timing";

/** An instruction that stands for itself. */
export function traceOne(instruction: Instruction, scene: Scene): Traced {
  return guarded(instruction, scene, () => {
    switch (instruction.kind) {
      case "path":
        return made(instruction, scene, 1, travel(instruction, instruction, scene));
      case "circle":
        return circle(instruction, scene);
      case "static":
        return still(instruction, flatPoints(instruction.points), scene);
      case "box":
        return box(instruction, scene);
      case "region":
        return region(instruction, scene);
      case "rotate":
        return turning(instruction, scene);
      case "camera":
        throw new TypeError("a camera is traced with the others known");
    }
  });
}

/** An instruction that keeps clear of others, from its `gridPoints`. */
export function traceGrid(instruction: Static | Camera, scene: Scene, points: Float64Array): Traced {
  return guarded(instruction, scene, () =>
    instruction.kind === "camera" ? camera(instruction, points, scene) : still(instruction, points, scene),
  );
}

// -------------------------------------------------------------------------------------------------------- every kind
function circle(instruction: Circle, scene: Scene): Traced {
  const { center, count } = instruction;
  const degrees = instruction.angles?.length
    ? instruction.angles
    : Array.from({ length: count }, (_, k) => k * (360 / count));
  const rays = degrees.map(
    (each) => [Math.cos((each * Math.PI) / 180), Math.sin((each * Math.PI) / 180)] as const,
  );
  const radius = valueAt(instruction.radius_curve, instruction, instruction.radius, scene);
  const points = new Float64Array(2 * rays.length * scene.times.length);
  let place = 0;
  for (const r of radius)
    for (const [x, y] of rays) {
      points[place] = center[0] + r * x;
      points[place + 1] = center[1] + r * y;
      place += 2;
    }
  return made(instruction, scene, rays.length, points);
}

function box(instruction: Box, scene: Scene): Traced {
  const { source, target = source, path, spacing } = instruction;
  const { x, y, width, height } = source;
  const middle: XY = [x + width / 2, y + height / 2];
  const { start, end } = spanOf(instruction, scene.lastFrame);
  const route = path && travel(path, instruction, scene);
  const first = path?.points[0];
  const to: XY = [target.x + target.width / 2, target.y + target.height / 2];
  const matrices = Array.from(scene.times, (time, t) => {
    const part = ease(progress(time, start, end), instruction.easing);
    const shift: XY =
      route && first
        ? [(route[2 * t] as number) - first.x, (route[2 * t + 1] as number) - first.y]
        : [part * (to[0] - middle[0]), part * (to[1] - middle[1])];
    const scale: XY = [1 + part * (target.width / width - 1), 1 + part * (target.height / height - 1)];
    return affine(middle, shift, scale, 0);
  });
  const points = [x, y, x + width, y, x + width, y + height, x, y + height, ...middle];
  if (spacing !== undefined) {
    const inner = lattice([x, y, x + width, y + height], spacing);
    const isMiddle = (px: number, py: number) =>
      Math.max(Math.abs(px - middle[0]), Math.abs(py - middle[1])) <= 1e-6;
    for (const each of filterPoints(inner, (px, py) => !isMiddle(px, py))) points.push(each);
  }
  return rigid(instruction, Float64Array.from(points), boxShape(source, scene.canvas), matrices, scene);
}

function region(instruction: Region, scene: Scene): Traced {
  const shape = shapeOf(instruction, scene);
  const pivot = instruction.pivot ?? shape.centroid;
  const route = instruction.path && travel(instruction.path, instruction, scene);
  const first = instruction.path?.points[0];
  const scale = valueAt(instruction.scale, instruction, 1, scene);
  const angle = valueAt(instruction.rotation, instruction, 0, scene);
  const matrices = Array.from(scene.times, (_, t) => {
    const shift: XY =
      route && first ? [(route[2 * t] as number) - first.x, (route[2 * t + 1] as number) - first.y] : [0, 0];
    const factor = scale[t] as number;
    return affine(pivot, shift, [factor, factor], angle[t] as number);
  });
  return rigid(instruction, fill(shape, instruction.spacing, scene.canvas), shape, matrices, scene);
}

function turning(instruction: Rotate, scene: Scene): Traced {
  const shape = instruction.region && shapeOf(instruction.region, scene);
  const points = shape ? fill(shape, instruction.spacing, scene.canvas) : flatPoints(instruction.points);
  const angle = valueAt(instruction.angle, instruction, 0, scene);
  const matrices = Array.from(angle, (degrees) => affine(instruction.center, [0, 0], [1, 1], degrees));
  return rigid(instruction, points, shape, matrices, scene);
}

function camera(instruction: Camera, points: Float64Array, scene: Scene): Traced {
  const count = points.length / 2;
  afford(count, scene);
  const lens = lensOf(instruction, scene.canvas);
  const all = movesOf(instruction, scene);
  const there = presence(instruction, scene);
  const moved = new Float64Array(2 * count * scene.times.length);
  const visible = new Uint8Array(count * scene.times.length);
  for (const [t, moves] of all.entries()) {
    const project = projector(lens, moves, scene.canvas);
    for (let n = 0; n < count; n += 1) {
      const [x, y, seen] = project(points[2 * n] as number, points[2 * n + 1] as number);
      const place = t * count + n;
      moved[2 * place] = Math.fround(x);
      moved[2 * place + 1] = Math.fround(y);
      visible[place] = seen && (there[t] as number);
    }
  }
  return { ...made(instruction, scene, count, moved), visible };
}

/** The moves of a camera at each moment. */
export function movesOf(instruction: Camera, scene: Scene): readonly Moves[] {
  const curves = CAMERA_MOVES.map((name) => [
    name,
    valueAt(instruction[name], instruction, BY_KIND.camera[name], scene),
  ]) as readonly (readonly [keyof Moves, Float64Array])[];
  return Array.from(scene.times, (_, t) => {
    const now = curves.map(([name, values]) => [name, values[t] as number]);
    return Object.fromEntries(now) as Moves;
  });
}

// ------------------------------------------------------------------------------------------------------------- parts
/** A trace whose points are there whenever the instruction is. */
function made(instruction: Instruction, scene: Scene, count: number, points: Float64Array): Traced {
  const frames = scene.times.length;
  const visible = new Uint8Array(frames * count);
  const there = presence(instruction, scene);
  for (let t = 0; t < frames; t += 1) if (there[t]) visible.fill(1, t * count, (t + 1) * count);
  return { id: instruction.id, kind: instruction.kind, instruction, frames, count, points, visible };
}

function still(instruction: Instruction, points: Float64Array, scene: Scene): Traced {
  afford(points.length / 2, scene);
  const all = new Float64Array(points.length * scene.times.length);
  for (let t = 0; t < scene.times.length; t += 1) all.set(points, t * points.length);
  return made(instruction, scene, points.length / 2, all);
}

function rigid(
  instruction: Instruction,
  points: Float64Array,
  shape: Shape | undefined,
  matrices: readonly Matrix[],
  scene: Scene,
): Traced {
  const count = points.length / 2;
  afford(count, scene);
  const moved = new Float64Array(points.length * matrices.length);
  const transform = new Float64Array(9 * matrices.length);
  for (const [t, matrix] of matrices.entries()) {
    transform.set(matrix, 9 * t);
    for (let n = 0; n < count; n += 1)
      applyTo(matrix, points[2 * n] as number, points[2 * n + 1] as number, moved, 2 * (t * count + n));
  }
  return { ...made(instruction, scene, count, moved), transform, ...(shape && { shape }) };
}

/** What cannot be traced has no points and says why. */
export function guarded(instruction: Instruction, scene: Scene, work: () => Traced): Traced {
  try {
    return work();
  } catch (error) {
    const nothing = made(instruction, scene, 0, new Float64Array());
    if (error instanceof MaskPending) return { ...nothing, pending: true };
    if (error instanceof TraceProblem) return { ...nothing, problem: error.message };
    throw error;
  }
}
