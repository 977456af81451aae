// What a tool is. To add one: a file like `staticPoint.tsx` beside this one, and a line in `index.ts`.

import type { ComponentType } from "react";
import type { Instruction, XY } from "../../motion/document";
import type { EditorState, ToolName } from "../../store/editor";
import type { IconName } from "../../ui";

/** A moment of a pointer on the picture. */
export interface Press {
  /** Canvas pixels. */
  readonly at: XY;
  /** Milliseconds. */
  readonly time: number;
  readonly shift: boolean;
  readonly alt: boolean;
  /** Ctrl, or Cmd on a Mac. */
  readonly mod: boolean;
  /** 2 for the second press of a double click. */
  readonly clicks: number;
  /** A finger: aims less well than a mouse or a pen. */
  readonly coarse: boolean;
}

/** What tools work on. */
export interface Bench {
  /** The editor as it is now. */
  readonly editor: EditorState;
  /** Canvas pixels of so many screen pixels. */
  pixels(screen: number): number;
  /** Says it to who cannot see it. */
  announce(text: string): void;
}

/** One press until it is let go. */
export interface Gesture {
  /** Where the pointer came along since the last call, oldest first; never empty. */
  move(presses: readonly Press[], bench: Bench): void;
  up(press: Press, bench: Bench): void;
  /** Escape, or the system took the pointer: nothing of it remains. */
  cancel(bench: Bench): void;
}

export interface Tool {
  readonly name: ToolName;
  /** Name of the button, and the key that picks it. */
  readonly label: string;
  readonly shortcut: string;
  readonly icon: IconName;
  /** One line on how to use it. */
  readonly hint: string;
  /** CSS cursor over the picture. */
  readonly cursor: string;
  /** How it is used with the arrow keys: Enter places a point, or Enter presses and Enter again lets go. */
  readonly keyboard: "click" | "drag" | "none";
  down(press: Press, bench: Bench): Gesture | undefined;
  /** The pointer moves without being pressed. */
  hover?(press: Press, bench: Bench): void;
  /** Whether the key was used. */
  key?(event: KeyboardEvent, bench: Bench): boolean;
  /** Something is begun that the next presses go on with: handles are not taken hold of. */
  busy?(): boolean;
  /** Whether a handle of the selected instruction is not taken hold of, because this tool drags it in its own way. */
  leavesAlone?(instruction: Instruction, handle: string): boolean;
  /** Another tool is taken in hand: what was begun is finished. */
  leave?(bench: Bench): void;
  /** Shown above the picture. */
  readonly Options?: ComponentType;
}

/** Screen pixels a press may wander and still be a click. */
export const CLICK_SLACK = 4;
