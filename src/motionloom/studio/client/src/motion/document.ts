// Motion documents, as `motionloom.Motion` reads and writes them (`*.motion.json`), and the same thing ready for editing.
//
// Positions are canvas pixels (x right, y down, the picture spans [0, width] x [0, height]), times are frames of the
// motion (fractions allowed), angles are degrees, clockwise as seen on the screen.

/** A motion document on the wire: short forms of points and keyframes are allowed. `read` makes a `Motion` of it. */
export type MotionDocument = Record<string, unknown>;

export type XY = readonly [number, number];
export type EasingName = "linear" | "ease-in" | "ease-out" | "ease-in-out" | "hold";
/** A name, or (x1, y1, x2, y2) of a CSS cubic-bezier. */
export type Easing = EasingName | readonly [number, number, number, number];
export type CurveKind = "polyline" | "catmull-rom" | "bezier";

export interface Keyframe {
  readonly frame: number;
  readonly value: number;
  readonly easing: Easing;
}
/** The value at the end, reached with the instruction's easing; or keyframes. */
export type ValueCurve = number | readonly Keyframe[];

export interface PathPoint {
  readonly x: number;
  readonly y: number;
  readonly frame?: number;
  readonly handle_in?: XY;
  readonly handle_out?: XY;
}
export interface Route {
  readonly points: readonly PathPoint[];
  readonly curve: CurveKind;
}
export interface Rectangle {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}
/** Exactly one of the two. `mask`: a PNG as a data URL, stretched over the canvas; opaque or bright pixels are inside. */
export interface Area {
  readonly polygon?: readonly XY[];
  readonly mask?: string;
}

export interface InstructionBase {
  readonly id: string;
  readonly name: string;
  /** #rrggbb */
  readonly color?: string;
  readonly hidden: boolean;
  readonly start?: number;
  readonly end?: number;
  readonly easing: Easing;
  readonly before: "hold" | "vanish";
  readonly after: "hold" | "vanish";
}
export interface FreePath extends InstructionBase, Route {
  readonly kind: "path";
}
export interface Circle extends InstructionBase {
  readonly kind: "circle";
  readonly center: XY;
  readonly radius: number;
  readonly radius_curve: ValueCurve;
  readonly count: number;
  readonly angles?: readonly number[];
}
export interface AnchorGrid {
  readonly spacing: number;
  /** Ids of instructions with an area, or areas; undefined: every area of the motion. */
  readonly outside?: readonly (string | Area)[];
  readonly margin?: number;
}
export interface Static extends InstructionBase {
  readonly kind: "static";
  readonly points: readonly XY[];
  readonly grid?: AnchorGrid;
}
export interface Box extends InstructionBase {
  readonly kind: "box";
  readonly source: Rectangle;
  readonly target?: Rectangle;
  readonly path?: Route;
  readonly spacing?: number;
}
export interface Region extends InstructionBase, Area {
  readonly kind: "region";
  readonly spacing: number;
  readonly path?: Route;
  readonly rotation: ValueCurve;
  readonly scale: ValueCurve;
  readonly pivot?: XY;
}
export interface Rotate extends InstructionBase {
  readonly kind: "rotate";
  readonly center: XY;
  readonly angle: ValueCurve;
  readonly points: readonly XY[];
  readonly region?: Area;
  readonly spacing: number;
}
export const CAMERA_MOVES = ["pan", "tilt", "roll", "zoom", "dolly", "truck", "pedestal", "orbit"] as const;
export type CameraMove = (typeof CAMERA_MOVES)[number];
export interface Camera extends InstructionBase, Readonly<Record<CameraMove, ValueCurve>> {
  readonly kind: "camera";
  readonly orbit_depth?: number;
  /** Distance of the plane, or a depth map (kept as it is; the browser shows the plane at its middle depth). */
  readonly depth: number | Readonly<Record<string, unknown>>;
  readonly focal?: number;
  readonly fov?: number;
  readonly spacing: number;
  readonly tolerance: number;
  readonly include_objects: boolean;
}
export type Instruction = FreePath | Circle | Static | Box | Region | Rotate | Camera;
export type Kind = Instruction["kind"];

export interface Pan {
  readonly velocity: XY;
  readonly instructions?: readonly string[];
}

/** A motion with every default filled in. Immutable: edits make a new one that shares what did not change. */
export interface Motion {
  readonly canvas: { readonly width: number; readonly height: number };
  readonly num_frames: number;
  readonly fps: number;
  readonly image?: string;
  readonly prompt?: string;
  readonly instructions: readonly Instruction[];
  readonly pan: readonly Pan[];
  readonly occlusion: boolean;
}
