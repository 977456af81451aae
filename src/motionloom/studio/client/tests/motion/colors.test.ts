import { expect, it } from "vitest";
import { COLORS, withColors } from "../../src/motion/colors";
import { readMotion } from "../../src/motion/read";

type Triple = readonly [number, number, number];
type Matrix = readonly [Triple, Triple, Triple];

const times = (matrix: Matrix, [x, y, z]: Triple) =>
  matrix.map(([a, b, c]) => a * x + b * y + c * z) as unknown as Triple;

function linear(color: string): Triple {
  const parts = [1, 3, 5].map((k) => Number.parseInt(color.slice(k, k + 2), 16) / 255);
  return parts.map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)) as unknown as Triple;
}

/** Ottosson's OKLab: distances as people see them. */
function oklab(rgb: Triple): Triple {
  const clipped = rgb.map((c) => Math.min(Math.max(c, 0), 1)) as unknown as Triple;
  const cones = times(
    [
      [0.4122214708, 0.5363325363, 0.0514459929],
      [0.2119034982, 0.6806995451, 0.1073969566],
      [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    clipped,
  ).map(Math.cbrt) as unknown as Triple;
  return times(
    [
      [0.2104542553, 0.793617785, -0.0040720468],
      [1.9779984951, -2.428592205, 0.4505937099],
      [0.0259040371, 0.7827717662, -0.808675766],
    ],
    cones,
  );
}

/** Machado et al. 2009, severity 1. */
const EYES: Record<string, Matrix> = {
  trichromat: [
    [1, 0, 0],
    [0, 1, 0],
    [0, 0, 1],
  ],
  protanope: [
    [0.152286, 1.052583, -0.204868],
    [0.114503, 0.786281, 0.099216],
    [-0.003882, -0.048116, 1.051998],
  ],
  deuteranope: [
    [0.367322, 0.860646, -0.227968],
    [0.280085, 0.672501, 0.047413],
    [-0.01182, 0.04294, 0.968881],
  ],
  tritanope: [
    [1.255528, -0.076749, -0.178779],
    [-0.078411, 0.930809, 0.147602],
    [0.004733, 0.691367, 0.3039],
  ],
};

it.each(Object.keys(EYES))("can be told apart by a %s", (eye) => {
  const seen = COLORS.map((color) => oklab(times(EYES[eye] as Matrix, linear(color))));
  for (const [k, a] of seen.entries())
    for (const b of seen.slice(k + 1))
      expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2])).toBeGreaterThan(0.07);
});

it("can be seen on dark and on light surfaces", () => {
  const luminance = (color: string) =>
    linear(color).reduce((sum, c, k) => sum + c * ([0.2126, 0.7152, 0.0722][k] ?? 0), 0);
  for (const color of COLORS) {
    expect(1.05 / (luminance(color) + 0.05)).toBeGreaterThan(1.95);
    expect((luminance(color) + 0.05) / (luminance("#16181c") + 0.05)).toBeGreaterThan(2.6);
  }
});

it("are given to instructions of a file that has none, and leave those that have one", () => {
  const motion = readMotion({
    format: "motionloom.motion",
    version: 1,
    canvas: { width: 100, height: 100 },
    num_frames: 9,
    fps: 8,
    instructions: [
      { kind: "path", points: [[1, 1]] },
      { kind: "path", points: [[2, 2]], color: COLORS[0] },
      { kind: "path", points: [[3, 3]], color: "#123456" },
      { kind: "path", points: [[4, 4]] },
    ],
  });
  expect(withColors(motion).instructions.map(({ color }) => color)).toEqual([
    COLORS[1],
    COLORS[0],
    "#123456",
    COLORS[2],
  ]);
  const whole = withColors(motion);
  expect(withColors(whole)).toBe(whole);
});
