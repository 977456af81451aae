// Areas of the canvas and grids of points, as motionloom/tracks/shapes.py has them.

import type { Rectangle, XY } from "./document";
import type { Mask } from "./masks";

export interface Canvas {
  readonly width: number;
  readonly height: number;
}

/** left, top, right, bottom */
export type Bounds = readonly [number, number, number, number];

/** An area of a canvas, in canvas pixels. */
export interface Shape {
  contains(x: number, y: number): boolean;
  readonly bounds: Bounds;
  /** The centre of mass. */
  readonly centroid: XY;
  /** The pixels of a canvas row whose centre is inside, as columns from, to, from, to, ...; `to` is not included. */
  spans(row: number): readonly number[];
}

export const MAX_GRID_POINTS = 65_536;

/** What an instruction cannot do; the message is for the person who draws. */
export class TraceProblem extends Error {
  override name = "TraceProblem";
}

/** A closed polygon, filled by the even-odd rule. */
export function polygonShape(vertices: readonly XY[], canvas: Canvas): Shape {
  const bounds = boundsOf(vertices);
  const [left, top, right, bottom] = bounds;
  const rows = new Map<number, readonly number[]>();
  return {
    bounds,
    centroid: centroidOf(vertices),
    contains(x, y) {
      if (x < left || x > right || y < top || y >= bottom) return false;
      return insidePolygon(vertices, x, y);
    },
    spans(row) {
      const found = rows.get(row) ?? polygonRow(vertices, row, canvas.width);
      rows.set(row, found);
      return found;
    },
  };
}

/** Even-odd; an edge belongs to what is below and to the right of it. */
export function insidePolygon(vertices: readonly XY[], x: number, y: number): boolean {
  let inside = false;
  for (let k = 0; k < vertices.length; k += 1) {
    const [x1, y1] = vertices[k] as XY;
    const [x2, y2] = vertices[(k + 1) % vertices.length] as XY;
    if (y1 === y2) continue;
    if (y1 <= y !== y2 <= y && x >= x1 + (y - y1) * ((x2 - x1) / (y2 - y1))) inside = !inside;
  }
  return inside;
}

function polygonRow(vertices: readonly XY[], row: number, width: number): readonly number[] {
  const y = row + 0.5;
  const flips: number[] = [];
  for (let k = 0; k < vertices.length; k += 1) {
    const [x1, y1] = vertices[k] as XY;
    const [x2, y2] = vertices[(k + 1) % vertices.length] as XY;
    if (y1 === y2 || row < Math.ceil(Math.min(y1, y2) - 0.5) || row >= Math.ceil(Math.max(y1, y2) - 0.5))
      continue;
    const x = x1 + (y - y1) * ((x2 - x1) / (y2 - y1));
    flips.push(Math.min(Math.max(Math.ceil(x - 0.5), 0), width));
  }
  flips.sort((a, b) => a - b);
  const spans: number[] = [];
  for (let k = 0; k + 1 < flips.length; k += 2)
    if ((flips[k] as number) < (flips[k + 1] as number))
      spans.push(flips[k] as number, flips[k + 1] as number);
  return spans;
}

export function boundsOf(points: readonly XY[]): Bounds {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of points) {
    left = Math.min(left, x);
    top = Math.min(top, y);
    right = Math.max(right, x);
    bottom = Math.max(bottom, y);
  }
  return [left, top, right, bottom];
}

/** The centre of mass of a polygon; that of its corners when it has no area. */
export function centroidOf(vertices: readonly XY[]): XY {
  const middle = vertices.reduce<XY>(([x, y], [vx, vy]) => [x + vx, y + vy], [0, 0]);
  const mx = middle[0] / vertices.length;
  const my = middle[1] / vertices.length;
  let area = 0;
  let sumX = 0;
  let sumY = 0;
  for (let k = 0; k < vertices.length; k += 1) {
    const [ax, ay] = vertices[k] as XY;
    const [bx, by] = vertices[(k + 1) % vertices.length] as XY;
    const cross = (ax - mx) * (by - my) - (bx - mx) * (ay - my);
    area += cross / 2;
    sumX += (ax - mx + bx - mx) * cross;
    sumY += (ay - my + by - my) * cross;
  }
  return Math.abs(area) < 1e-9 ? [mx, my] : [mx + sumX / (6 * area), my + sumY / (6 * area)];
}

/** The pixels of a mask, stretched over the canvas. */
export function maskShape(mask: Mask, canvas: Canvas): Shape {
  const across = mask.width / canvas.width;
  const down = mask.height / canvas.height;
  const facts = maskFacts(mask);
  const rows = new Map<number, readonly number[]>();
  return {
    bounds: [facts.left / across, facts.top / down, (facts.right + 1) / across, (facts.bottom + 1) / down],
    centroid: [(facts.column + 0.5) / across, (facts.row + 0.5) / down],
    contains(x, y) {
      const column = Math.floor(x * across);
      const row = Math.floor(y * down);
      if (column < 0 || column >= mask.width || row < 0 || row >= mask.height) return false;
      return mask.bits[row * mask.width + column] === 1;
    },
    spans(row) {
      const from = Math.trunc((row + 0.5) * down);
      const found = rows.get(from) ?? maskRow(mask, from, across, canvas.width);
      rows.set(from, found);
      return found;
    },
  };
}

