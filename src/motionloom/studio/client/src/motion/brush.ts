// Painted areas as outlines. Strokes of a round brush make a field of distances to the edge; where it is zero runs the
// outline, which is exact to a fraction of the field's step. Several blobs and holes are one polygon (see `joinLoops`).

import type { XY } from "./document";
import { joinLoops, signedArea, simplifyPolygon, squaredDistance } from "./geometry";
import { boundsOf, type Canvas, type Shape } from "./shapes";

export interface BrushStroke {
  readonly points: readonly XY[];
  /** Canvas pixels. */
  readonly radius: number;
  readonly erase: boolean;
}

/** The field has at most this many values along its longer side, and no more than two for each tolerance. */
const FIELD_SIDE = 512;
/** Loops smaller than this many square steps of the field are dust. */
const LEAST_AREA = 2;
/** More blobs and holes than this are dust as well. */
const MAX_LOOPS = 200;
/** What a polygon may have. */
const MAX_VERTICES = 10_000;

/**
 * The outline of what was painted, on the canvas; null: nothing is left of it. With a `start` the strokes add to that
 * area and take away from it.
 *
 * @param tolerance how far the outline may lie from the painted edge, canvas pixels
 */
export function paintedOutline(
  strokes: readonly BrushStroke[],
  canvas: Canvas,
  tolerance = 0.75,
  start: Shape | null = null,
): readonly XY[] | null {
  const field = makeField(strokes, canvas, start, tolerance / 2);
  if (!field) return null;
  const keepIn = ([x, y]: XY): XY => [
    Math.min(Math.max(x, 0), canvas.width),
    Math.min(Math.max(y, 0), canvas.height),
  ];
  const loops = traceLoops(field)
    .map((loop) => simplifyPolygon(loop.map(keepIn), tolerance))
    .filter((loop) => loop.length > 2 && Math.abs(signedArea(loop)) > LEAST_AREA * field.step ** 2)
    .sort((a, b) => Math.abs(signedArea(b)) - Math.abs(signedArea(a)))
    .slice(0, MAX_LOOPS);
  if (!loops.length) return null;
  let outline = joinLoops(loops);
  for (let looser = tolerance * 2; outline.length > MAX_VERTICES; looser *= 2)
    outline = joinLoops(loops.map((loop) => simplifyPolygon(loop, looser)).filter((loop) => loop.length > 2));
  return outline.map(([x, y]) => [Math.round(x * 100) / 100, Math.round(y * 100) / 100]);
}

/** The outline of any shape, as that of a mask. */
export function shapeOutline(shape: Shape, canvas: Canvas, tolerance = 0.75): readonly XY[] | null {
  return paintedOutline([], canvas, tolerance, shape);
}

/** Pixels inside the edge (above zero) or outside of it, at `columns` x `rows` places `step` apart from (left, top). */
interface Field {
  readonly left: number;
  readonly top: number;
  readonly step: number;
  readonly columns: number;
  readonly rows: number;
  readonly values: Float32Array;
}

function makeField(
  strokes: readonly BrushStroke[],
  canvas: Canvas,
  start: Shape | null,
  finest: number,
): Field | null {
  const painted = strokes.filter((stroke) => !stroke.erase && stroke.points.length);
  const extents: XY[] = painted.flatMap(({ points, radius }) => {
    const [left, top, right, bottom] = boundsOf(points);
    return [[left - radius, top - radius] as const, [right + radius, bottom + radius] as const];
  });
  if (start) extents.push([start.bounds[0], start.bounds[1]], [start.bounds[2], start.bounds[3]]);
  const [x0, y0, x1, y1] = boundsOf(extents);
  const [left, top] = [Math.max(x0, 0), Math.max(y0, 0)];
  const [right, bottom] = [Math.min(x1, canvas.width), Math.min(y1, canvas.height)];
  if (!(right > left && bottom > top)) return null;
  const step = Math.max((right - left) / FIELD_SIDE, (bottom - top) / FIELD_SIDE, finest);
  // Two places beyond the extent on every side, the outermost of which is never inside: every loop closes.
  const field: Field = {
    left: left - 2 * step,
    top: top - 2 * step,
    step,
    columns: Math.ceil((right - left) / step) + 5,
    rows: Math.ceil((bottom - top) / step) + 5,
    values: new Float32Array(),
  };
  const values = new Float32Array(field.columns * field.rows).fill(-step);
  const full = { ...field, values };
  if (start) stamp(full, start);
  for (const stroke of strokes) paint(full, stroke);
  for (let row = 0; row < full.rows; row += 1)
    for (let column = 0; column < full.columns; column += 1)
      if (row === 0 || column === 0 || row === full.rows - 1 || column === full.columns - 1)
        values[row * full.columns + column] = -step;
  return full;
}

