// What a motion document leaves out, as motionloom/tracks/instructions.py fills it in.

import type { Kind, Motion } from "./document";

export const FORMAT = "motionloom.motion";
export const VERSION = 1;

export const COMMON = { name: "", hidden: false, easing: "linear", before: "hold", after: "hold" } as const;

export const BY_KIND = {
  path: { curve: "catmull-rom" },
  circle: { count: 8 },
  static: { points: [] },
  box: {},
  region: { spacing: 16, rotation: 0, scale: 1 },
  rotate: { points: [], spacing: 16 },
  camera: {
    pan: 0,
    tilt: 0,
    roll: 0,
    zoom: 1,
    dolly: 0,
    truck: 0,
    pedestal: 0,
    orbit: 0,
    depth: 1,
    spacing: 32,
    tolerance: 0.05,
    include_objects: false,
  },
} as const satisfies Record<Kind, object>;

export const GRID = { spacing: 64 } as const;

/** Horizontal degrees of a camera without focal length or field of view. */
export const DEFAULT_FOV = 50;

export const KINDS = Object.keys(BY_KIND) as readonly Kind[];

/** Nothing moves yet. */
export function newMotion(width: number, height: number, numFrames = 49, fps = 16): Motion {
  return {
    canvas: { width, height },
    num_frames: numFrames,
    fps,
    instructions: [],
    pan: [],
    occlusion: true,
  };
}
