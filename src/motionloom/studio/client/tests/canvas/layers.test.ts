import { describe, expect, it } from "vitest";
import { endDirection, lineData, polygonData, splitByVisible, ticks } from "../../src/canvas/layers/lines";
import { hitCells, latentFrame } from "../../src/canvas/layers/ReceivedLayer";
import { pick } from "../../src/canvas/pick";
import { trace } from "../../src/motion/evaluate";
import { readMotion } from "../../src/motion/read";

const document = {
  format: "motionloom.motion",
  version: 1,
  canvas: { width: 400, height: 300 },
  num_frames: 21,
  fps: 16,
};

describe("lines", () => {
  it("are path data in hundredths of a pixel", () => {
    expect(lineData([0, 1 / 3, 10, -2.5])).toBe("M0 0.33L10 -2.5");
    expect(lineData([1, 2])).toBe("M1 2");
    expect(lineData([])).toBe("");
    expect(
      polygonData([
        [0, 0],
        [4, 0],
        [0, 3],
      ]),
    ).toBe("M0 0L4 0L0 3Z");
  });

  it("show the loops of a joined outline without their bridge", () => {
    const outer = [
      [0, 0],
      [9, 0],
      [9, 9],
      [0, 9],
    ] as const;
    const inner = [
      [3, 3],
      [3, 6],
      [6, 6],
      [6, 3],
    ] as const;
    const joined = [...outer, outer[0], ...inner, inner[0]];
    expect(polygonData(joined).match(/M/g)).toHaveLength(2);
    expect(polygonData(joined)).not.toContain("L3 3L0 0");
  });

  it("number frames no closer than asked, also where the pace changes", () => {
    const even = new Float64Array(Array.from({ length: 21 }, (_, t) => [10 * t, 0]).flat());
    expect(ticks(even, 30)).toEqual([4, 8, 12, 16]);
    expect(ticks(even, 500)).toEqual([]);
    const slowing = new Float64Array(
      Array.from({ length: 21 }, (_, t) => [200 * Math.sqrt(t / 20), 0]).flat(),
    );
    const places = ticks(slowing, 30).map((t) => slowing[2 * t] as number);
    for (let k = 1; k < places.length; k += 1)
      expect((places[k] as number) - (places[k - 1] as number)).toBeGreaterThanOrEqual(22.5);
    expect(places.length).toBeGreaterThan(1);
  });

  it("know in which direction they end, and that standing still has none", () => {
    expect(endDirection([0, 0, 100, 0, 100.1, 5], 6)).toBeCloseTo(2.87, 1);
    expect(endDirection([0, 0, 100, 0, 100, 50], 6)).toBeCloseTo(90);
    expect(endDirection([5, 5, 5, 5], 6)).toBeNull();
  });

  it("are split where the point is not visible", () => {
    const motion = readMotion({
      ...document,
      instructions: [
        {
          kind: "path",
          points: [
            [0, 0],
            [200, 0],
          ],
          start: 5,
          end: 10,
          before: "vanish",
        },
      ],
    });
    const [traced] = trace(
      motion,
      Array.from({ length: 21 }, (_, t) => t),
    );
    const { seen, unseen } = splitByVisible(traced as never);
    expect(unseen.startsWith("M0 0")).toBe(true);
    expect(seen.startsWith("M0 0L40 0L80 0L120 0L160 0L200 0")).toBe(true);
  });
});

describe("picking", () => {
  const motion = readMotion({
    ...document,
    instructions: [
      {
        kind: "region",
        id: "back",
        polygon: [
          [10, 10],
          [200, 10],
          [200, 200],
          [10, 200],
        ],
      },
      { kind: "box", id: "front", source: { x: 100, y: 100, width: 150, height: 150 } },
      {
        kind: "path",
        id: "line",
        points: [
          [20, 50],
          [300, 50],
        ],
      },
      { kind: "circle", id: "ring", center: [320, 200], radius: 30, radius_curve: 60 },
    ],
  });
  const at = (x: number, y: number, locked: string[] = []) => pick(motion, [], [x, y], 8, new Set(locked));

  it("takes lines before areas and what is in front before what is behind", () => {
    expect(at(100, 53)).toBe("line");
    expect(at(100, 70)).toBe("back");
    expect(at(150, 150)).toBe("front");
    expect(at(350, 200)).toBe("ring");
    expect(at(380, 200)).toBe("ring");
    expect(at(10, 100)).toBe("back");
    expect(at(390, 20)).toBeUndefined();
  });

  it("looks through what is locked", () => {
    expect(at(100, 53, ["line"])).toBe("back");
    expect(at(150, 150, ["front"])).toBe("back");
  });

  it("takes dots of a grid last", () => {
    const dots = [{ id: "front", points: new Float64Array([390, 20]) }];
    expect(pick(motion, dots, [386, 20], 8, new Set())).toBe("front");
    expect(pick(motion, dots, [376, 20], 8, new Set())).toBeUndefined();
  });
});

describe("the latent frame at the playhead", () => {
  const grid = {
    frames: 6,
    rows: 1,
    columns: 1,
    pixels_per_cell: 8,
    frames_per_cell: 4,
    cells: [],
    sources: [],
  };

  it("show where tracks begin on the picture itself, where nothing is written", () => {
    const grid = { frames: 2, rows: 1, columns: 4, pixels_per_cell: 8, frames_per_cell: 4 };
    const written = { ...grid, cells: [[], [2]], sources: [1, 3] };
    expect([...hitCells(written, 0)]).toEqual([1, 3]);
    expect([...hitCells(written, 1)]).toEqual([2]);
    expect([...hitCells({ ...written, cells: [[0], []] }, 0)]).toEqual([0]);
    expect([...hitCells({ ...written, cells: [[0], []] }, 1)]).toEqual([]);
  });

  it("is the first for the first frame, then one for every four", () => {
    expect([0, 1, 4, 5, 20].map((frame) => latentFrame(frame, 21, 21, grid))).toEqual([0, 1, 1, 2, 5]);
  });

  it("follows the clip where it has other frames than the motion", () => {
    expect(latentFrame(40, 41, 21, grid)).toBe(5);
    expect(latentFrame(20, 41, 21, grid)).toBe(3);
  });
});
