// Lines and outlines: fewer points for the same shape, areas, and what an outline with holes is made of.

import type { XY } from "./document";

/** The points of a line that are needed to stay within `tolerance` of all of them (Douglas and Peucker 1973). */
export function simplifyLine(points: readonly XY[], tolerance: number): readonly XY[] {
  if (points.length < 3) return points;
  const keep = new Uint8Array(points.length);
  keep[0] = keep[points.length - 1] = 1;
  const open: [number, number][] = [[0, points.length - 1]];
  for (let range = open.pop(); range; range = open.pop()) {
    const [from, to] = range;
    let worst = tolerance;
    let farthest = -1;
    for (let k = from + 1; k < to; k += 1) {
      const distance = distanceToSegment(points[k] as XY, points[from] as XY, points[to] as XY);
      if (distance <= worst) continue;
      worst = distance;
      farthest = k;
    }
    if (farthest < 0) continue;
    keep[farthest] = 1;
    open.push([from, farthest], [farthest, to]);
  }
  return points.filter((_, k) => keep[k]);
}

/** The corners of a closed outline that are needed to stay within `tolerance` of all of them. */
export function simplifyPolygon(points: readonly XY[], tolerance: number): readonly XY[] {
  const closed = points.filter((point, k) => k === 0 || !samePlace(point, points[k - 1] as XY));
  while (closed.length > 1 && samePlace(closed[0] as XY, closed[closed.length - 1] as XY)) closed.pop();
  if (closed.length < 4) return closed;
  // Between the first corner and the one farthest from it lie two lines.
  const first = closed[0] as XY;
  let far = 0;
  let most = -1;
  for (const [k, [x, y]] of closed.entries()) {
    const distance = Math.hypot(x - first[0], y - first[1]);
    if (distance <= most) continue;
    most = distance;
    far = k;
  }
  const out = simplifyLine(closed.slice(0, far + 1), tolerance);
  const back = simplifyLine([...closed.slice(far), first], tolerance);
  return [...out, ...back.slice(1, -1)];
}

/** The distance of a point from the line between two others, in pixels. */
export function distanceToSegment([x, y]: XY, [ax, ay]: XY, [bx, by]: XY): number {
  return Math.sqrt(squaredDistance(x, y, ax, ay, bx, by));
}

/** The same in square pixels, for many points. */
export function squaredDistance(
  x: number,
  y: number,
  ax: number,
  ay: number,
  bx: number,
  by: number,
): number {
  const dx = bx - ax;
  const dy = by - ay;
  const whole = dx * dx + dy * dy;
  const share = whole > 0 ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / whole, 0), 1) : 0;
  const offX = x - ax - share * dx;
  const offY = y - ay - share * dy;
  return offX * offX + offY * offY;
}

/** Square pixels inside a closed outline; negative where it runs counterclockwise on the screen. */
export function signedArea(polygon: readonly XY[]): number {
  let twice = 0;
  for (const [k, [x, y]] of polygon.entries()) {
    const [nextX, nextY] = polygon[(k + 1) % polygon.length] as XY;
    twice += x * nextY - nextX * y;
  }
  return twice / 2;
}

/**
 * Several loops as one polygon for the even-odd rule: from each to the next leads a bridge that is crossed back on the
 * way out, so that it encloses nothing. Holes have to run the other way round for the centre of mass to be right.
 */
export function joinLoops(loops: readonly (readonly XY[])[]): readonly XY[] {
  let result: readonly XY[] = loops[0] ?? [];
  for (const loop of loops.slice(1)) {
    let [from, to, least] = [0, 0, Number.POSITIVE_INFINITY];
    for (const [k, [x, y]] of result.entries())
      for (const [j, [u, v]] of loop.entries()) {
        const squared = (x - u) * (x - u) + (y - v) * (y - v);
        if (squared < least) [from, to, least] = [k, j, squared];
      }
    result = [
      ...result.slice(0, from + 1),
      ...loop.slice(to),
      ...loop.slice(0, to + 1),
      ...result.slice(from),
    ];
  }
  return result;
}

/** The loops of a polygon, without the bridges between them: what is to be drawn as its outline. */
export function loopsOf(polygon: readonly XY[]): readonly (readonly XY[])[] {
  const known = loops.get(polygon) ?? takenApart(polygon);
  loops.set(polygon, known);
  return known;
}

const loops = new WeakMap<readonly XY[], readonly (readonly XY[])[]>();

function takenApart(polygon: readonly XY[]): readonly (readonly XY[])[] {
  const name = ([x, y]: XY) => `${x} ${y}`;
  const edges = new Map<string, XY[]>(); // from a corner to the corners it leads to
  for (const [k, from] of polygon.entries()) {
    const to = polygon[(k + 1) % polygon.length] as XY;
    if (samePlace(from, to)) continue;
    const back = edges.get(name(to));
    const crossed = back?.findIndex((each) => samePlace(each, from)) ?? -1;
    if (crossed >= 0) back?.splice(crossed, 1);
    else edges.set(name(from), [...(edges.get(name(from)) ?? []), to]);
  }
  const result: XY[][] = [];
  for (const start of polygon) {
    const loop: XY[] = [];
    let here: XY | undefined = start;
    for (let next = edges.get(name(start))?.pop(); next; next = edges.get(name(next))?.pop()) {
      loop.push(here as XY);
      here = next;
    }
    if (loop.length > 2) result.push(loop);
  }
  return result;
}

function samePlace(a: XY, b: XY): boolean {
  return a[0] === b[0] && a[1] === b[1];
}
