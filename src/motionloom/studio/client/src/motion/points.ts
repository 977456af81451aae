// The control points of an instruction: those of its path, or the single points it is made of.

import type { Instruction, PathPoint, Route } from "./document";

/** The route an instruction travels: a path's own, or that of a region or a box. */
export function routeOf(instruction: Instruction): Route | undefined {
  if (instruction.kind === "path") return instruction;
  if (instruction.kind === "region" || instruction.kind === "box") return instruction.path;
  return undefined;
}

/** What can be picked and moved one by one: path points, static points, turning points. */
export function controlPoints(instruction: Instruction): readonly PathPoint[] {
  if (instruction.kind === "static" || instruction.kind === "rotate")
    return instruction.points.map(([x, y]) => ({ x, y }));
  return routeOf(instruction)?.points ?? [];
}

/**
 * The instruction with other control points. Frames and handles are dropped where the kind has none. Without any
 * point a region or a box loses its path; null: nothing is left of the instruction.
 */
export function withControlPoints(
  instruction: Instruction,
  points: readonly PathPoint[],
): Instruction | null {
  switch (instruction.kind) {
    case "path":
      return points.length ? { ...instruction, points } : null;
    case "region":
    case "box": {
      const { path, ...rest } = instruction;
      return points.length ? { ...rest, path: { curve: path?.curve ?? "catmull-rom", points } } : rest;
    }
    case "static":
      return points.length || instruction.grid
        ? { ...instruction, points: points.map(({ x, y }) => [x, y] as const) }
        : null;
    case "rotate":
      return points.length || instruction.region
        ? { ...instruction, points: points.map(({ x, y }) => [x, y] as const) }
        : null;
    default:
      return instruction;
  }
}

/** Whether an instruction has an area of the picture that moves as one. */
export function hasArea(instruction: Instruction): boolean {
  if (instruction.kind === "rotate") return instruction.region !== undefined;
  return instruction.kind === "region" || instruction.kind === "box";
}