function maskRow(mask: Mask, row: number, across: number, width: number): readonly number[] {
  const spans: number[] = [];
  for (let column = 0; column < width; column += 1) {
    const on = mask.bits[row * mask.width + Math.trunc((column + 0.5) * across)] === 1;
    if (on !== (spans.length % 2 === 1)) spans.push(column);
  }
  if (spans.length % 2) spans.push(width);
  return spans;
}

/** Extent and mean of the pixels that are on, in mask pixels. */
function maskFacts(mask: Mask) {
  let [left, top, right, bottom] = [mask.width, mask.height, -1, -1];
  let [column, row, count] = [0, 0, 0];
  for (let y = 0; y < mask.height; y += 1)
    for (let x = 0; x < mask.width; x += 1) {
      if (mask.bits[y * mask.width + x] !== 1) continue;
      left = Math.min(left, x);
      right = Math.max(right, x);
      top = Math.min(top, y);
      bottom = y;
      column += x;
      row += y;
      count += 1;
    }
  if (count === 0) throw new TraceProblem("the mask is empty; draw where the region is");
  return { left, top, right, bottom, column: column / count, row: row / count };
}

export function rectangleShape({ x, y, width, height }: Rectangle, canvas: Canvas): Shape {
  return polygonShape(
    [
      [x, y],
      [x + width, y],
      [x + width, y + height],
      [x, y + height],
    ],
    canvas,
  );
}

/** Grid points about `spacing` apart, centred in a rectangle, half a step from its edges: x, y, x, y, ... */
export function lattice([left, top, right, bottom]: Bounds, spacing: number): Float64Array {
  const across = Math.max(1, roundHalfEven((right - left) / spacing));
  const down = Math.max(1, roundHalfEven((bottom - top) / spacing));
  if (across * down > MAX_GRID_POINTS)
    throw new TraceProblem(`a spacing of ${spacing} px makes ${across * down} points; choose a wider one`);
  const points = new Float64Array(across * down * 2);
  for (let row = 0; row < down; row += 1)
    for (let column = 0; column < across; column += 1) {
      const place = 2 * (row * across + column);
      points[place] = left + (column + 0.5) * ((right - left) / across);
      points[place + 1] = top + (row + 0.5) * ((bottom - top) / down);
    }
  return points;
}

/** As Python rounds: halves go to the even neighbour. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

/** The points for which `keep` holds. */
export function filterPoints(points: Float64Array, keep: (x: number, y: number) => boolean): Float64Array {
  const result = new Float64Array(points.length);
  let count = 0;
  for (let k = 0; k < points.length; k += 2) {
    const x = points[k] as number;
    const y = points[k + 1] as number;
    if (!keep(x, y)) continue;
    result[count] = x;
    result[count + 1] = y;
    count += 2;
  }
  return result.slice(0, count);
}

/** Grid points inside a shape and on the canvas; at least one. */
export function fill(shape: Shape, spacing: number, canvas: Canvas): Float64Array {
  const [left, top, right, bottom] = shape.bounds;
  const inside: Bounds = [
    Math.max(left, 0),
    Math.max(top, 0),
    Math.min(right, canvas.width),
    Math.min(bottom, canvas.height),
  ];
  if (inside[2] > inside[0] && inside[3] > inside[1]) {
    const points = filterPoints(lattice(inside, spacing), (x, y) => shape.contains(x, y));
    if (points.length) return points;
    const single = nearestPixel(shape, inside);
    if (single) return Float64Array.from(single);
  }
  throw new TraceProblem("the area lies outside the picture; move it onto the picture");
}

/** A shape too thin for the grid: the pixel of it that is nearest to its middle stands for all. */
function nearestPixel(shape: Shape, [, top, , bottom]: Bounds): XY | null {
  const [cx, cy] = shape.centroid;
  let best: XY | null = null;
  let least = Number.POSITIVE_INFINITY;
  for (let row = Math.max(0, Math.floor(top) - 1); row < Math.ceil(bottom); row += 1) {
    const spans = shape.spans(row);
    for (let k = 0; k < spans.length; k += 2) {
      const last = (spans[k + 1] as number) - 1;
      const nearest = Math.min(Math.max(Math.ceil(cx - 1), spans[k] as number), last);
      for (const column of [nearest - 1, nearest, nearest + 1]) {
        if (column < (spans[k] as number) || column > last) continue;
        const squared = (column + 0.5 - cx) ** 2 + (row + 0.5 - cy) ** 2;
        if (squared >= least) continue;
        least = squared;
        best = [column + 0.5, row + 0.5];
      }
    }
  }
  return best;
}
