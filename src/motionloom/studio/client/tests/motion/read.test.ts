import { expect, it } from "vitest";
import type { MotionDocument } from "../../src/motion/document";
import { displayName } from "../../src/motion/names";
import { DocumentError, newMotion, readMotion, writeMotion } from "../../src/motion/read";
import { randomDocument } from "../random";

const empty = writeMotion(newMotion(64, 36));
const withOne = (instruction: object): MotionDocument => ({ ...empty, instructions: [instruction] });

it("writes what a person can read: short points and keyframes, nothing that is not there", () => {
  const motion = readMotion(
    withOne({
      kind: "region",
      polygon: [
        [0, 0],
        [9, 0],
        [0, 9],
      ],
      path: {
        points: [
          { x: 1, y: 2 },
          { x: 3, y: 4, frame: 5 },
          { x: 6, y: 7, handle_in: [1, 1] },
        ],
        curve: "bezier",
      },
      scale: [
        { frame: 0, value: 1 },
        { frame: 9, value: 2, easing: "hold" },
      ],
    }),
  );
  expect((writeMotion(motion).instructions as object[])[0]).toEqual({
    id: "region-1",
    kind: "region",
    name: "",
    hidden: false,
    easing: "linear",
    before: "hold",
    after: "hold",
    polygon: [
      [0, 0],
      [9, 0],
      [0, 9],
    ],
    spacing: 16,
    rotation: 0,
    path: { points: [[1, 2], [3, 4, 5], { x: 6, y: 7, handle_in: [1, 1] }], curve: "bezier" },
    scale: [[0, 1], { frame: 9, value: 2, easing: "hold" }],
  });
});

it.each(Array.from({ length: 40 }, (_, seed) => seed))("reads what it wrote (%i)", (seed) => {
  const motion = readMotion(randomDocument(seed));
  expect(readMotion(JSON.parse(JSON.stringify(writeMotion(motion))))).toStrictEqual(motion);
});

it("makes up ids as Python does, around those that are taken", () => {
  const path = { kind: "path", points: [[1, 2]] };
  const { instructions } = readMotion({ ...empty, instructions: [path, { ...path, id: "path-1" }, path] });
  expect(instructions.map((each) => each.id)).toEqual(["path-2", "path-1", "path-3"]);
  expect(instructions.map(displayName)).toEqual(["Path 2", "Path 1", "Path 3"]);
});

it.each<[string, MotionDocument, string]>([
  ["another format", { format: "csv" }, 'format: found "csv", expected "motionloom.motion"'],
  [
    "a newer version",
    { ...empty, version: 2 },
    "version: found 2, expected 1; reload the page to update the studio",
  ],
  ["no canvas", { ...empty, canvas: null }, "canvas: found null, expected an object"],
  [
    "an unknown kind",
    withOne({ kind: "swirl" }),
    'instructions[0].kind: found "swirl", expected one of path,',
  ],
  [
    "half a point",
    withOne({ kind: "path", points: [[3]] }),
    "instructions[0].points[0].y: found nothing, expected a number",
  ],
  [
    "text for a number",
    withOne({ kind: "circle", center: ["1", 2] }),
    'instructions[0].center[0]: found "1"',
  ],
  ["no area", withOne({ kind: "region" }), "expected a polygon or a mask, one of the two"],
  [
    "three numbers",
    withOne({ kind: "path", points: [[1, 2]], easing: [0, 0, 1] }),
    "instructions[0].easing: found [0,0,1]",
  ],
])("names the place of %s", (_, document, message) => {
  expect(() => readMotion(document)).toThrow(DocumentError);
  expect(() => readMotion(document)).toThrow(message);
});
