// The area of an instruction as a shape of the canvas.

import type { Area, Instruction, XY } from "../../motion/document";
import { masks } from "../../motion/masks";
import { type Canvas, maskShape, polygonShape, type Shape } from "../../motion/shapes";

/** Undefined without an area, and while its mask is not decoded yet. */
export function areaShape(instruction: Instruction, canvas: Canvas): Shape | undefined {
  const area = areaOf(instruction);
  if (area?.polygon) return polygonShape(area.polygon, canvas);
  const mask = area?.mask === undefined ? undefined : masks.get(area.mask);
  return mask ? maskShape(mask, canvas) : undefined;
}

export function areaOf(instruction: Instruction): Area | undefined {
  if (instruction.kind === "region") return instruction;
  return instruction.kind === "rotate" ? instruction.region : undefined;
}

/** Corners of a shape's outline, or of the box around it. */
export function cornersOfShape(instruction: Instruction, shape: Shape): readonly XY[] {
  const [left, top, right, bottom] = shape.bounds;
  const box: XY[] = [
    [left, top],
    [right, top],
    [right, bottom],
    [left, bottom],
  ];
  return areaOf(instruction)?.polygon ?? box;
}

/** The largest distance of a corner. */
export function reachFrom(corners: readonly XY[], from: XY): number {
  return corners.reduce((far, [x, y]) => Math.max(far, Math.hypot(x - from[0], y - from[1])), 0);
}