/** Half a step inside or outside: how far the edge of a shape is, is not known better. */
function stamp({ left, top, step, columns, rows, values }: Field, shape: Shape): void {
  for (let row = 0; row < rows; row += 1)
    for (let column = 0; column < columns; column += 1)
      if (shape.contains(left + column * step, top + row * step)) values[row * columns + column] = step;
}

function paint(
  { left, top, step, columns, rows, values }: Field,
  { points, radius, erase }: BrushStroke,
): void {
  for (let k = 0; k < points.length; k += 1) {
    const a = points[Math.max(0, k - 1)] as XY;
    const b = points[k] as XY;
    if (k === 0 && points.length > 1) continue;
    const reach = radius + 2 * step;
    const fromColumn = Math.max(0, Math.floor((Math.min(a[0], b[0]) - reach - left) / step));
    const toColumn = Math.min(columns - 1, Math.ceil((Math.max(a[0], b[0]) + reach - left) / step));
    const fromRow = Math.max(0, Math.floor((Math.min(a[1], b[1]) - reach - top) / step));
    const toRow = Math.min(rows - 1, Math.ceil((Math.max(a[1], b[1]) + reach - top) / step));
    for (let row = fromRow; row <= toRow; row += 1)
      for (let column = fromColumn; column <= toColumn; column += 1) {
        const squared = squaredDistance(left + column * step, top + row * step, a[0], a[1], b[0], b[1]);
        if (squared > reach * reach) continue;
        const inside = radius - Math.sqrt(squared);
        const place = row * columns + column;
        const old = values[place] as number;
        values[place] = erase ? Math.min(old, -inside) : Math.max(old, inside);
      }
  }
}

/** The loops along which a field is zero, inside to the right: outlines run clockwise on the screen, holes the other way. */
function traceLoops({ left, top, step, columns, rows, values }: Field): XY[][] {
  const inside = (column: number, row: number) => (values[row * columns + column] as number) > 0;
  // The edge of the field's grid that the outline crosses next: "h" to the right of a place, "v" below it.
  const next = new Map<number, number>();
  const h = (column: number, row: number) => 2 * (row * columns + column);
  const v = (column: number, row: number) => 2 * (row * columns + column) + 1;
  for (let row = 0; row + 1 < rows; row += 1)
    for (let column = 0; column + 1 < columns; column += 1) {
      const code =
        (inside(column, row) ? 1 : 0) |
        (inside(column + 1, row) ? 2 : 0) |
        (inside(column + 1, row + 1) ? 4 : 0) |
        (inside(column, row + 1) ? 8 : 0);
      if (code === 0 || code === 15) continue;
      const sides = [h(column, row), v(column + 1, row), h(column, row + 1), v(column, row)] as const;
      for (const [from, to] of CROSSINGS[code] ?? []) next.set(sides[from] as number, sides[to] as number);
    }
  const place = (edge: number): XY => {
    const at = edge >> 1;
    const column = at % columns;
    const row = (at - column) / columns;
    const a = values[at] as number;
    const b = values[edge & 1 ? at + columns : at + 1] as number;
    const share = a === b ? 0.5 : a / (a - b);
    return edge & 1
      ? [left + column * step, top + (row + share) * step]
      : [left + (column + share) * step, top + row * step];
  };
  const loops: XY[][] = [];
  for (const begin of [...next.keys()]) {
    const loop: XY[] = [];
    for (let edge: number | undefined = begin; edge !== undefined && next.has(edge); ) {
      loop.push(place(edge));
      const following: number | undefined = next.get(edge);
      next.delete(edge);
      edge = following;
    }
    if (loop.length) loops.push(loop);
  }
  return loops;
}

/**
 * From which side to which the outline goes through a cell (0 top, 1 right, 2 bottom, 3 left), by the corners inside
 * (1 top left, 2 top right, 4 bottom right, 8 bottom left), with the inside to its right. Corners that only touch are
 * kept apart.
 */
const CROSSINGS: Readonly<Record<number, readonly (readonly [number, number])[]>> = {
  1: [[0, 3]],
  2: [[1, 0]],
  3: [[1, 3]],
  4: [[2, 1]],
  5: [
    [0, 3],
    [2, 1],
  ],
  6: [[2, 0]],
  7: [[2, 3]],
  8: [[3, 2]],
  9: [[0, 2]],
  10: [
    [1, 0],
    [3, 2],
  ],
  11: [[1, 2]],
  12: [[3, 1]],
  13: [[0, 1]],
  14: [[3, 0]],
};
