import { describe, expect, it } from "vitest";
import type { Easing, Keyframe, ValueCurve } from "../../src/motion/document";
import { ease } from "../../src/motion/easing";
import {
  addKeyframe,
  clampToWhole,
  removeKeyframe,
  setKeyframe,
  toKeyframes,
  valueAt,
} from "../../src/timeline/curves";
import { named, splitEasing } from "../../src/timeline/easings";

const SPAN = { start: 4, end: 40 };
const sample = (curve: ValueCurve, easing: Easing = "linear") =>
  Array.from({ length: 97 }, (_, k) => valueAt(curve, k / 2, 1, SPAN, easing));

function expectSame(actual: readonly number[], expected: readonly number[], within: number): void {
  actual.forEach((value, k) => {
    expect(Math.abs(value - (expected[k] as number)), `at frame ${k / 2}`).toBeLessThan(within);
  });
}

describe("keyframes of a number", () => {
  it.each(["linear", "ease-in-out", "hold", [0.3, 1.4, 0.6, -0.3]] as Easing[])(
    "move as it did: %s",
    (easing) => {
      expectSame(sample(toKeyframes(7, 1, SPAN, easing)), sample(7, easing), 1e-9);
    },
  );
});

describe("a keyframe more", () => {
  it.each(["linear", "ease-in", "ease-in-out", [0.3, 0.1, 0.6, 0.8]] as Easing[])(
    "changes nothing: %s",
    (easing) => {
      const keys = toKeyframes(7, 1, SPAN, easing);
      for (const frame of [5, 13, 22.5, 39]) {
        expectSame(sample(addKeyframe(keys, frame, 1, SPAN, easing)), sample(keys), 2e-3);
      }
    },
  );

  it("can lie before or after all others, and not twice on one frame", () => {
    const keys: Keyframe[] = [
      { frame: 10, value: 2, easing: "linear" },
      { frame: 20, value: 4, easing: "linear" },
    ];
    expect(addKeyframe(keys, 3, 1, SPAN, "linear").map(({ frame, value }) => [frame, value])).toEqual([
      [3, 2],
      [10, 2],
      [20, 4],
    ]);
    expect(addKeyframe(keys, 33, 1, SPAN, "linear").at(-1)).toEqual({
      frame: 33,
      value: 4,
      easing: "linear",
    });
    expect(addKeyframe(keys, 20, 1, SPAN, "linear")).toBe(keys);
  });
});

it("keeps a keyframe between its neighbours, on a whole frame where it can", () => {
  const keys: Keyframe[] = [0, 10, 20].map((frame) => ({ frame, value: frame, easing: "linear" }));
  const frames = (frame: number) => setKeyframe(keys, 1, { frame }).map((key) => key.frame);
  expect(frames(15)).toEqual([0, 15, 20]);
  expect(frames(25)).toEqual([0, 19, 20]);
  expect(frames(-3)).toEqual([0, 1, 20]);
  expect(frames(19.995)).toEqual([0, 19.99, 20]);
  expect(clampToWhole(3, 5.2, 5.8)).toBe(5.2);
});

it("becomes a number when the last keyframe goes", () => {
  const one: Keyframe[] = [{ frame: 3, value: 9, easing: "linear" }];
  expect(removeKeyframe(one, 0)).toBe(9);
  expect(removeKeyframe([...one, { frame: 5, value: 1, easing: "linear" }], 0)).toEqual([
    { frame: 5, value: 1, easing: "linear" },
  ]);
});

describe("easings", () => {
  it("split into halves that together move the same", () => {
    const easing: Easing = [0.25, 0.1, 0.25, 1];
    for (const cut of [0.2, 0.5, 0.7]) {
      const [before, after] = splitEasing(easing, cut);
      const level = ease(cut, easing);
      for (let x = 0; x <= 1; x += 0.05) {
        const joined =
          x < cut ? level * ease(x / cut, before) : level + (1 - level) * ease((x - cut) / (1 - cut), after);
        expect(joined).toBeCloseTo(ease(x, easing), 3);
      }
    }
  });

  it("have the names of the presets they equal", () => {
    expect(named([0.42, 0, 0.58, 1])).toBe("ease-in-out");
    expect(named([0, 0, 1, 1])).toBe("linear");
    expect(named([0.42, 0.1, 0.58, 1])).toEqual([0.42, 0.1, 0.58, 1]);
  });
});
