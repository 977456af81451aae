// Moving, turning and scaling whole instructions.

import { shapeOutline } from "./brush";
import type { Area, Instruction, PathPoint, Rectangle, Route, XY } from "./document";
import { masks } from "./masks";
import { tracedMask } from "./scene";

/** Where a place goes. */
export type Place = (x: number, y: number) => XY;

/** The instruction shifted by (x, y) pixels, together with everything it is made of. */
export function translate(instruction: Instruction, by: XY): Instruction {
  return mapPlaces(
    instruction,
    (x, y) => [x + by[0], y + by[1]],
    (x, y) => [x, y],
    (rectangle) => ({ ...rectangle, x: rectangle.x + by[0], y: rectangle.y + by[1] }),
    1,
  );
}

/** Scaled by a factor about a place. */
export function scale(instruction: Instruction, factor: number, about: XY): Instruction {
  return mapPlaces(
    instruction,
    (x, y) => [about[0] + (x - about[0]) * factor, about[1] + (y - about[1]) * factor],
    (x, y) => [x * factor, y * factor],
    ({ x, y, width, height }) => ({
      x: about[0] + (x - about[0]) * factor,
      y: about[1] + (y - about[1]) * factor,
      width: width * factor,
      height: height * factor,
    }),
    Math.abs(factor),
  );
}

/** Turned by degrees, clockwise on the screen, about a place. Rectangles stay upright: their middle is turned. */
export function rotate(instruction: Instruction, degrees: number, about: XY): Instruction {
  const cos = Math.cos((degrees * Math.PI) / 180);
  const sin = Math.sin((degrees * Math.PI) / 180);
  const turn: Place = (x, y) => [cos * x - sin * y, sin * x + cos * y];
  const place: Place = (x, y) => {
    const [dx, dy] = turn(x - about[0], y - about[1]);
    return [about[0] + dx, about[1] + dy];
  };
  return mapPlaces(
    instruction,
    place,
    turn,
    (rectangle) => {
      const { width, height } = rectangle;
      const [x, y] = place(rectangle.x + width / 2, rectangle.y + height / 2);
      return { x: x - width / 2, y: y - height / 2, width, height };
    },
    1,
  );
}

/**
 * `place` for positions, `offset` for Bézier handles, `size` for rectangles, `length` for radii. A mask becomes an
 * outline, which can be moved. A camera has no place.
 */
function mapPlaces(
  instruction: Instruction,
  place: Place,
  offset: Place,
  size: (rectangle: Rectangle) => Rectangle,
  length: number,
): Instruction {
  const many = (points: readonly XY[]) => points.map(([x, y]) => place(x, y));
  const route = <T extends Route>(old: T): T => ({
    ...old,
    points: old.points.map((each) => movedPoint(each, place, offset)),
  });
  const area = <T extends Area>(old: T): T => {
    const polygon = outlineOf(old);
    if (!polygon) return old;
    const { mask: _, ...rest } = old;
    return { ...rest, polygon: many(polygon) } as unknown as T;
  };
  switch (instruction.kind) {
    case "path":
      return route(instruction);
    case "circle": {
      const curve = instruction.radius_curve;
      return {
        ...instruction,
        center: place(...instruction.center),
        radius: instruction.radius * length,
        radius_curve:
          typeof curve === "number"
            ? curve * length
            : curve.map((key) => ({ ...key, value: key.value * length })),
      };
    }
    case "static":
      return { ...instruction, points: many(instruction.points) };
    case "box":
      return {
        ...instruction,
        source: size(instruction.source),
        ...(instruction.target && { target: size(instruction.target) }),
        ...(instruction.path && { path: route(instruction.path) }),
      };
    case "region":
      return {
        ...area(instruction),
        ...(instruction.path && { path: route(instruction.path) }),
        ...(instruction.pivot && { pivot: place(...instruction.pivot) }),
      };
    case "rotate":
      return {
        ...instruction,
        center: place(...instruction.center),
        points: many(instruction.points),
        ...(instruction.region && { region: area(instruction.region) }),
      };
    case "camera":
      return instruction;
  }
}

function movedPoint(point: PathPoint, place: Place, offset: Place): PathPoint {
  const [x, y] = place(point.x, point.y);
  return {
    ...point,
    x,
    y,
    ...(point.handle_in && { handle_in: offset(...point.handle_in) }),
    ...(point.handle_out && { handle_out: offset(...point.handle_out) }),
  };
}

const outlines = new WeakMap<object, readonly XY[] | null>();

/** The polygon of an area, or one around its mask; null while the mask is not known. */
function outlineOf(area: Area): readonly XY[] | null {
  if (area.polygon) return area.polygon;
  const mask = masks.get(area.mask ?? "");
  const traced = mask && tracedMask(mask);
  if (!traced) return null;
  const known = outlines.get(traced.shape);
  if (known !== undefined) return known;
  const outline = shapeOutline(traced.shape, traced.canvas);
  outlines.set(traced.shape, outline);
  return outline;
}
