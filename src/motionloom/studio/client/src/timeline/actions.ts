// Edits of times as steps of the history: shown while dragging, done on release, refused for what is locked.

import type { Instruction } from "../motion/document";
import { changeEach, find } from "../motion/edits";
import { displayName } from "../motion/names";
import { spanOf } from "../motion/timing";
import { editor } from "../store/react";
import {
  addKeyframe,
  type CurveField,
  curveOf,
  isKeyframed,
  removeKeyframe,
  setKeyframe,
  withCurve,
} from "./curves";
import type { Moment } from "./timing";
import { withPointFrame } from "./timing";

export type Change = (instruction: Instruction, lastFrame: number) => Instruction;

/** Shows a change of what is not locked, as while dragging. */
export function showChange(ids: readonly string[], change: Change): void {
  const { locked, preview } = editor.getState();
  const free = ids.filter((id) => !locked.has(id));
  preview((motion) => changeEach(motion, free, (each) => change(each, motion.num_frames - 1)));
}

/** One step of a change of what is not locked; quick repeats with the same `key` are one. */
export function makeChange(ids: readonly string[], verb: string, change: Change, key?: string): void {
  const { locked } = editor.getState();
  const free = ids.filter((id) => !locked.has(id));
  if (free.length > 0) applyChange(free, verb, change, key);
}

/** The same for locked ones too, as by typed numbers: a lock is against slips of the hand. */
export function applyChange(ids: readonly string[], verb: string, change: Change, key?: string): void {
  editor
    .getState()
    .edit(
      labelOf(ids, verb),
      (motion) => changeEach(motion, ids, (each) => change(each, motion.num_frames - 1)),
      key && `${key} ${ids.join(" ")}`,
    );
}

/** "Move Path 1 in time", "Move 3 items in time": `verb` has a place for the name. */
export function labelOf(ids: readonly string[], verb: string): string {
  const { motion } = editor.getState();
  const only = ids.length === 1 ? find(motion, ids[0] as string) : undefined;
  return verb.replace("%", only ? displayName(only) : `${ids.length} items`);
}

/** What a drag of one moment makes of its instruction. */
export function momentAt(moment: Moment, frame: number): Change {
  return (instruction, lastFrame) => {
    if (moment.field === "points") return withPointFrame(instruction, moment.index, frame, lastFrame);
    const curve = curveOf(instruction, moment.field);
    if (!isKeyframed(curve)) return instruction;
    return withCurve(
      instruction,
      moment.field,
      setKeyframe(curve, moment.index, { frame: Math.max(0, frame) }),
    );
  };
}

/** A point loses its own time; a keyframe goes. */
export function removeMoment(moment: Moment): Change {
  return (instruction, lastFrame) => {
    if (moment.field === "points") return withPointFrame(instruction, moment.index, null, lastFrame);
    const curve = curveOf(instruction, moment.field);
    return isKeyframed(curve)
      ? withCurve(instruction, moment.field, removeKeyframe(curve, moment.index))
      : instruction;
  };
}

export function withKeyframeAt({ field, neutral }: CurveField, frame: number): Change {
  return (instruction, lastFrame) => {
    const span = spanOf(instruction, lastFrame);
    const curve = addKeyframe(curveOf(instruction, field), frame, neutral, span, instruction.easing);
    return withCurve(instruction, field, curve);
  };
}

/** Whole frames, or hundredths of one for a steady hand (`fine`). */
export function snapped(frame: number, fine: boolean): number {
  return fine ? Math.round(frame * 100) / 100 : Math.round(frame);
}
