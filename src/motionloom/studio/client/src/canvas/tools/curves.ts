// Another kind of curve through the same points, in the same shape where the kind can have it.

import { handles } from "../../motion/curve";
import type { CurveKind, Route } from "../../motion/document";
import { round } from "./draft";

export function recurved(route: Route, curve: CurveKind): Route {
  if (curve !== "bezier") {
    const points = route.points.map(({ handle_in: _in, handle_out: _out, ...point }) => point);
    return { curve, points };
  }
  // A polyline would become one with handles of no length, which nobody can take hold of.
  const { into, out } = handles(route.points, route.curve === "polyline" ? "catmull-rom" : route.curve);
  const last = route.points.length - 1;
  const points = route.points.map((point, k) => ({
    ...point,
    ...(k > 0 && { handle_in: round(into[k] ?? [0, 0]) }),
    ...(k < last && { handle_out: round(out[k] ?? [0, 0]) }),
  }));
  return { curve, points };
}
