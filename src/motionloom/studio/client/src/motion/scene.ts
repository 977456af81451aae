// What instructions are traced against, and what a traced instruction is. As motionloom/tracks/scene.py.

import { at, flatten, legs, lengthOf } from "./curve";
import type { Area, Instruction, Kind, Rectangle, Route, ValueCurve, XY } from "./document";
import { ease, keyframed, progress } from "./easing";
import type { Mask, Masks } from "./masks";
import { type Canvas, maskShape, polygonShape, rectangleShape, type Shape, TraceProblem } from "./shapes";
import { spanOf } from "./timing";

/** An instruction over time. */
export interface Traced {
  readonly id: string;
  readonly kind: Kind;
  readonly instruction: Instruction;
  /** Moments. */
  readonly frames: number;
  /** Points at each moment. */
  readonly count: number;
  /** x, y in canvas pixels: point n at moment t lies at index 2 * (t * count + n). */
  readonly points: Float64Array;
  /** 1 or 0: point n at moment t is at index t * count + n. */
  readonly visible: Uint8Array;
  /** The area of the picture that moves as one. */
  readonly shape?: Shape;
  /** 3 x 3 from the picture to moment t, nine numbers each, for points that move as one. */
  readonly transform?: Float64Array;
  /** Why there are no points, in words for the person who draws. */
  readonly problem?: string;
  /** A mask is still being decoded; the points come later. */
  readonly pending?: boolean;
}

/** Frames that differ by less are the same moment. */
export const SAME_FRAME = 1e-6;

const MAX_POINTS = 20_000_000;

export interface Scene {
  readonly canvas: Canvas;
  readonly times: Float64Array;
  readonly lastFrame: number;
  readonly masks: Masks;
}

/** A value over time: from `neutral` to a number with the instruction's easing, or by keyframes. */
export function valueAt(
  value: ValueCurve,
  instruction: Instruction,
  neutral: number,
  scene: Scene,
): Float64Array {
  if (typeof value !== "number") {
    const frames = value.map((key) => key.frame);
    const values = value.map((key) => key.value);
    return scene.times.map((time) => keyframed(time, frames, values, (k) => value[k]?.easing ?? "linear"));
  }
  const { start, end } = spanOf(instruction, scene.lastFrame);
  return scene.times.map(
    (time) => neutral + (value - neutral) * ease(progress(time, start, end), instruction.easing),
  );
}

/** Places on a route over time: x, y, x, y, ... */
export function travel(route: Route, instruction: Instruction, scene: Scene): Float64Array {
  const curve = flatten(route.points, route.curve);
  const { start, end } = spanOf(instruction, scene.lastFrame);
  const { indices, frames } = legs(
    route.points.map((point) => point.frame),
    start,
    end,
  );
  const distances = indices.map((k) => curve.knots[k] as number);
  const still = lengthOf(curve) === 0;
  const result = new Float64Array(2 * scene.times.length);
  for (let t = 0; t < scene.times.length; t += 1) {
    const distance = still
      ? 0
      : keyframed(scene.times[t] as number, frames, distances, () => instruction.easing);
    const [x, y] = at(curve, distance);
    result[2 * t] = x;
    result[2 * t + 1] = y;
  }
  return result;
}

/** When an instruction's points are there at all, 1 or 0 at each moment. */
export function presence(instruction: Instruction, scene: Scene): Uint8Array {
  const { start, end } = spanOf(instruction, scene.lastFrame);
  return Uint8Array.from(scene.times, (time) =>
    (instruction.before === "vanish" && time < start - SAME_FRAME) ||
    (instruction.after === "vanish" && time > end + SAME_FRAME)
      ? 0
      : 1,
  );
}

/** Places as x, y, x, y, ... */
export function flatPoints(points: readonly XY[]): Float64Array {
  return Float64Array.from(points.flat());
}

/** Refuses more points than memory should hold, before they are made. */
export function afford(count: number, scene: Scene): void {
  if (count * scene.times.length > MAX_POINTS)
    throw new TraceProblem(
      `${count} tracks in ${scene.times.length} frames are too many; choose a wider spacing`,
    );
}

/** Thrown while a mask is being decoded. */
export class MaskPending extends Error {}

type Outline = readonly XY[] | Rectangle;
const shapes = new WeakMap<Outline, { canvas: Canvas; shape: Shape }>();
const maskShapes = new WeakMap<Mask, { canvas: Canvas; shape: Shape }>();

/** The shape of an area; the same one as long as the outline stays the same. */
export function shapeOf(area: Area, scene: Scene): Shape {
  const { canvas } = scene;
  if (area.polygon) {
    const polygon = area.polygon;
    return remembered(shapes, polygon, canvas, () => polygonShape(polygon, canvas));
  }
  const mask = scene.masks.get(area.mask ?? "");
  if (mask === undefined) throw new MaskPending();
  if (mask === null) throw new TraceProblem("the mask image cannot be read; draw the region again");
  return remembered(maskShapes, mask, canvas, () => maskShape(mask, canvas));
}

/** The shape of a mask on the canvas it was last traced on. */
export function tracedMask(mask: Mask): { canvas: Canvas; shape: Shape } | undefined {
  return maskShapes.get(mask);
}

export function boxShape(rectangle: Rectangle, canvas: Canvas): Shape {
  return remembered(shapes, rectangle, canvas, () => rectangleShape(rectangle, canvas));
}

function remembered<K extends object>(
  known: WeakMap<K, { canvas: Canvas; shape: Shape }>,
  key: K,
  canvas: Canvas,
  make: () => Shape,
): Shape {
  const found = known.get(key);
  if (found && found.canvas.width === canvas.width && found.canvas.height === canvas.height)
    return found.shape;
  const shape = make();
  known.set(key, { canvas, shape });
  return shape;
}
