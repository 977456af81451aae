import { describe, expect, it } from "vitest";
import { type Handle, handleAt, handlesOf, PLAIN } from "../../src/canvas/handles";
import { cameraFrame, endMoves, seenAt } from "../../src/canvas/handles/camera";
import { insertedIndex, insertHandles } from "../../src/canvas/handles/insert";
import { softWeights } from "../../src/canvas/handles/route";
import { lensOf, planeHomography } from "../../src/motion/camera";
import type { Instruction, PathPoint, XY } from "../../src/motion/document";
import { routeOf } from "../../src/motion/points";
import { readMotion } from "../../src/motion/read";
import { diceFrom } from "../random";

const canvas = { width: 832, height: 480 };

function made(instruction: Record<string, unknown>): Instruction {
  const document = { format: "motionloom.motion", version: 1, canvas, num_frames: 49, fps: 16 };
  return readMotion({ ...document, instructions: [instruction] }).instructions[0] as Instruction;
}
function handles(instruction: Instruction, picked: readonly number[] = []): Handle[] {
  return handlesOf(instruction, { canvas, picked, corners: false });
}
function named(instruction: Instruction, key: string): Handle {
  const found = handles(instruction).find((each) => each.key === key);
  if (!found) throw new Error(`no handle ${key} among ${handles(instruction).map((each) => each.key)}`);
  return found;
}

function pointsOf(instruction: Instruction | undefined): readonly PathPoint[] {
  return (instruction && routeOf(instruction)?.points) ?? [];
}

const KINDS: readonly Record<string, unknown>[] = [
  {
    kind: "path",
    points: [
      [10, 20],
      [110, 60, 12],
      [200, 20],
    ],
  },
  {
    kind: "path",
    curve: "bezier",
    points: [
      { x: 10, y: 20, handle_out: [30, 0] },
      { x: 110, y: 60, handle_in: [-20, -10], handle_out: [20, 10] },
      { x: 200, y: 20, handle_in: [-10, 40] },
    ],
  },
  { kind: "circle", center: [300, 200], radius: 50, radius_curve: 90 },
  {
    kind: "circle",
    center: [300, 200],
    radius: 50,
    radius_curve: [
      [0, 50],
      [24, 80],
      [48, 60],
    ],
  },
  {
    kind: "static",
    points: [
      [5, 6],
      [50, 60],
    ],
  },
  { kind: "box", source: { x: 10, y: 20, width: 60, height: 30 } },
  {
    kind: "box",
    source: { x: 10, y: 20, width: 60, height: 30 },
    target: { x: 210, y: 120, width: 30, height: 60 },
  },
  {
    kind: "region",
    polygon: [
      [100, 100],
      [180, 100],
      [180, 200],
      [100, 200],
    ],
  },
  {
    kind: "region",
    polygon: [
      [100, 100],
      [180, 100],
      [180, 200],
      [100, 200],
    ],
    path: {
      points: [
        [0, 0],
        [100, 40],
      ],
    },
    rotation: 30,
    scale: 1.5,
  },
  {
    kind: "rotate",
    center: [400, 240],
    angle: 70,
    points: [
      [450, 240],
      [400, 300],
    ],
  },
  { kind: "camera", pan: 5, tilt: -3, roll: 12, zoom: 1.3 },
  { kind: "camera", dolly: 0.2, truck: 0.1, orbit: 8 },
];

