// What the timeline has rows for, from front to back: each instruction, and below an open one a lane for each of its
// values and for the times of its control points.

import type { Instruction } from "../motion/document";
import { routeOf } from "../motion/points";
import { type CurveField, curveFields } from "./curves";

export interface InstructionRow {
  readonly kind: "instruction";
  readonly key: string;
  readonly instruction: Instruction;
  readonly expandable: boolean;
}
export interface LaneRow {
  readonly kind: "lane";
  readonly key: string;
  readonly instruction: Instruction;
  readonly lane: Lane;
}
export type TimelineRow = InstructionRow | LaneRow;

/** A value curve, or (`curve` undefined) the times of the control points. */
export interface Lane {
  readonly field: string;
  readonly label: string;
  readonly curve?: CurveField;
}

export function timelineRows(
  instructions: readonly Instruction[],
  open: ReadonlySet<string>,
): readonly TimelineRow[] {
  const rows: TimelineRow[] = [];
  for (const instruction of instructions.toReversed()) {
    const lanes = lanesOf(instruction);
    rows.push({ kind: "instruction", key: instruction.id, instruction, expandable: lanes.length > 0 });
    if (!open.has(instruction.id)) continue;
    for (const lane of lanes) {
      rows.push({ kind: "lane", key: `${instruction.id} ${lane.field}`, instruction, lane });
    }
  }
  return rows;
}

export function lanesOf(instruction: Instruction): readonly Lane[] {
  const curves = curveFields(instruction);
  const route = routeOf(instruction);
  // Where the points are all there is, their times lie on the bar itself.
  const points = curves.length > 0 && route && route.points.length > 1;
  return [
    ...(points ? [{ field: "points", label: "Points" }] : []),
    ...curves.map((curve) => ({ field: curve.field, label: curve.label, curve })),
  ];
}
