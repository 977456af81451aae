// Curves through control points, and travelling along them, as motionloom/tracks/paths.py has it: all curves become one
// polyline with known lengths; a place on a path is a distance from its beginning in pixels.

import type { CurveKind, PathPoint, XY } from "./document";

/** A vertex about every two pixels, so that speed along the polyline is even to well under a percent. */
const PIXELS_PER_VERTEX = 2;
const MAX_VERTICES_PER_SEGMENT = 256;

export interface Curve {
  /** x, y of each vertex, M * 2 numbers. */
  readonly vertices: Float64Array;
  /** Distance from the beginning to each vertex, M numbers. */
  readonly lengths: Float64Array;
  /** Distance from the beginning to each control point. */
  readonly knots: Float64Array;
  /** The vertex at each control point. */
  readonly knotVertices: Int32Array;
}

export interface Handles {
  readonly into: readonly XY[];
  readonly out: readonly XY[];
}

const flattened = new WeakMap<readonly PathPoint[], Map<CurveKind, Curve>>();

/** The curve of a kind through control points. Remembered as long as the list of points lives. */
export function flatten(points: readonly PathPoint[], kind: CurveKind = "polyline"): Curve {
  let kinds = flattened.get(points);
  if (!kinds) {
    kinds = new Map();
    flattened.set(points, kinds);
  }
  let curve = kinds.get(kind);
  if (!curve) {
    curve = flattenAnew(points, kind);
    kinds.set(kind, curve);
  }
  return curve;
}

function flattenAnew(points: readonly PathPoint[], kind: CurveKind): Curve {
  const { into, out } = handles(points, kind);
  const first = points[0] as PathPoint;
  const vertices: number[] = [first.x, first.y];
  const knotVertices = new Int32Array(points.length);
  for (let k = 0; k + 1 < points.length; k += 1) {
    const a = points[k] as PathPoint;
    const d = points[k + 1] as PathPoint;
    const [outX, outY] = out[k] as XY;
    const [inX, inY] = into[k + 1] as XY;
    const b = { x: a.x + outX, y: a.y + outY };
    const c = { x: d.x + inX, y: d.y + inY };
    const straight = outX === 0 && outY === 0 && inX === 0 && inY === 0;
    let count = 1;
    if (!straight) {
      const span =
        Math.hypot(b.x - a.x, b.y - a.y) +
        Math.hypot(c.x - b.x, c.y - b.y) +
        Math.hypot(d.x - c.x, d.y - c.y);
      count = Math.min(Math.max(Math.ceil(span / PIXELS_PER_VERTEX), 8), MAX_VERTICES_PER_SEGMENT);
    }
    for (let step = 1; step < count; step += 1) {
      const s = step / count;
      const rest = 1 - s;
      const w0 = rest * rest * rest;
      const w1 = 3 * rest * rest * s;
      const w2 = 3 * rest * s * s;
      const w3 = s * s * s;
      vertices.push(w0 * a.x + w1 * b.x + w2 * c.x + w3 * d.x, w0 * a.y + w1 * b.y + w2 * c.y + w3 * d.y);
    }
    vertices.push(d.x, d.y);
    knotVertices[k + 1] = (knotVertices[k] as number) + count;
  }
  return measured(Float64Array.from(vertices), knotVertices);
}

function measured(vertices: Float64Array, knotVertices: Int32Array): Curve {
  const lengths = new Float64Array(vertices.length / 2);
  for (let k = 1; k < lengths.length; k += 1) {
    const dx = (vertices[2 * k] as number) - (vertices[2 * k - 2] as number);
    const dy = (vertices[2 * k + 1] as number) - (vertices[2 * k - 1] as number);
    lengths[k] = (lengths[k - 1] as number) + Math.sqrt(dx * dx + dy * dy);
  }
  const knots = Float64Array.from(knotVertices, (vertex) => lengths[vertex] as number);
  return { vertices, lengths, knots, knotVertices };
}