describe("handles", () => {
  it.each(KINDS)("come to where they are dragged: %j", (document) => {
    const instruction = made(document);
    for (const handle of handles(instruction)) {
      // Handles on an arm or a rim stay on it: those are dragged along their own direction or about their middle.
      if (["radius", "target", "angle", "rotation", "scale", "roll"].includes(handle.key)) continue;
      if (handle.key.startsWith("zoom")) continue;
      const to: XY = [handle.at[0] + 7, handle.at[1] - 4];
      const after = handles(handle.drag(to, PLAIN)).find(
        // A region without a path gets one, whose last point is the handle from then on.
        ({ key }) => key === (handle.key === "end" && document.kind === "region" ? "point-1" : handle.key),
      );
      expect.soft(after?.at[0], `${handle.key} x`).toBeCloseTo(to[0], 0);
      expect.soft(after?.at[1], `${handle.key} y`).toBeCloseTo(to[1], 0);
    }
  });

  it.each(KINDS)("change nothing where they are: %j", (document) => {
    const instruction = made(document);
    for (const handle of handles(instruction)) {
      if (handle.key === "end" || (handle.key.startsWith("end ") && document.kind === "box")) continue;
      const same = handles(handle.drag(handle.at, PLAIN)).find(({ key }) => key === handle.key);
      expect.soft(same?.at[0], handle.key).toBeCloseTo(handle.at[0], 1);
      expect.soft(same?.at[1], handle.key).toBeCloseTo(handle.at[1], 1);
    }
  });

  it("say where they are in words", () => {
    const path = made({
      kind: "path",
      points: [
        [10, 20],
        [110, 60, 12],
      ],
    });
    expect(handles(path).map(({ label, says }) => `${label}: ${says}`)).toEqual([
      "point 1: 10, 20",
      "point 2: 110, 60, frame 12",
    ]);
  });

  it("set the last keyframe of a radius that has several", () => {
    const circle = made(KINDS[3] as Record<string, unknown>);
    const changed = named(circle, "target").drag([300, 320], PLAIN);
    expect(changed).toMatchObject({
      radius: 50,
      radius_curve: [{ value: 50 }, { value: 80 }, { frame: 48, value: 120 }],
    });
  });

  it("keep the opposite corner of a box, also when dragged across it", () => {
    const box = made(KINDS[5] as Record<string, unknown>);
    const changed = named(box, "start-bottom right").drag([0, 100], PLAIN);
    expect(changed).toMatchObject({ source: { x: 0, y: 20, width: 10, height: 80 } });
    const square = named(box, "start-bottom right").drag([130, 25], { ...PLAIN, shift: true });
    expect(square).toMatchObject({ source: { x: 10, y: 20, width: 120, height: 60 } });
  });

  it("count on past half a turn and back", () => {
    const turn = named(made(KINDS[9] as Record<string, unknown>), "angle");
    const angles: unknown[] = [];
    for (const degrees of [120, 170, 200, 290, 20, 100, 20, 300])
      angles.push(
        (
          turn.drag(
            [400 + 90 * Math.cos((degrees * Math.PI) / 180), 240 + 90 * Math.sin((degrees * Math.PI) / 180)],
            PLAIN,
          ) as { angle: number }
        ).angle,
      );
    expect(angles).toEqual([120, 170, 200, 290, 380, 460, 380, 300]);
  });

  it("keep a smooth point smooth unless Alt is held", () => {
    const path = made(KINDS[1] as Record<string, unknown>);
    const tangent = named(path, "handle_out-1");
    const smooth = pointsOf(tangent.drag([110, 90], PLAIN));
    expect(smooth[1]?.handle_in?.[0]).toBeCloseTo(0, 1);
    expect(smooth[1]?.handle_in?.[1]).toBeCloseTo(-Math.hypot(20, 10), 1);
    const broken = pointsOf(tangent.drag([110, 90], { ...PLAIN, alt: true }));
    expect(broken[1]?.handle_in).toEqual([-20, -10]);
  });

  it("take neighbours along in a soft edit, by half at the reach", () => {
    const points = [0, 100, 200, 300].map((x) => ({ x, y: 0 }));
    expect(softWeights(points, 1, 100)).toEqual(
      [0.5, 1, 0.5, 1 / 16].map((value) => expect.closeTo(value, 9)),
    );
    const path = made({ kind: "path", points: points.map(({ x, y }) => [x, y]) });
    const changed = named(path, "point-1").drag([100, 40], { ...PLAIN, soft: 100 });
    expect(pointsOf(changed).map(({ y }) => y)).toEqual([20, 40, 20, 2.5]);
  });

  it("put a point between two others, where it is dragged", () => {
    const path = made({
      kind: "path",
      curve: "polyline",
      points: [
        [0, 0],
        [200, 0],
        [220, 0],
      ],
    });
    const [first, ...others] = insertHandles(path, 1);
    expect(others).toEqual([]); // no room between points 20 pixels apart
    expect(first?.at).toEqual([100, 0]);
    expect(insertedIndex(first as Handle)).toBe(1);
    const changed = first?.drag([100, 50], PLAIN);
    expect(pointsOf(changed).map(({ x, y }) => [x, y])).toEqual([
      [0, 0],
      [100, 50],
      [200, 0],
      [220, 0],
    ]);
  });

  it("are found within reach, the nearest first, of two at one place the upper", () => {
    const path = handles(
      made({
        kind: "path",
        points: [
          [0, 0],
          [20, 0],
          [20, 0],
        ],
      }),
    );
    expect(handleAt(path, [9, 0], 12)?.key).toBe("point-0");
    expect(handleAt(path, [12, 0], 12)?.key).toBe("point-2");
    expect(handleAt(path, [50, 0], 12)).toBeUndefined();
  });
});

