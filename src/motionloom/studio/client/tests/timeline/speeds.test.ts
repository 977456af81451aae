import { describe, expect, it } from "vitest";
import type { ModelFacts } from "../../src/api/types";
import { newMotion } from "../../src/motion/read";
import { secondStep, tickStep, toFrame, toX, zoomedScale } from "../../src/timeline/scale";
import { speedLimit, speedsOf, speedWarning } from "../../src/timeline/speeds";

const facts = (more: object): ModelFacts =>
  ({
    title: "ATI",
    num_frames: 81,
    fps: 16,
    limits: { max_step: 0.25, max_tracks: null, min_tracks: null, source: "Its authors say so." },
    ...more,
  }) as unknown as ModelFacts;

function moving(frames: readonly (readonly [number, number])[][], visible?: readonly number[]) {
  const count = frames[0]?.length ?? 0;
  return {
    points: Float64Array.from(frames.flat(2)),
    visible: Uint8Array.from(visible ?? Array(frames.length * count).fill(1)),
    count,
  };
}

describe("speeds", () => {
  it("are those of the fastest visible point", () => {
    const still = [0, 0] as const;
    const traced = moving([
      [still, [0, 0]],
      [still, [3, 4]],
      [still, [9, 12]],
    ]);
    expect([...speedsOf(traced).steps]).toEqual([5, 10]);
    expect(speedsOf(traced)).toMatchObject({ largest: 10, at: 1 });
    const hidden = moving([[[0, 0]], [[3, 4]], [[9, 12]], [[90, 12]]], [1, 1, 0, 0]);
    // Going behind something is motion that is seen; what happens there is not.
    expect([...speedsOf(hidden).steps]).toEqual([5, 10, 0]);
  });

  it("have no steps in a single frame", () => {
    expect(speedsOf(moving([[[1, 2]]])).steps).toHaveLength(0);
  });
});

describe("a model's limit", () => {
  const motion = { ...newMotion(800, 450), num_frames: 41, fps: 16 };

  it("counts in frames of the clip: a motion stretched over more frames may be faster in its own", () => {
    // 41 frames over 81: each frame of the clip is half a frame of the motion.
    expect(speedLimit(facts({}), {}, motion)?.perFrame).toBeCloseTo(400);
    expect(speedLimit(facts({}), { num_frames: 21 }, motion)?.perFrame).toBeCloseTo(100);
    expect(speedLimit(facts({}), { fps: 8 }, motion)?.perFrame).toBeCloseTo(100);
    expect(speedLimit(facts({ num_frames: null }), {}, motion)?.perFrame).toBeCloseTo(200);
    expect(speedLimit(facts({ limits: { max_step: null, source: "" } }), {}, motion)).toBeNull();
  });

  it("is spoken of only when it is passed", () => {
    const limit = { perFrame: 10, source: "Its authors say so.", model: "ATI" };
    const speeds = (largest: number) => ({ steps: new Float64Array(1), largest, at: 7 });
    expect(speedWarning(speeds(10), limit)).toBeNull();
    expect(speedWarning(speeds(12), limit)).toBe(
      "Up to 12 px/frame at frame 7: ATI fails above 10 px/frame. Its authors say so.",
    );
    expect(speedWarning(speeds(12), null)).toBeNull();
  });
});

describe("the ruler", () => {
  it("labels 1, 2 or 5 times a power of ten", () => {
    expect(tickStep(50, 38)).toBe(1);
    expect(tickStep(14, 38)).toBe(5);
    expect(tickStep(0.3, 38)).toBe(200);
    expect(secondStep(16 * 14, 56)).toBe(0.5);
  });

  it("finds the frame again that it drew", () => {
    const scale = zoomedScale(48, 700, 3);
    expect(toFrame(scale, toX(scale, 17.25))).toBeCloseTo(17.25);
    expect(zoomedScale(48, 700, 1e6).perFrame).toBe(48);
    expect(zoomedScale(48, 700, 0.1).perFrame).toBeCloseTo((700 - 28) / 48);
  });
});
