// What the stage knows beside the editor: its size, what is being drawn, the keyboard's crosshair, what was last said.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import type { XY } from "../motion/document";
import type { Extent } from "./view";

/** What is drawn by a tool before it is an instruction. */
export type Sketch =
  | { kind: "line"; points: readonly XY[] }
  | { kind: "area"; points: readonly XY[] }
  | { kind: "marquee"; from: XY; to: XY }
  | { kind: "brush"; points: readonly XY[]; radius: number; erase: boolean };

export interface StageState {
  /** Screen pixels. */
  size: Extent;
  sketch: Sketch | null;
  /** Outline of a region on its way while that is drawn, canvas pixels. */
  ghost: readonly XY[] | null;
  /** Where the keyboard draws, canvas pixels; null while the pointer does. */
  crosshair: XY | null;
  /** The brush's circle under the pointer, canvas pixels. */
  brushAt: { at: XY; radius: number } | null;
  /** Beside the handle that is being dragged. */
  readout: { at: XY; text: string } | null;
  /** For screen readers; `count` makes the same words heard again. */
  said: { text: string; count: number };
  /** Instruction under the pointer. */
  hovered: string | null;
  /** Something is being dragged. */
  dragging: boolean;
  /** Space is held: the hand. */
  grabbing: boolean;
  softEdit: boolean;
  /** Share of the path's length at which neighbours follow by half. */
  softReach: number;
  /** Corners of outlines can be dragged. */
  corners: boolean;
}

export const stage = createStore<StageState>()(() => ({
  size: { width: 0, height: 0 },
  sketch: null,
  ghost: null,
  crosshair: null,
  brushAt: null,
  readout: null,
  said: { text: "", count: 0 },
  hovered: null,
  dragging: false,
  grabbing: false,
  softEdit: false,
  softReach: 0.15,
  corners: false,
}));

export function useStage<T>(select: (state: StageState) => T): T {
  return useStore(stage, select);
}

export function announce(text: string): void {
  stage.setState(({ said }) => ({ said: { text, count: said.count + 1 } }));
}
