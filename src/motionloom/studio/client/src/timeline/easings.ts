// Easing curves as four numbers, their names, and their halves.

import type { Easing, EasingName } from "../motion/document";
import { NAMED } from "../motion/easing";

export type Bezier = readonly [number, number, number, number];

/** The control points behind the names. `hold` has none: it jumps at the end. */
const BEZIERS: Readonly<Record<Exclude<EasingName, "hold">, Bezier>> = { linear: [0, 0, 1, 1], ...NAMED };

export const EASING_NAMES: readonly EasingName[] = ["linear", "ease-in", "ease-out", "ease-in-out", "hold"];

export const EASING_TITLES: Readonly<Record<EasingName, string>> = {
  linear: "Linear",
  "ease-in": "Ease in",
  "ease-out": "Ease out",
  "ease-in-out": "Ease in and out",
  hold: "Hold, then jump",
};

export function bezierOf(easing: Easing): Bezier | null {
  if (typeof easing !== "string") return easing;
  return easing === "hold" ? null : BEZIERS[easing];
}

/** The name of a curve that has one, the numbers of one that has not. */
export function named(numbers: Bezier): Easing {
  const found = (Object.keys(BEZIERS) as (keyof typeof BEZIERS)[]).find((name) =>
    BEZIERS[name].every((value, place) => Math.abs(value - (numbers[place] as number)) < 5e-4),
  );
  return found ?? numbers;
}

export function describe(easing: Easing): string {
  if (typeof easing === "string") return EASING_TITLES[easing];
  return `Curve ${easing.map((value) => Number(value.toFixed(2))).join(", ")}`;
}

export function sameEasing(a: Easing, b: Easing): boolean {
  if (typeof a === "string" || typeof b === "string") return a === b;
  return a.every((value, place) => value === b[place]);
}

/**
 * An easing cut at a share of its time: the two easings that, one after the other, move as it does. Where a half would
 * need a control point outside 0..1 in time, which the format forbids, the nearest one is taken.
 */
export function splitEasing(easing: Easing, share: number): readonly [Easing, Easing] {
  if (easing === "linear" || easing === "hold") return [easing, easing];
  const [x1, y1, x2, y2] = bezierOf(easing) as Bezier;
  const s = parameterAt(x1, x2, share);
  const xs = halves(x1, x2, s);
  const ys = halves(y1, y2, s);
  return [normal(xs[0], ys[0]), normal(xs[1], ys[1])];
}

function parameterAt(x1: number, x2: number, x: number): number {
  let low = 0;
  let high = 1;
  for (let round = 0; round < 50; round++) {
    const s = (low + high) / 2;
    if (3 * (1 - s) ** 2 * s * x1 + 3 * (1 - s) * s ** 2 * x2 + s ** 3 < x) low = s;
    else high = s;
  }
  return (low + high) / 2;
}

type Four = readonly [number, number, number, number];

/** De Casteljau: the control values of both halves of (0, a, b, 1) cut at s. */
function halves(a: number, b: number, s: number): readonly [Four, Four] {
  const mix = (p: number, q: number) => p + (q - p) * s;
  const first = mix(0, a);
  const middle = mix(a, b);
  const last = mix(b, 1);
  const left = mix(first, middle);
  const right = mix(middle, last);
  const cut = mix(left, right);
  return [
    [0, first, left, cut],
    [cut, right, last, 1],
  ];
}

function normal(x: Four, y: Four): Easing {
  const width = x[3] - x[0];
  const height = y[3] - y[0];
  if (width < 1e-9 || Math.abs(height) < 1e-9) return "linear";
  const share = (value: number) => round(Math.min(Math.max((value - x[0]) / width, 0), 1));
  const level = (value: number) => round((value - y[0]) / height);
  return named([share(x[1]), level(y[1]), share(x[2]), level(y[2])]);
}

const round = (value: number) => Math.round(value * 1e6) / 1e6;
