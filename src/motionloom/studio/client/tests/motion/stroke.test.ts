import { describe, expect, it } from "vitest";
import { at, flatten } from "../../src/motion/curve";
import type { XY } from "../../src/motion/document";
import { keyframed } from "../../src/motion/easing";
import { nearest } from "../../src/motion/nearest";
import { type StrokeOptions, type StrokeSample, strokeToPath } from "../../src/motion/stroke";
import { randomFrom } from "../random";

const OPTIONS: StrokeOptions = { mode: "drawn-speed", numFrames: 49, fps: 16, tolerance: 1.5 };

/** A pen along `place` (0..1) for so many milliseconds, seen every 8 ms to whole pixels. */
function drawn(place: (share: number) => XY, ms: number, pace = (share: number) => share): StrokeSample[] {
  return Array.from({ length: Math.round(ms / 8) + 1 }, (_, k) => {
    const share = Math.min(1, (k * 8) / ms);
    const [x, y] = place(pace(share));
    return { x: Math.round(x), y: Math.round(y), ms: 5000 + share * ms };
  });
}

const wave = (share: number): XY => [40 + 500 * share, 180 + 90 * Math.sin(share * 9)];
const square = (share: number): XY => {
  const corners: XY[] = [
    [50, 50],
    [250, 50],
    [250, 250],
    [50, 250],
  ];
  const side = Math.min(3, Math.floor(share * 4));
  const rest = share * 4 - side;
  const [a, b] = [corners[side] as XY, corners[(side + 1) % 4] as XY];
  return [a[0] + (b[0] - a[0]) * rest, a[1] + (b[1] - a[1]) * rest];
};

describe.each([
  ["a wave", wave, 24],
  ["a square", square, 24],
] as const)("%s", (_, place, most) => {
  it.each(["drawn-speed", "even"] as const)("needs few points and stays within tolerance (%s)", (mode) => {
    const samples = drawn(place, 2000);
    const route = strokeToPath(samples, { ...OPTIONS, mode });
    expect(route.points.length).toBeLessThanOrEqual(most);
    for (const { x, y } of samples) expect(nearest(route, [x, y]).distance).toBeLessThanOrEqual(1.55);
    expect(route.points.every((point) => (point.frame === undefined) === (mode === "even"))).toBe(true);
  });
});

it("keeps the pace of the hand", () => {
  // Slow at first, then fast; and again the other way round.
  for (const pace of [(share: number) => share ** 3, (share: number) => 1 - (1 - share) ** 3]) {
    const samples = drawn(wave, 2500, pace);
    const route = strokeToPath(samples, OPTIONS);
    const curve = flatten(route.points, route.curve);
    const frames = route.points.map((point) => point.frame as number);
    for (const { x, y, ms } of samples) {
      const distance = keyframed(((ms - 5000) / 1000) * 16, frames, [...curve.knots], () => "linear");
      const [px, py] = at(curve, distance);
      expect(Math.hypot(px - x, py - y)).toBeLessThan(8);
    }
    expect(route.points.length).toBeLessThan(40);
  }
});

it("keeps a rest of the pen", () => {
  const go = drawn((share) => [100 + 100 * share, 50], 800);
  const rest = Array.from({ length: 100 }, (_, k) => ({ x: 200, y: 50, ms: 5800 + 8 * (k + 1) }));
  const on = drawn((share) => [200, 50 + 100 * share], 800).map((each) => ({ ...each, ms: each.ms + 1600 }));
  const route = strokeToPath([...go, ...rest, ...on.slice(1)], OPTIONS);
  const still = route.points.filter((point) => Math.hypot(point.x - 200, point.y - 50) < 1.5);
  const [begin, end] = [still[0]?.frame ?? 0, still.at(-1)?.frame ?? 0];
  expect(end - begin).toBeGreaterThan(0.8 * 16 - 2.5);
  expect(route.points.at(-1)?.frame).toBeCloseTo(2.4 * 16, 0);
});

it("plays a stroke that took longer than the motion faster, and cuts nothing", () => {
  const route = strokeToPath(drawn(wave, 12_000), OPTIONS);
  expect(route.points.at(-1)?.frame).toBeCloseTo(48, 2);
  expect(route.points.at(-1)?.x).toBe(540);
});

it("has frames that increase, whatever the clock did", () => {
  const random = randomFrom(3);
  for (let round = 0; round < 50; round += 1) {
    let ms = 0;
    const samples = Array.from({ length: 60 }, () => {
      ms += random() < 0.4 ? 0 : random() * 30 - (random() < 0.1 ? 20 : 0);
      return { x: random() * 300, y: random() * 200, ms };
    });
    const { points } = strokeToPath(samples, OPTIONS);
    for (let k = 1; k < points.length; k += 1)
      expect(points[k]?.frame as number).toBeGreaterThan(points[k - 1]?.frame as number);
    expect(points[0]?.frame).toBe(0);
  }
});

it("makes something of next to nothing", () => {
  expect(strokeToPath([], OPTIONS).points).toEqual([]);
  expect(strokeToPath([{ x: 3, y: 4, ms: 9 }], OPTIONS).points).toEqual([{ x: 3, y: 4, frame: 0 }]);
  const instant = [
    { x: 0, y: 0, ms: 7 },
    { x: 50, y: 0, ms: 7 },
  ];
  expect(strokeToPath(instant, OPTIONS).points.map(({ x }) => x)).toEqual([0, 50]);
  expect(strokeToPath(instant, { ...OPTIONS, numFrames: 1 }).points.length).toBeGreaterThan(0);
});

it("is quick enough for the end of a gesture", () => {
  const random = randomFrom(9);
  let [x, y] = [300, 200];
  const scribble = Array.from({ length: 3000 }, (_, k) => {
    x += (random() - 0.5) * 14;
    y += (random() - 0.5) * 14;
    return { x, y, ms: k * 4 };
  });
  const begin = performance.now();
  const { points } = strokeToPath(scribble, OPTIONS);
  expect(performance.now() - begin).toBeLessThan(1500);
  expect(points.length).toBeLessThanOrEqual(400);
});
