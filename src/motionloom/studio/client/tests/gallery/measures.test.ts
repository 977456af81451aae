import { expect, test } from "vitest";
import type { Job } from "../../src/api/types";
import { measuredOf } from "../../src/gallery/measures";
import { parseOptions } from "../../src/generate/OptionsField";
import { durationText, jobText } from "../../src/generate/times";
import { commandFor } from "../../src/projects/ExportDialog";
import { agoText, bytesText } from "../../src/projects/files";

test("measures in words, with the share of the width", () => {
  const [one, two] = measuredOf({
    width: 800,
    measures: { epe: 8, epe_trackable: null },
    reasons: { epe_trackable: "nothing to follow" },
  });
  expect(one).toMatchObject({ value: "8.0 px" });
  expect(one?.meaning).toContain("1.0 % of the width");
  expect(two).toMatchObject({ value: "not known", meaning: "nothing to follow" });
});

test("times and states", () => {
  expect([0.2, 59, 89, 119, 3_700, 7_200].map(durationText)).toEqual([
    "under 1 s",
    "59 s",
    "89 s",
    "2 min",
    "1 h 2 min",
    "2 h",
  ]);
  const job = {
    state: "running",
    phase: "sampling",
    step: 3,
    total: 40,
    seconds_left: 120,
    cancel_requested: false,
  } as Job;
  expect(jobText(job)).toBe("Step 3 of 40, 2 min left");
  expect(jobText({ ...job, seconds_left: null })).toBe("Step 3 of 40");
  expect(jobText({ ...job, cancel_requested: true })).toBe("Ends after this step…");
});

test("sizes and ages", () => {
  expect([0, 999, 1_200, 64 * 1024 * 1024, 3e11].map(bytesText)).toEqual([
    "0 B",
    "999 B",
    "1.2 kB",
    "67.1 MB",
    "300 GB",
  ]);
  const now = Date.parse("2026-05-05T12:00:00Z");
  expect(agoText("2026-05-05T11:59:40Z", now)).toBe("just now");
  expect(agoText("2026-05-05T09:00:00Z", now)).toBe("3 h ago");
  expect(agoText("2026-05-04T09:00:00Z", now)).toBe("yesterday");
});

test("the command of an export can be pasted into a shell", () => {
  const ati = { name: "ati", suffixes: [".pth"] };
  expect(
    commandFor("Tom's cat", ati, {
      format: "ati",
      width: 832,
      height: 480,
      num_frames: 81,
      options: { dtype: "uint16" },
    }),
  ).toBe(
    "motionloom tracks convert Tom-s-cat.motion.json Tom-s-cat.pth --to ati --to-size 832x480 --to-frames 81 --to-option dtype=uint16",
  );
  expect(commandFor("x", ati, { format: "ati", options: { note: "it's here" } })).toContain(
    `--to-option 'note=it'\\''s here'`,
  );
});

test("options are read as JSON where they are, else as text", () => {
  expect(parseOptions("topk=2 fast=true name=dog size=[1,2]")).toEqual({
    topk: 2,
    fast: true,
    name: "dog",
    size: [1, 2],
  });
  expect(parseOptions("topk")).toContain("name=value");
});
