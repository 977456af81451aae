import { describe, expect, it } from "vitest";
import { findProblem } from "../../src/motion/check";
import type { FreePath, Instruction, Keyframe, Motion, Region } from "../../src/motion/document";
import { readInstruction as readAt, readMotion } from "../../src/motion/read";
import { spanOf } from "../../src/motion/timing";
import {
  momentsOf,
  passingFrames,
  roomFor,
  shifted,
  withEnd,
  withPointFrame,
  withStart,
} from "../../src/timeline/timing";
import { diceFrom, randomDocument } from "../random";

const LAST = 48;
const readInstruction = (value: object) => readAt(value, "test");

function path(frames: readonly (number | undefined)[], more: object = {}): FreePath {
  const points = frames.map((frame, k) => ({ x: 100 * k, y: 0, ...(frame !== undefined && { frame }) }));
  return readInstruction({ id: "path-1", kind: "path", curve: "polyline", points, ...more }) as FreePath;
}
const framesOf = (instruction: Instruction) => (instruction as FreePath).points.map((point) => point.frame);

describe("passing frames", () => {
  it("are spread by distance over the span", () => {
    expect(passingFrames(path([undefined, undefined, undefined]), LAST)).toEqual([0, 24, 48]);
    expect(passingFrames(path([undefined, undefined, undefined], { start: 10, end: 20 }), LAST)).toEqual([
      10, 15, 20,
    ]);
  });

  it("keep times of their own and fill in between", () => {
    expect(passingFrames(path([4, undefined, 10, undefined, 40]), LAST)).toEqual([4, 7, 10, 25, 40]);
  });

  it("follow the easing: half the way of an ease-in is passed late", () => {
    const [, middle] = passingFrames(path([undefined, undefined, undefined], { easing: "ease-in" }), LAST);
    // CSS ease-in is half way at 65.75 % of the time: its Bézier parameter is 1/2 there.
    expect(middle).toBeCloseTo(0.6575 * LAST, 6);
    expect(passingFrames(path([undefined, undefined, undefined], { easing: "hold" }), LAST)[1]).toBe(48);
  });
});

describe("the ends of a bar", () => {
  it("carry the times between them along", () => {
    const moved = withStart(path([0, 24, 48]), 24, LAST);
    expect(framesOf(moved)).toEqual([24, 36, 48]);
    expect(spanOf(moved, LAST)).toEqual({ start: 24, end: 48 });
    expect(framesOf(withEnd(path([0, 24, 48]), 24, LAST))).toEqual([0, 12, 24]);
  });

  it("leave the times between them alone when asked, and stop at them", () => {
    const moved = withStart(path([0, 24, 48]), 10, LAST, "keep");
    expect(framesOf(moved)).toEqual([10, 24, 48]);
    const stopped = withStart(path([0, 24, 48]), 40, LAST, "keep");
    expect(spanOf(stopped, LAST).start).toBe(23);
    expect(spanOf(withEnd(path([0, 24, 48]), 3, LAST, "keep"), LAST).end).toBe(25);
  });

  it("never cross each other, nor frame 0", () => {
    expect(spanOf(withStart(path([undefined, undefined]), 99, LAST), LAST)).toEqual({ start: 48, end: 48 });
    expect(spanOf(withStart(path([undefined, undefined]), -5, LAST), LAST).start).toBe(0);
    expect(spanOf(withEnd(path([undefined, undefined], { start: 30 }), 2, LAST), LAST).end).toBe(30);
  });

  it("do not push keyframes together that lie before the start", () => {
    const region = readInstruction({
      id: "r",
      kind: "region",
      polygon: [
        [0, 0],
        [9, 0],
        [0, 9],
      ],
      start: 20,
      end: 40,
      rotation: [
        [0, 5],
        [10, 6],
        [48, 7],
      ],
    }) as Region;
    const moved = withStart(region, 0, LAST) as Region;
    expect(moved.start).toBe(0);
    expect((moved.rotation as Keyframe[]).map((key) => key.frame)).toEqual([0, 10, 48]);
  });
});

describe("a whole bar", () => {
  it("moves with everything in it", () => {
    const moved = shifted(path([4, 8, 12]), 6, LAST);
    expect(framesOf(moved)).toEqual([10, 14, 18]);
    expect(spanOf(moved, LAST)).toEqual({ start: 10, end: 18 });
  });

  it("stops at frame 0 and begins within the motion", () => {
    expect(framesOf(shifted(path([4, 8, 12]), -100, LAST))).toEqual([0, 4, 8]);
    expect(spanOf(shifted(path([4, 8, 12]), 1000, LAST), LAST).start).toBe(LAST);
    const full = path([undefined, undefined]);
    expect(shifted(full, -3, LAST)).toBe(full);
  });
});

describe("a point's own time", () => {
  it("stays between its timed neighbours", () => {
    expect(framesOf(withPointFrame(path([0, 10, undefined, 30]), 2, 5, LAST))).toEqual([0, 10, 11, 30]);
    expect(framesOf(withPointFrame(path([0, 10, undefined, 30]), 2, 99, LAST))).toEqual([0, 10, 29, 30]);
    expect(roomFor(path([undefined, undefined, undefined], { start: 6, end: 9 }), 1, LAST)).toEqual({
      low: 6.01,
      high: 8.99,
    });
  });

  it("can be given back", () => {
    const freed = withPointFrame(path([0, 10, 30]), 1, null, LAST);
    expect(framesOf(freed)).toEqual([0, undefined, 30]);
    expect("frame" in ((freed as FreePath).points[1] as object)).toBe(false);
  });

  it("is not given back where the others would be out of order", () => {
    const bound = path([5, 10], { start: 20 });
    expect(withPointFrame(bound, 0, null, LAST)).toBe(bound);
  });
});

it("lists points and keyframes as moments", () => {
  const circle = readInstruction({
    id: "c",
    kind: "circle",
    center: [5, 5],
    radius: 4,
    radius_curve: [
      [3, 4],
      [9, 8],
    ],
  });
  expect(momentsOf(circle, LAST).map(({ field, frame, label }) => [field, frame, label])).toEqual([
    ["radius_curve", 3, "radius keyframe 1"],
    ["radius_curve", 9, "radius keyframe 2"],
  ]);
  expect(momentsOf(path([undefined, 7, undefined]), LAST).map(({ fixed }) => fixed)).toEqual([
    false,
    true,
    false,
  ]);
});

it("keeps any motion valid through any edit of times", () => {
  for (let seed = 0; seed < 60; seed++) {
    const dice = diceFrom(seed + 500);
    let motion: Motion = readMotion(randomDocument(seed));
    for (let step = 0; step < 25; step++) {
      const id = dice.pick(motion.instructions).id;
      const frame = dice.chance(0.5) ? dice.whole(-10, 70) : dice.number(-10, 70);
      const inner = dice.pick(["keep", "stretch"] as const);
      const index = dice.whole(0, 3);
      const edit = dice.pick([
        (each: Instruction) => withStart(each, frame, LAST, inner),
        (each: Instruction) => withEnd(each, frame, LAST, inner),
        (each: Instruction) => shifted(each, frame, LAST),
        (each: Instruction) => withPointFrame(each, index, dice.chance(0.3) ? null : frame, LAST),
      ]);
      motion = {
        ...motion,
        instructions: motion.instructions.map((each) => (each.id === id ? edit(each) : each)),
      };
      expect(findProblem(motion), `seed ${seed}, step ${step}`).toBeNull();
    }
  }
});