/** The Bézier handles of a curve at each of its points, as offsets: drawn ones, or those of the spline. */
export function handles(points: readonly PathPoint[], kind: CurveKind): Handles {
  const none: XY = [0, 0];
  if (kind === "bezier")
    return {
      into: points.map((point) => point.handle_in ?? none),
      out: points.map((point) => point.handle_out ?? none),
    };
  const into = points.map(() => none);
  const out = points.map(() => none);
  if (kind === "catmull-rom") splineHandles(points, into, out);
  return { into, out };
}

/** The centripetal Catmull-Rom spline (Yuksel et al. 2011, alpha = 0.5), which passes every point without loops. */
function splineHandles(points: readonly PathPoint[], into: XY[], out: XY[]): void {
  const last = points.length - 1;
  for (let k = 0; k < last; k += 1) {
    const here = points[k] as PathPoint;
    const there = points[k + 1] as PathPoint;
    const before = points[k - 1] ?? { x: 2 * here.x - there.x, y: 2 * here.y - there.y };
    const after = points[k + 2] ?? { x: 2 * there.x - here.x, y: 2 * there.y - here.y };
    const d1 = Math.sqrt(Math.hypot(here.x - before.x, here.y - before.y));
    const d2 = Math.sqrt(Math.hypot(there.x - here.x, there.y - here.y));
    const d3 = Math.sqrt(Math.hypot(after.x - there.x, after.y - there.y));
    if (d2 === 0) continue;
    if (d1 > 0) out[k] = pull(here, there, before, d1, d2);
    if (d3 > 0) into[k + 1] = pull(there, here, after, d3, d2);
  }
}

/** The handle at `point` towards `other`, with `far` on the point's other side; d: square roots of the distances. */
function pull(point: PathPoint, other: PathPoint, far: PathPoint, dFar: number, dOther: number): XY {
  const own = 2 * dFar ** 2 + 3 * dFar * dOther + dOther ** 2;
  const whole = 3 * dFar * (dFar + dOther);
  return [
    (dFar ** 2 * other.x - dOther ** 2 * far.x + own * point.x) / whole - point.x,
    (dFar ** 2 * other.y - dOther ** 2 * far.y + own * point.y) / whole - point.y,
  ];
}

/** The whole length in pixels. */
export function lengthOf(curve: Curve): number {
  return curve.lengths[curve.lengths.length - 1] as number;
}

/** The position at a distance in pixels; beyond either end the curve goes on straight. */
export function at(curve: Curve, distance: number): XY {
  const { vertices, lengths } = curve;
  const last = lengths.length - 1;
  const length = lengths[last] as number;
  if (length === 0) return [vertices[0] as number, vertices[1] as number];
  // The segment [k - 1, k] that holds the distance and has a length: repeated vertices carry no place of their own.
  let low = 0;
  let high = last;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((lengths[middle] as number) < distance) low = middle + 1;
    else high = middle;
  }
  let k = Math.max(low, 1);
  while (k < last && lengths[k] === lengths[k - 1]) k += 1;
  while (k > 1 && lengths[k] === lengths[k - 1]) k -= 1;
  const from = lengths[k - 1] as number;
  const share = (distance - from) / ((lengths[k] as number) - from);
  const x = vertices[2 * k - 2] as number;
  const y = vertices[2 * k - 1] as number;
  return [x + share * ((vertices[2 * k] as number) - x), y + share * ((vertices[2 * k + 1] as number) - y)];
}

export interface Legs {
  readonly indices: readonly number[];
  readonly frames: readonly number[];
}

/**
 * The control points a traveller passes at a known time. Points without a frame are passed on the way; the first and
 * last get `start` and `end` where they have none.
 */
export function legs(frames: readonly (number | undefined)[], start: number, end: number): Legs {
  const indices: number[] = [];
  const known: number[] = [];
  for (let k = 0; k < frames.length; k += 1) {
    let frame = frames[k];
    if (frame === undefined && k === 0) frame = start;
    else if (frame === undefined && k === frames.length - 1) frame = end;
    if (frame === undefined) continue;
    indices.push(k);
    known.push(frame);
  }
  return { indices, frames: known };
}
