// Grids of points that keep clear of what moves, as motionloom/tracks/traces.py has them.

import type { Camera, Instruction, Static } from "./document";
import { flatPoints, MaskPending, type Scene, shapeOf, type Traced } from "./scene";
import { filterPoints, lattice, type Shape, TraceProblem } from "./shapes";

/** Whether an instruction keeps clear of others, so that these have to be known first. */
export function isGrid(instruction: Instruction): instruction is Static | Camera {
  return instruction.kind === "camera" || (instruction.kind === "static" && instruction.grid !== undefined);
}

/**
 * The points of an instruction that keeps clear of shapes and of the places where other instructions begin, where it
 * begins itself. All places are x, y, x, y, ...
 *
 * @throws TraceProblem too many points
 */
export function gridPoints(
  instruction: Static | Camera,
  scene: Scene,
  shapes: readonly Shape[],
  begins: Float64Array,
): Float64Array {
  const { width, height } = scene.canvas;
  if (instruction.kind === "camera")
    return filterPoints(
      lattice([0, 0, width, height], instruction.spacing),
      (x, y) => !shapes.some((shape) => shape.contains(x, y)),
    );
  const { spacing = 1, margin = spacing / 2 } = instruction.grid ?? {};
  const points = filterPoints(
    lattice([0, 0, width, height], spacing),
    (x, y) =>
      !shapes.some((shape) => isNear(shape, x, y, margin, scene)) && !beginsNear(begins, x, y, margin),
  );
  const fixed = flatPoints(instruction.points);
  const all = new Float64Array(fixed.length + points.length);
  all.set(fixed);
  all.set(points, fixed.length);
  return all;
}

/** The shapes a grid keeps clear of, given those of the others by their ids. */
export function shapesToAvoid(
  instruction: Static | Camera,
  others: readonly Traced[],
  scene: Scene,
): readonly Shape[] {
  const all = others.flatMap((each) => each.shape ?? []);
  if (instruction.kind === "camera" || instruction.grid?.outside === undefined) return all;
  return instruction.grid.outside.flatMap((area) => {
    if (typeof area === "string") return others.find((each) => each.id === area)?.shape ?? [];
    try {
      return shapeOf(area, scene);
    } catch (error) {
      if (error instanceof MaskPending || error instanceof TraceProblem) return [];
      throw error;
    }
  });
}

/** Where everything that is not static begins. */
export function beginningsOf(others: readonly Traced[]): Float64Array {
  const moving = others.filter((each) => each.kind !== "static");
  const result = new Float64Array(moving.reduce((sum, each) => sum + 2 * each.count, 0));
  let place = 0;
  for (const each of moving) {
    result.set(each.points.subarray(0, 2 * each.count), place);
    place += 2 * each.count;
  }
  return result;
}

/** Inside a shape, or at most `margin` pixels from its nearest pixel. */
function isNear(shape: Shape, x: number, y: number, margin: number, scene: Scene): boolean {
  if (shape.contains(x, y)) return true;
  if (margin <= 0) return false;
  const { width, height } = scene.canvas;
  const column = Math.min(Math.max(Math.floor(x), 0), width - 1);
  const row = Math.min(Math.max(Math.floor(y), 0), height - 1);
  const [left, top, right, bottom] = shape.bounds;
  if (
    column < left - margin - 1 ||
    column > right + margin ||
    row < top - margin - 1 ||
    row > bottom + margin
  )
    return false;
  const reach = Math.ceil(margin);
  for (let other = Math.max(0, row - reach); other <= Math.min(height - 1, row + reach); other += 1) {
    const spans = shape.spans(other);
    for (let k = 0; k < spans.length; k += 2) {
      const aside = Math.max((spans[k] as number) - column, column - ((spans[k + 1] as number) - 1), 0);
      if (chamfer(aside, Math.abs(other - row)) <= margin) return true;
    }
  }
  return false;
}

/**
 * The distance between two pixels as OpenCV measures it on the server (distanceTransform with a 5 x 5 mask: steps of
 * 1, 1.4 and 2.1969 pixels), within 2 % of the true one. A point within 1e-4 px of the margin may fall either way.
 */
function chamfer(across: number, down: number): number {
  const long = Math.max(across, down);
  const short = Math.min(across, down);
  return 2 * short <= long
    ? long - 2 * short + short * KNIGHT
    : (long - short) * KNIGHT + (2 * short - long) * DIAGONAL;
}

const DIAGONAL = 1.4;
const KNIGHT = 2.1969;

function beginsNear(begins: Float64Array, x: number, y: number, margin: number): boolean {
  if (margin <= 0) return false;
  for (let k = 0; k < begins.length; k += 2) {
    const dx = (begins[k] as number) - x;
    const dy = (begins[k + 1] as number) - y;
    if (dx <= margin && -dx <= margin && Math.sqrt(dx * dx + dy * dy) <= margin) return true;
  }
  return false;
}
