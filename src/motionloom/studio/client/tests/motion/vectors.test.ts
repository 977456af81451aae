// The browser's points are those of `Motion.compile`: on vectors made by tests/studio/make_client_vectors.py.

import { beforeAll, describe, expect, it } from "vitest";
import { findProblem } from "../../src/motion/check";
import type { Easing, MotionDocument } from "../../src/motion/document";
import { ease } from "../../src/motion/easing";
import { type Traced, trace } from "../../src/motion/evaluate";
import { createMasks } from "../../src/motion/masks";
import { readMotion, writeMotion } from "../../src/motion/read";

interface Case {
  label: string;
  document: MotionDocument;
  times: number[];
  traces: { id: string; count: number; stride: number; points: number[]; visible: string[] }[];
}
interface EasingCase {
  easing: Easing;
  at: number[];
  eased: number[];
}
interface MaskCase {
  url: string;
  width: number;
  height: number;
  rows: string[];
}

const files = import.meta.glob<{ default: unknown }>("../vectors/*.json", { eager: true });
const load = <T>(name: string) => files[`../vectors/${name}.json`]?.default as T;

const PIXELS = 1e-3;
const masks = createMasks(() => Promise.reject(new Error("every mask of the vectors is known")));

beforeAll(() => {
  for (const { url, width, height, rows } of Object.values(load<Record<string, MaskCase>>("masks")))
    masks.put(url, { width, height, bits: Uint8Array.from(rows.join(""), Number) });
});

describe.each(["kinds", "scenes", "edges"])("%s", (name) => {
  it.each(load<Case[]>(name).map((each) => [each.label, each] as const))("%s", (_, each) => {
    const motion = readMotion(each.document);
    const traced = trace(motion, each.times, masks);
    expect(traced.map(({ id, count }) => ({ id, count }))).toEqual(
      each.traces.map(({ id, count }) => ({ id, count })),
    );
    for (const [place, wanted] of each.traces.entries()) {
      const found = traced[place] as Traced;
      expect(farthestApart(found, wanted.points, wanted.stride)).toBeLessThan(PIXELS);
      expect(rowsOf(found)).toEqual(wanted.visible);
    }
  });

  it.each(load<Case[]>(name).map((each) => [each.label, each] as const))("%s can be saved", (_, each) => {
    const motion = readMotion(each.document);
    expect(findProblem(motion)).toBeNull();
    expect(readMotion(JSON.parse(JSON.stringify(writeMotion(motion))))).toStrictEqual(motion);
  });
});

it.each(load<Pick<Case, "label" | "document">[]>("refused"))("will not save $label", ({ document }) => {
  expect(findProblem(readMotion(document))).not.toBeNull();
});

it("covers every kind of instruction", () => {
  const kinds = load<Case[]>("kinds").flatMap(({ document }) =>
    (document.instructions as { kind: string }[]).map((each) => each.kind),
  );
  expect([...new Set(kinds)].sort()).toEqual([
    "box",
    "camera",
    "circle",
    "path",
    "region",
    "rotate",
    "static",
  ]);
  expect(["kinds", "scenes", "edges"].flatMap((name) => load<Case[]>(name)).length).toBeGreaterThan(60);
});

it.each(load<EasingCase[]>("easing"))("eases as Python does: $easing", ({ easing, at, eased }) => {
  for (const [k, share] of at.entries()) expect(ease(share, easing)).toBeCloseTo(eased[k] as number, 9);
});

function farthestApart(found: Traced, wanted: readonly number[], stride: number): number {
  const kept = Math.ceil(found.count / stride);
  if (wanted.length !== 2 * kept * found.frames) return Number.POSITIVE_INFINITY;
  let worst = 0;
  for (let t = 0; t < found.frames; t += 1)
    for (let k = 0; k < kept; k += 1)
      for (const axis of [0, 1]) {
        const here = found.points[2 * (t * found.count + k * stride) + axis] as number;
        const there = wanted[2 * (t * kept + k) + axis] as number;
        // Beyond the reach of single precision, that of the answer counts.
        worst = Math.max(worst, Math.abs(here - there) / Math.max(1, Math.abs(there) / 1e4));
      }
  return worst;
}

function rowsOf({ visible, count, frames }: Traced): string[] {
  return Array.from({ length: frames }, (_, t) => visible.subarray(t * count, (t + 1) * count).join(""));
}
