// Values over time as one number for a handle: what they come to in the end.

import type { Keyframe, ValueCurve } from "../../motion/document";

export function endValue(curve: ValueCurve): number {
  return typeof curve === "number" ? curve : (curve[curve.length - 1]?.value ?? 0);
}

/** The same curve with another value at the end; keyframes before the last stay as they are. */
export function withEndValue(curve: ValueCurve, value: number): ValueCurve {
  if (typeof curve === "number") return value;
  return curve.map((key, k): Keyframe => (k === curve.length - 1 ? { ...key, value } : key));
}

/** Rounded to what a person can mean: a hundredth of a pixel, of a degree, or of a factor. */
export function rounded(value: number, digits = 2): number {
  const power = 10 ** digits;
  return Math.round(value * power) / power;
}
