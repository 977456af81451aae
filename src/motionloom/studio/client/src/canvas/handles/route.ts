// Handles of a route: control points, Bézier tangents, and the soft edit that takes the neighbours along.

import type { Instruction, PathPoint, Route, XY } from "../../motion/document";
import { type Handle, type How, onAxis } from "./handle";
import { rounded } from "./values";

/** Tangents of more points than this show for picked points alone. */
const MANY_POINTS = 8;

/** Handles of a route; `set` puts a changed route into its instruction. */
export function routeHandles(
  route: Route,
  set: (route: Route) => Instruction,
  picked: readonly number[] = [],
): Handle[] {
  const handles: Handle[] = [];
  const last = route.points.length - 1;
  route.points.forEach((point, index) => {
    const timed = point.frame === undefined ? "" : `, frame ${rounded(point.frame)}`;
    handles.push({
      key: `point-${index}`,
      label: `point ${index + 1}`,
      at: [point.x, point.y],
      look: index === 0 ? "start" : index === last ? "end" : "point",
      point: index,
      says: `${rounded(point.x, 0)}, ${rounded(point.y, 0)}${timed}`,
      drag: (to, how) => set(movedPoint(route, index, to, how)),
    });
    if (route.curve !== "bezier" || (route.points.length > MANY_POINTS && !picked.includes(index))) return;
    for (const side of ["handle_in", "handle_out"] as const) {
      if ((side === "handle_in" && index === 0) || (side === "handle_out" && index === last)) continue;
      const offset = point[side] ?? [0, 0];
      if (offset[0] === 0 && offset[1] === 0) continue;
      handles.push({
        key: `${side}-${index}`,
        label: `point ${index + 1} ${side === "handle_in" ? "incoming" : "outgoing"} tangent`,
        at: [point.x + offset[0], point.y + offset[1]],
        look: "tangent",
        from: [point.x, point.y],
        drag: (to, how) => set(movedTangent(route, index, side, to, how)),
      });
    }
  });
  return handles;
}

/** One control point at `to`; with a soft edit its neighbours follow, less the farther along the path they are. */
export function movedPoint(route: Route, index: number, to: XY, how: How): Route {
  const held = route.points[index];
  if (!held) return route;
  const [x, y] = how.shift ? onAxis([held.x, held.y], to) : to;
  const by: XY = [x - held.x, y - held.y];
  const weights = how.soft > 0 ? softWeights(route.points, index, how.soft) : null;
  const points = route.points.map((point, k) => {
    const weight = weights ? (weights[k] ?? 0) : k === index ? 1 : 0;
    if (weight < 1e-3) return point;
    return { ...point, x: rounded(point.x + by[0] * weight), y: rounded(point.y + by[1] * weight) };
  });
  return { ...route, points };
}

/** How much each control point follows the held one: a bell along the path that is a half at `reach` pixels. */
export function softWeights(points: readonly PathPoint[], index: number, reach: number): number[] {
  const along = [0];
  for (let k = 1; k < points.length; k++) {
    const [a, b] = [points[k - 1] as PathPoint, points[k] as PathPoint];
    along.push((along[k - 1] as number) + Math.hypot(b.x - a.x, b.y - a.y));
  }
  const here = along[index] as number;
  return along.map((place) => 2 ** -(((place - here) / reach) ** 2));
}

/** A tangent at `to`. The opposite one keeps in line with it where it was; with Alt it stays. */
function movedTangent(
  route: Route,
  index: number,
  side: "handle_in" | "handle_out",
  to: XY,
  how: How,
): Route {
  const points = route.points.map((point, k) => {
    if (k !== index) return point;
    const end = how.shift ? onAxis([point.x, point.y], to) : to;
    const offset: XY = [rounded(end[0] - point.x), rounded(end[1] - point.y)];
    const moved = { ...point, [side]: offset };
    const other = side === "handle_in" ? "handle_out" : "handle_in";
    const [before, opposite] = [point[side], point[other]];
    if (how.alt || !before || !opposite || !inLine(before, opposite)) return moved;
    const length = Math.hypot(...opposite);
    const norm = Math.hypot(...offset) || 1;
    return {
      ...moved,
      [other]: [rounded((-offset[0] / norm) * length), rounded((-offset[1] / norm) * length)],
    };
  });
  return { ...route, points };
}

function inLine(a: XY, b: XY): boolean {
  const size = Math.hypot(...a) * Math.hypot(...b);
  return size > 0 && Math.abs(a[0] * b[1] - a[1] * b[0]) < 0.03 * size && a[0] * b[0] + a[1] * b[1] < 0;
}
