// Motions into documents, in the short forms that people can read.

import { FORMAT, VERSION } from "./defaults";
import type { Instruction, Keyframe, Motion, MotionDocument, PathPoint } from "./document";
import { compact } from "./parse";

/** The document of a motion, ready for JSON. */
export function writeMotion(motion: Motion): MotionDocument {
  const { instructions, ...rest } = motion;
  return compact({
    format: FORMAT,
    version: VERSION,
    ...rest,
    instructions: instructions.map(writeInstruction),
  });
}

function writeInstruction(instruction: Instruction): MotionDocument {
  const { id, kind, ...rest } = instruction;
  return { id, kind, ...(shorten(rest) as MotionDocument) };
}

/** Control points and keyframes as short lists, wherever they are. */
function shorten(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shorten);
  if (typeof value !== "object" || value === null) return value;
  if (isKeyframe(value)) return value.easing === "linear" ? [value.frame, value.value] : { ...value };
  if (isPathPoint(value)) return shortPoint(value);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .map(([name, inner]) => [name, shorten(inner)]),
  );
}

function shortPoint(point: PathPoint): unknown {
  if (point.handle_in !== undefined || point.handle_out !== undefined) return compact({ ...point });
  return point.frame === undefined ? [point.x, point.y] : [point.x, point.y, point.frame];
}

function isKeyframe(value: object): value is Keyframe {
  return "frame" in value && "value" in value && "easing" in value;
}

/** A rectangle has x and y too, and a size. */
function isPathPoint(value: object): value is PathPoint {
  return "x" in value && "y" in value && !("width" in value);
}
