import { describe, expect, it } from "vitest";
import {
  fitted,
  isTrackpad,
  kept,
  panned,
  scaleStep,
  toCanvas,
  toScreen,
  wheelFactor,
  zoomedAt,
} from "../../src/canvas/view";
import type { XY } from "../../src/motion/document";

const canvas = { width: 832, height: 480 };
const stage = { width: 900, height: 500 };

describe("the view", () => {
  it("shows the whole picture in the middle when fitted", () => {
    const view = fitted(canvas, stage);
    const [left, top] = toScreen(view, stage, [0, 0]);
    const [right, bottom] = toScreen(view, stage, [832, 480]);
    expect(left + right).toBeCloseTo(900);
    expect(top + bottom).toBeCloseTo(500);
    expect(Math.min(left, top)).toBeCloseTo(28);
  });

  it("goes from the screen to the canvas and back", () => {
    const view = { scale: 1.7, x: 310, y: 222 };
    const [x, y] = toCanvas(view, stage, toScreen(view, stage, [12.5, 470]));
    expect(x).toBeCloseTo(12.5);
    expect(y).toBeCloseTo(470);
  });

  it("keeps what is under the pointer there while zooming", () => {
    const at: XY = [200, 400];
    const before = fitted(canvas, stage);
    const after = zoomedAt(before, 3, at, canvas, stage);
    expect(after.scale).toBeCloseTo(before.scale * 3);
    expect(toCanvas(after, stage, at)).toEqual(
      toCanvas(before, stage, at).map((value) => expect.closeTo(value, 6)),
    );
  });

  it("never loses the picture, however far it is dragged", () => {
    let view = fitted(canvas, stage);
    for (let k = 0; k < 50; k += 1) view = panned(view, [400, -300], canvas, stage);
    const [left] = toScreen(view, stage, [0, 0]);
    const [, bottom] = toScreen(view, stage, [832, 480]);
    expect(left).toBeCloseTo(900 - 64);
    expect(bottom).toBeCloseTo(64);
  });

  it("shows a picture smaller than the stage whole at every corner it is dragged to", () => {
    const small = { width: 40, height: 30 };
    const view = kept({ scale: 1, x: 1e6, y: 1e6 }, small, stage);
    expect(toScreen(view, stage, [0, 0])).toEqual([0, 0].map((value) => expect.closeTo(value, 6)));
  });

  it("stops zooming out while something can be seen, and in at pixels of 64", () => {
    const far = zoomedAt(fitted(canvas, stage), 1e-9, [0, 0], canvas, stage);
    expect(far.scale * 832).toBeCloseTo(48);
    expect(zoomedAt(far, 1e9, [450, 250], canvas, stage).scale).toBe(64);
  });

  it("zooms in when the wheel is turned away, and as much back", () => {
    const notch = { deltaY: -120, deltaMode: 0, ctrlKey: false };
    expect(wheelFactor(notch)).toBeGreaterThan(1.1);
    expect(wheelFactor(notch) * wheelFactor({ ...notch, deltaY: 120 })).toBeCloseTo(1);
    expect(wheelFactor({ deltaY: -1e9, deltaMode: 2, ctrlKey: false })).toBeLessThan(2);
  });

  it("tells the fingers on a trackpad from a wheel with notches", () => {
    expect(isTrackpad({ deltaX: 0, deltaY: 120, deltaMode: 0 })).toBe(false);
    expect(isTrackpad({ deltaX: 0, deltaY: 3, deltaMode: 1 })).toBe(false);
    expect(isTrackpad({ deltaX: -3, deltaY: 50, deltaMode: 0 })).toBe(true);
    expect(isTrackpad({ deltaX: 0, deltaY: 7.25, deltaMode: 0 })).toBe(true);
  });

  it("lays marks out anew at few scales", () => {
    expect(scaleStep(1)).toBe(1);
    expect(scaleStep(1.35)).toBeCloseTo(Math.SQRT2);
    expect(scaleStep(1.99)).toBeCloseTo(2);
    expect(scaleStep(0.5)).toBe(0.5);
  });
});
