// 3 x 3 matrices as nine numbers, row after row.

import type { XY } from "./document";

export type Matrix = readonly [number, number, number, number, number, number, number, number, number];

/** What lies nearer than this counts as behind the camera. */
export const NEAR_SHARE = 1e-3;
/** No coordinate goes farther from the picture. */
export const FAR_AWAY = 1e6;

export function multiply(a: Matrix, b: Matrix): Matrix {
  const result = new Array<number>(9);
  for (let i = 0; i < 3; i += 1)
    for (let j = 0; j < 3; j += 1)
      result[3 * i + j] =
        (a[3 * i] as number) * (b[j] as number) +
        (a[3 * i + 1] as number) * (b[j + 3] as number) +
        (a[3 * i + 2] as number) * (b[j + 6] as number);
  return result as unknown as Matrix;
}

export function determinant([a, b, c, d, e, f, g, h, i]: Matrix): number {
  return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g);
}

export function inverse(matrix: Matrix): Matrix {
  const [a, b, c, d, e, f, g, h, i] = matrix;
  const s = 1 / determinant(matrix);
  return [
    (e * i - f * h) * s,
    (c * h - b * i) * s,
    (b * f - c * e) * s,
    (f * g - d * i) * s,
    (a * i - c * g) * s,
    (c * d - a * f) * s,
    (d * h - e * g) * s,
    (b * g - a * h) * s,
    (a * e - b * d) * s,
  ];
}

export function transposed([a, b, c, d, e, f, g, h, i]: Matrix): Matrix {
  return [a, d, g, b, e, h, c, f, i];
}

/** Right-handed rotation by degrees about axis 0 (x), 1 (y) or 2 (z). */
export function rotation(axis: 0 | 1 | 2, degrees: number): Matrix {
  const angle = (degrees * Math.PI) / 180;
  const cos = Math.cos(angle);
  const sin = Math.sin(angle);
  if (axis === 0) return [1, 0, 0, 0, cos, -sin, 0, sin, cos];
  if (axis === 1) return [cos, 0, sin, 0, 1, 0, -sin, 0, cos];
  return [cos, -sin, 0, sin, cos, 0, 0, 0, 1];
}

/** Scales (x, y) and turns by degrees about a pivot, then shifts. */
export function affine(pivot: XY, shift: XY, scale: XY, degrees: number): Matrix {
  const angle = (degrees * Math.PI) / 180;
  const a = Math.cos(angle) * scale[0];
  const b = -Math.sin(angle) * scale[1];
  const c = Math.sin(angle) * scale[0];
  const d = Math.cos(angle) * scale[1];
  const x = pivot[0] + shift[0] - (a * pivot[0] + b * pivot[1]);
  const y = pivot[1] + shift[1] - (c * pivot[0] + d * pivot[1]);
  return [a, b, x, c, d, y, 0, 0, 1];
}

/** Writes a point under a homography to `into` at `place`; false: it does not lie in front. */
export function applyTo(matrix: Matrix, x: number, y: number, into: Float64Array, place: number): boolean {
  const w = matrix[6] * x + matrix[7] * y + matrix[8];
  const front = w > NEAR_SHARE;
  const s = front ? w : 1;
  into[place] = clip((matrix[0] * x + matrix[1] * y + matrix[2]) / s);
  into[place + 1] = clip((matrix[3] * x + matrix[4] * y + matrix[5]) / s);
  return front;
}

export function clip(value: number): number {
  return Math.min(Math.max(value, -FAR_AWAY), FAR_AWAY);
}
