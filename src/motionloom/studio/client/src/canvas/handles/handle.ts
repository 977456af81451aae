// A handle: a place on the picture that can be dragged, or nudged with the arrow keys, to change one instruction.

import type { Instruction, XY } from "../../motion/document";

/** How a handle looks; `styles` are in stage.css under the same names. */
export type Look =
  | "point"
  | "start"
  | "end"
  | "vertex"
  | "corner"
  | "center"
  | "ring"
  | "turn"
  | "tangent"
  | "plus";

/** How it is dragged: Shift keeps to an axis or to round values, Alt is each handle's second way. */
export interface How {
  readonly shift: boolean;
  readonly alt: boolean;
  /** Soft edit: how far along the path, in pixels, the neighbours follow by half; 0 for not at all. */
  readonly soft: number;
}

export const PLAIN: How = { shift: false, alt: false, soft: 0 };

export interface Handle {
  /** Unique in the instruction and the same while it is dragged. */
  readonly key: string;
  /** Read after the instruction's name: "point 2". */
  readonly label: string;
  readonly at: XY;
  readonly look: Look;
  /** A thin line leads here from there. */
  readonly from?: XY;
  /** Index of the control point it stands for. */
  readonly point?: number;
  /** Stands for a control point that is not there yet. */
  readonly inserts?: boolean;
  /** What it sets, in words or numbers: "45°". */
  readonly says?: string;
  /** The instruction with this handle at `to`, made from the instruction the handle was made of. */
  drag(to: XY, how: How): Instruction;
}

/** `to` kept on the horizontal, vertical or diagonal through `from`. */
export function onAxis(from: XY, to: XY): XY {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  if (Math.abs(dx) > 2 * Math.abs(dy)) return [to[0], from[1]];
  if (Math.abs(dy) > 2 * Math.abs(dx)) return [from[0], to[1]];
  const both = (Math.abs(dx) + Math.abs(dy)) / 2;
  return [from[0] + Math.sign(dx) * both, from[1] + Math.sign(dy) * both];
}
