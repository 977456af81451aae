// Where instructions are: the place that stands for one, all its places, the box around several.

import { flatten } from "../motion/curve";
import type { Instruction, XY } from "../motion/document";
import { routeOf } from "../motion/points";
import { type Bounds, boundsOf, type Canvas } from "../motion/shapes";
import { cameraFrame } from "./handles/camera";
import { areaShape, cornersOfShape } from "./handles/outline";
import { boxEnd, rectangleMiddle } from "./handles/shapes";
import { endValue } from "./handles/values";
import { cornersOf } from "./pick";

/** One place that stands for the whole. */
export function anchorOf(instruction: Instruction, canvas: Canvas): XY {
  switch (instruction.kind) {
    case "path": {
      const first = instruction.points[0];
      return first ? [first.x, first.y] : [0, 0];
    }
    case "circle":
    case "rotate":
      return instruction.center;
    case "static":
      return instruction.points[0] ?? [canvas.width / 2, canvas.height / 2];
    case "box":
      return rectangleMiddle(instruction.source);
    case "region":
      return areaShape(instruction, canvas)?.centroid ?? [canvas.width / 2, canvas.height / 2];
    case "camera":
      return [canvas.width / 2, canvas.height / 2];
  }
}

/** Its lines and points; nothing for a grid alone, which is everywhere. */
export function placesOf(instruction: Instruction, canvas: Canvas): XY[] {
  const places: XY[] = [];
  const route = routeOf(instruction);
  if (route) {
    const { vertices } = flatten(route.points, route.curve);
    for (let k = 0; k < vertices.length; k += 2)
      places.push([vertices[k] as number, vertices[k + 1] as number]);
  }
  const shape = areaShape(instruction, canvas);
  if (shape) places.push(...cornersOfShape(instruction, shape));
  switch (instruction.kind) {
    case "circle":
      for (const radius of [0, instruction.radius, endValue(instruction.radius_curve)])
        for (let k = 0; k < 16; k += 1) {
          const [x, y] = instruction.center;
          const angle = (k * Math.PI) / 8;
          places.push([x + radius * Math.cos(angle), y + radius * Math.sin(angle)]);
        }
      break;
    case "static":
      places.push(...instruction.points);
      break;
    case "box":
      places.push(...cornersOf(instruction.source), ...cornersOf(boxEnd(instruction)));
      break;
    case "rotate":
      places.push(instruction.center, ...instruction.points);
      break;
    case "camera":
      places.push(...(cameraFrame(instruction, canvas) ?? []));
      break;
  }
  return places;
}

export function boundsAround(instructions: readonly Instruction[], canvas: Canvas): Bounds | null {
  const places = instructions.flatMap((each) => placesOf(each, canvas));
  return places.length > 0 ? boundsOf(places) : null;
}
