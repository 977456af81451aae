// Values over time: which fields of an instruction are value curves, what they are at a frame, and edits of their
// keyframes. All edits are pure: a curve goes in, a curve comes out.

import type { Easing, Instruction, Keyframe, ValueCurve } from "../motion/document";
import { CAMERA_MOVES } from "../motion/document";
import { ease, keyframed, progress } from "../motion/easing";
import { type Span, valueCurve } from "../motion/timing";
import { splitEasing } from "./easings";

/** Keyframes closer than this are the same moment. */
export const MIN_GAP = 0.01;

/** A field of an instruction that changes over time. `neutral`: its value before anything moves. */
export interface CurveField {
  readonly field: string;
  readonly label: string;
  readonly unit: string;
  readonly neutral: number;
  readonly min?: number;
  readonly step: number;
}

const CAMERA_UNITS: Record<(typeof CAMERA_MOVES)[number], { unit: string; step: number; min?: number }> = {
  pan: { unit: "°", step: 1 },
  tilt: { unit: "°", step: 1 },
  roll: { unit: "°", step: 1 },
  zoom: { unit: "×", step: 0.05, min: 0.001 },
  dolly: { unit: "depths", step: 0.05 },
  truck: { unit: "depths", step: 0.05 },
  pedestal: { unit: "depths", step: 0.05 },
  orbit: { unit: "°", step: 1 },
};

/** The value curves of an instruction, in the order in which they are shown. */
export function curveFields(instruction: Instruction): readonly CurveField[] {
  switch (instruction.kind) {
    case "circle":
      return [
        { field: "radius_curve", label: "Radius", unit: "px", neutral: instruction.radius, min: 0, step: 1 },
      ];
    case "region":
      return [
        { field: "rotation", label: "Rotation", unit: "°", neutral: 0, step: 1 },
        { field: "scale", label: "Scale", unit: "×", neutral: 1, step: 0.05 },
      ];
    case "rotate":
      return [{ field: "angle", label: "Angle", unit: "°", neutral: 0, step: 1 }];
    case "camera":
      return CAMERA_MOVES.map((move) => ({
        field: move,
        label: `${move.charAt(0).toUpperCase()}${move.slice(1)}`,
        neutral: move === "zoom" ? 1 : 0,
        ...CAMERA_UNITS[move],
      }));
    default:
      return [];
  }
}

export const curveOf = valueCurve;

export function withCurve(instruction: Instruction, field: string, curve: ValueCurve): Instruction {
  return { ...instruction, [field]: curve } as Instruction;
}

export function isKeyframed(curve: ValueCurve): curve is readonly Keyframe[] {
  return typeof curve !== "number";
}

/** Whether a camera's move, or another curve, does anything at all. */
export function isMoving(curve: ValueCurve, neutral: number): boolean {
  return isKeyframed(curve) ? curve.some((key) => key.value !== neutral) : curve !== neutral;
}

/** The curve's value at a frame. A number is reached from `neutral` over `span` with `easing`. */
export function valueAt(
  curve: ValueCurve,
  frame: number,
  neutral: number,
  span: Span,
  easing: Easing,
): number {
  if (!isKeyframed(curve))
    return neutral + (curve - neutral) * ease(progress(frame, span.start, span.end), easing);
  return keyframed(
    frame,
    curve.map((key) => key.frame),
    curve.map((key) => key.value),
    (k) => curve[k]?.easing ?? "linear",
  );
}

/** The same motion as keyframes: a number becomes one at the start and one at the end. */
export function toKeyframes(
  curve: ValueCurve,
  neutral: number,
  span: Span,
  easing: Easing,
): readonly Keyframe[] {
  if (isKeyframed(curve)) return curve;
  const end = Math.max(span.end, span.start + 1);
  return [
    { frame: span.start, value: neutral, easing },
    { frame: end, value: curve, easing: "linear" },
  ];
}

/** A keyframe more, on the curve as it is: nothing moves differently until its value is changed. */
export function addKeyframe(
  curve: ValueCurve,
  frame: number,
  neutral: number,
  span: Span,
  easing: Easing,
): readonly Keyframe[] {
  const keys = toKeyframes(curve, neutral, span, easing);
  if (keys.some((key) => Math.abs(key.frame - frame) < MIN_GAP)) return keys;
  const value = valueAt(keys, frame, neutral, span, easing);
  const after = keys.findIndex((key) => key.frame > frame);
  if (after <= 0) {
    const added: Keyframe = { frame, value, easing: "linear" };
    return after === 0 ? [added, ...keys] : [...keys, added];
  }
  const from = keys[after - 1] as Keyframe;
  const to = keys[after] as Keyframe;
  const [before, rest] = splitEasing(from.easing, (frame - from.frame) / (to.frame - from.frame));
  return [
    ...keys.slice(0, after - 1),
    { ...from, easing: before },
    { frame, value, easing: rest },
    ...keys.slice(after),
  ];
}

/** Without the keyframe; the last one left becomes a plain number. */
export function removeKeyframe(keys: readonly Keyframe[], index: number): ValueCurve {
  const left = keys.filter((_, place) => place !== index);
  return left.length > 0 ? left : (keys[index]?.value ?? 0);
}

/** The keyframe with other values; its frame stays between its neighbours. */
export function setKeyframe(
  keys: readonly Keyframe[],
  index: number,
  change: Partial<Keyframe>,
): readonly Keyframe[] {
  return keys.map((key, place) => {
    if (place !== index) return key;
    const next = { ...key, ...change };
    return change.frame === undefined ? next : { ...next, frame: between(keys, index, change.frame) };
  });
}

function between(keys: readonly Keyframe[], index: number, frame: number): number {
  const low = index > 0 ? (keys[index - 1] as Keyframe).frame + MIN_GAP : 0;
  const high = index < keys.length - 1 ? (keys[index + 1] as Keyframe).frame - MIN_GAP : 100_000;
  return clampToWhole(frame, low, high);
}

/** Within low..high; a whole frame stays a whole frame where there is room for one. */
export function clampToWhole(frame: number, low: number, high: number): number {
  if (frame >= low && frame <= high) return frame;
  const edge = frame < low ? Math.ceil(low - 1e-9) : Math.floor(high + 1e-9);
  if (Number.isInteger(frame) && edge >= low - 1e-9 && edge <= high + 1e-9) return edge;
  return clamp(frame, low, Math.max(low, high));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
