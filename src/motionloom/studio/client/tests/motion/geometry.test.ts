import { describe, expect, it } from "vitest";
import { paintedOutline, shapeOutline } from "../../src/motion/brush";
import type { XY } from "../../src/motion/document";
import {
  distanceToSegment,
  joinLoops,
  loopsOf,
  signedArea,
  simplifyLine,
  simplifyPolygon,
} from "../../src/motion/geometry";
import { centroidOf, insidePolygon, maskShape, polygonShape } from "../../src/motion/shapes";
import { randomFrom } from "../random";

const CANVAS = { width: 640, height: 360 };
const ring = (radius: number, count: number, x = 200, y = 150): XY[] =>
  Array.from({ length: count }, (_, k) => {
    const angle = (2 * Math.PI * k) / count;
    return [x + radius * Math.cos(angle), y + radius * Math.sin(angle)];
  });

describe("simplifying", () => {
  it("keeps corners and drops what lies between", () => {
    const line: XY[] = [
      [0, 0],
      [10, 0.3],
      [20, 0],
      [20, 10],
      [20.2, 20],
    ];
    expect(simplifyLine(line, 0.5)).toEqual([
      [0, 0],
      [20, 0],
      [20.2, 20],
    ]);
    expect(simplifyLine(line, 0.05)).toEqual(line);
  });

  it("stays within tolerance of every point of an outline", () => {
    const outline = ring(80, 400);
    const simple = simplifyPolygon([...outline, outline[0] as XY], 1);
    expect(simple.length).toBeLessThan(40);
    for (const point of outline) {
      const distances = simple.map((a, k) =>
        distanceToSegment(point, a, simple[(k + 1) % simple.length] as XY),
      );
      expect(Math.min(...distances)).toBeLessThanOrEqual(1);
    }
  });
});

describe("areas", () => {
  it("are measured with a sign", () => {
    const square: XY[] = [
      [0, 0],
      [4, 0],
      [4, 3],
      [0, 3],
    ];
    expect(signedArea(square)).toBe(12);
    expect(signedArea(square.toReversed())).toBe(-12);
    expect(centroidOf(square)).toEqual([2, 1.5]);
  });

  it("join to one polygon that holds the same points, and come apart again", () => {
    const loops = [ring(100, 40), ring(60, 30).toReversed(), ring(20, 12, 400, 200)];
    const joined = joinLoops(loops);
    const random = randomFrom(1);
    for (let k = 0; k < 3000; k += 1) {
      const [x, y] = [random() * 500, random() * 350];
      const wanted = loops.reduce((inside, loop) => inside !== insidePolygon(loop, x, y), false);
      expect(insidePolygon(joined, x, y)).toBe(wanted);
    }
    const apart = loopsOf(joined);
    expect(apart.map((loop) => loop.length).sort((a, b) => a - b)).toEqual([12, 30, 40]);
    const whole = loops.reduce((sum, loop) => sum + signedArea(loop), 0);
    expect(signedArea(joined)).toBeCloseTo(whole, 6);
    expect(apart.reduce((sum, loop) => sum + signedArea(loop), 0)).toBeCloseTo(whole, 6);
  });

  it("of one loop stay as they are", () => {
    const loop = ring(10, 5);
    expect(joinLoops([loop])).toEqual(loop);
    expect(loopsOf(loop)).toEqual([loop]);
    expect(joinLoops([])).toEqual([]);
  });
});

describe("painting", () => {
  const dab = (x: number, y: number, radius: number, erase = false) => ({
    points: [[x, y] as XY],
    radius,
    erase,
  });
  const area = (outline: readonly XY[] | null) => signedArea(outline ?? []);

  it("of a dab is a circle", () => {
    const outline = paintedOutline([dab(200, 150, 40)], CANVAS, 0.3);
    for (const [x, y] of outline ?? []) expect(Math.hypot(x - 200, y - 150)).toBeCloseTo(40, 0);
    expect(area(outline) / (Math.PI * 1600)).toBeCloseTo(1, 1);
    expect((outline ?? []).length).toBeLessThan(60);
  });

  it("of a stroke is a band with round ends, however few points it has", () => {
    const points: XY[] = [
      [100, 100],
      [300, 100],
    ];
    expect(area(paintedOutline([{ points, radius: 20, erase: false }], CANVAS, 0.2))).toBeCloseTo(
      200 * 40 + Math.PI * 400,
      -2,
    );
  });

  it("with a hole and with two blobs is one polygon of as many loops", () => {
    const holed = paintedOutline([dab(200, 150, 80), dab(200, 150, 40, true)], CANVAS);
    expect(loopsOf(holed ?? []).map((loop) => Math.sign(signedArea(loop)))).toEqual([1, -1]);
    expect(insidePolygon(holed ?? [], 200, 150)).toBe(false);
    expect(insidePolygon(holed ?? [], 260, 150)).toBe(true);
    expect(centroidOf(holed ?? [])[0]).toBeCloseTo(200, 0);
    expect(area(holed)).toBeCloseTo(Math.PI * (80 ** 2 - 40 ** 2), -3);
    const two = paintedOutline([dab(100, 100, 30), dab(300, 100, 30)], CANVAS);
    expect(loopsOf(two ?? [])).toHaveLength(2);
    expect(insidePolygon(two ?? [], 200, 100)).toBe(false);
  });

  it("stays on the canvas", () => {
    const outline = paintedOutline([dab(0, 0, 50), dab(630, 350, 30)], CANVAS) ?? [];
    for (const [x, y] of outline) {
      expect(x >= 0 && x <= 640).toBe(true);
      expect(y >= 0 && y <= 360).toBe(true);
    }
    expect(insidePolygon(outline, 1, 1)).toBe(true);
    expect(insidePolygon(outline, 639, 359)).toBe(true);
  });

  it("erases to nothing", () => {
    expect(paintedOutline([dab(50, 50, 20), dab(50, 50, 30, true)], CANVAS)).toBeNull();
    expect(paintedOutline([dab(50, 50, 20, true)], CANVAS)).toBeNull();
    expect(paintedOutline([dab(-90, 50, 20)], CANVAS)).toBeNull();
  });

  it("adds to what was there", () => {
    const before = polygonShape(ring(50, 60), CANVAS);
    const outline = paintedOutline([dab(280, 150, 40)], CANVAS, 0.75, before) ?? [];
    expect([insidePolygon(outline, 160, 150), insidePolygon(outline, 310, 150)]).toEqual([true, true]);
    expect(loopsOf(outline)).toHaveLength(1);
  });

  it("follows a mask to its pixels", () => {
    const mask = { width: 64, height: 36, bits: new Uint8Array(64 * 36) };
    for (let row = 8; row < 20; row += 1)
      for (let column = 10; column < 40; column += 1) mask.bits[row * 64 + column] = 1;
    const outline = shapeOutline(maskShape(mask, CANVAS), CANVAS) ?? [];
    expect(area(outline) / (300 * 120)).toBeCloseTo(1, 1);
    expect(outline.length).toBeLessThan(16);
  });
});
