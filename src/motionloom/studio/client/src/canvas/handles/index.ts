// The handles of any instruction.

import type { Instruction, XY } from "../../motion/document";
import { cameraHandles } from "./camera";
import type { Handle } from "./handle";
import { areaShape, cornersOfShape, reachFrom } from "./outline";
import { regionHandles } from "./region";
import { routeHandles } from "./route";
import { boxHandles, circleHandles, rotateHandles, staticHandles } from "./shapes";

export type { Handle, How, Look } from "./handle";
export { PLAIN } from "./handle";

export interface Surroundings {
  readonly canvas: { readonly width: number; readonly height: number };
  /** Picked control points: their Bézier tangents show whatever their number. */
  readonly picked: readonly number[];
  /** The corners of outlines can be dragged. */
  readonly corners: boolean;
}

/** In the order of the keyboard: along the path, then what shapes the whole. */
export function handlesOf(instruction: Instruction, around: Surroundings): Handle[] {
  switch (instruction.kind) {
    case "path":
      return routeHandles(instruction, (route) => ({ ...instruction, ...route }), around.picked);
    case "circle":
      return circleHandles(instruction);
    case "static":
      return staticHandles(instruction);
    case "box":
      return boxHandles(instruction, around.picked);
    case "region": {
      const shape = areaShape(instruction, around.canvas);
      if (!shape) return [];
      const reach = reachFrom(cornersOfShape(instruction, shape), instruction.pivot ?? shape.centroid);
      return regionHandles(instruction, shape.centroid, reach, around.picked, around.corners);
    }
    case "rotate":
      return rotateHandles(instruction);
    case "camera":
      return cameraHandles(instruction, around.canvas);
  }
}

/** Of the handles within `reach` of a place, the nearest; the later of two at the same place, which is drawn above. */
export function handleAt(handles: readonly Handle[], [x, y]: XY, reach: number): Handle | undefined {
  let best: Handle | undefined;
  let least = reach;
  for (const handle of handles) {
    const distance = Math.hypot(handle.at[0] - x, handle.at[1] - y);
    if (distance <= least + 1e-9) [best, least] = [handle, distance];
  }
  return best;
}