describe("the camera's frame", () => {
  it("is what the moved camera sees: its corners go to the corners of the image", () => {
    const dice = diceFrom(5);
    for (let round = 0; round < 40; round += 1) {
      const camera = made({
        kind: "camera",
        pan: dice.number(-15, 15),
        tilt: dice.number(-10, 10),
        roll: dice.number(-180, 180),
        zoom: dice.number(0.5, 3),
        dolly: dice.number(-0.5, 0.4),
        truck: dice.number(-0.3, 0.3),
        pedestal: dice.number(-0.3, 0.3),
        orbit: dice.number(-20, 20),
      });
      if (camera.kind !== "camera") throw new Error("not a camera");
      const frame = cameraFrame(camera, canvas);
      const forward = planeHomography(lensOf(camera, canvas), endMoves(camera));
      const image = [
        [0, 0],
        [832, 0],
        [832, 480],
        [0, 480],
      ] as const;
      expect(frame).toBeDefined();
      frame?.forEach((corner, k) => {
        const [a, b, c, d, e, f, g, h, i] = forward;
        const [x, y] = corner;
        const w = g * x + h * y + i;
        expect(w).toBeGreaterThan(0);
        expect([(a * x + b * y + c) / w, (d * x + e * y + f) / w]).toEqual(
          image[k]?.map((value) => expect.closeTo(value, 5)),
        );
      });
    }
  });

  it("moves right with a pan to the right and shrinks with a zoom in", () => {
    const at = (fields: object) =>
      cameraFrame(made({ kind: "camera", ...fields }) as never, canvas) as readonly XY[];
    expect(at({ pan: 10 })[0]?.[0]).toBeGreaterThan(50);
    expect(at({ tilt: 10 })[0]?.[1]).toBeLessThan(-20);
    expect(at({ zoom: 2 })).toEqual(
      [
        [208, 120],
        [624, 120],
        [624, 360],
        [208, 360],
      ].map((xy) => xy.map((v) => expect.closeTo(v, 6))),
    );
  });

  it("is undefined for a camera that looks past the picture", () => {
    expect(cameraFrame(made({ kind: "camera", pan: 120 }) as never, canvas)).toBeUndefined();
    expect(handles(made({ kind: "camera", pan: 120 }))).toEqual([]);
    expect(
      seenAt(
        made({ kind: "camera" }) as never,
        endMoves(made({ kind: "camera" }) as never),
        canvas,
        [1e9, 0],
      ),
    ).toBeUndefined();
  });
});
