// The place on a curve that is nearest to a point, and splitting a curve there.

import { type Curve, flatten, handles } from "./curve";
import type { PathPoint, Route, XY } from "./document";

export interface Nearest {
  readonly x: number;
  readonly y: number;
  /** Pixels from the point asked about. */
  readonly distance: number;
  /** Pixels along the curve from its beginning. */
  readonly along: number;
  /** Between control points `segment` and `segment + 1`. */
  readonly segment: number;
  /** Where between them: the parameter of the segment's cubic curve, 0..1. */
  readonly parameter: number;
}

/** The nearest place on a route; of equally near ones the first. */
export function nearest(route: Route, at: XY): Nearest {
  const curve = flatten(route.points, route.curve);
  const { vertices, lengths, knotVertices } = curve;
  let best = {
    x: vertices[0] as number,
    y: vertices[1] as number,
    squared: Number.POSITIVE_INFINITY,
    vertex: 0,
    share: 0,
  };
  const last = lengths.length - 1;
  for (let k = 0; k < Math.max(last, 1); k += 1) {
    const found = nearestOnSegment(vertices, k, Math.min(k + 1, last), at);
    if (found.squared < best.squared) best = { ...found, vertex: k };
  }
  const segment = Math.max(0, segmentOf(curve, best.vertex));
  const from = knotVertices[segment] as number;
  const count = Math.max(1, (knotVertices[Math.min(segment + 1, knotVertices.length - 1)] as number) - from);
  const start = lengths[best.vertex] as number;
  const step = (lengths[Math.min(best.vertex + 1, last)] as number) - start;
  return {
    x: best.x,
    y: best.y,
    distance: Math.sqrt(best.squared),
    along: start + step * best.share,
    segment,
    parameter: Math.min(1, (best.vertex - from + best.share) / count),
  };
}

function nearestOnSegment(vertices: Float64Array, from: number, to: number, at: XY) {
  const x = vertices[2 * from] as number;
  const y = vertices[2 * from + 1] as number;
  const dx = (vertices[2 * to] as number) - x;
  const dy = (vertices[2 * to + 1] as number) - y;
  const whole = dx * dx + dy * dy;
  const share = whole > 0 ? Math.min(Math.max(((at[0] - x) * dx + (at[1] - y) * dy) / whole, 0), 1) : 0;
  const px = x + share * dx;
  const py = y + share * dy;
  return { x: px, y: py, squared: (at[0] - px) ** 2 + (at[1] - py) ** 2, share };
}

function segmentOf(curve: Curve, vertex: number): number {
  const { knotVertices } = curve;
  let segment = 0;
  while (segment + 2 < knotVertices.length && (knotVertices[segment + 1] as number) <= vertex) segment += 1;
  return segment;
}

/**
 * The point in the middle and the control points beside it, so that the curve keeps its shape: a Bézier segment is
 * split after de Casteljau; on the others the new point lies on the curve.
 */
export function splitAt(
  route: Route,
  place: Pick<Nearest, "segment" | "parameter" | "x" | "y">,
): { before: PathPoint; middle: PathPoint; after: PathPoint } {
  const before = route.points[place.segment] as PathPoint;
  const after = route.points[place.segment + 1] as PathPoint;
  if (route.curve !== "bezier") return { before, middle: { x: place.x, y: place.y }, after };
  const { into, out } = handles([before, after], "bezier");
  const t = place.parameter;
  const a: XY = [before.x, before.y];
  const d: XY = [after.x, after.y];
  const b: XY = [a[0] + (out[0] as XY)[0], a[1] + (out[0] as XY)[1]];
  const c: XY = [d[0] + (into[1] as XY)[0], d[1] + (into[1] as XY)[1]];
  const ab = between(a, b, t);
  const bc = between(b, c, t);
  const cd = between(c, d, t);
  const abc = between(ab, bc, t);
  const bcd = between(bc, cd, t);
  const [x, y] = between(abc, bcd, t);
  const offset = (from: XY, to: XY): XY => [to[0] - from[0], to[1] - from[1]];
  return {
    before: { ...before, handle_out: offset(a, ab) },
    middle: { x, y, handle_in: offset([x, y], abc), handle_out: offset([x, y], bcd) },
    after: { ...after, handle_in: offset(d, cd) },
  };
}

function between(a: XY, b: XY, t: number): XY {
  return [a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t];
}
