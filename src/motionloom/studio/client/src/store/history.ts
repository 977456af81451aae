// Undo and redo without limit. A step keeps the motion before and after it; motions share what did not change, so that
// a step costs the list of instructions and the one that was edited.

import type { Motion } from "../motion/document";

/** Repeats of the same change, such as nudges with an arrow key, become one step when they follow this quickly. */
export const COALESCE_MS = 600;

export interface Step {
  readonly label: string;
  readonly before: Motion;
  readonly after: Motion;
  readonly selectionBefore: readonly string[];
  readonly selectionAfter: readonly string[];
  /** Steps with the same key in quick succession are one. */
  readonly key?: string;
  readonly time: number;
}

export interface History {
  push(step: Step): void;
  /** The step that was taken back, or undefined when there is none. */
  undo(): Step | undefined;
  redo(): Step | undefined;
  /** The newest step will not grow any more. */
  seal(): void;
  readonly done: number;
  readonly undoLabel: string | null;
  readonly redoLabel: string | null;
}

export function createHistory(): History {
  const done: Step[] = [];
  const undone: Step[] = [];
  let open = false;
  return {
    push(step) {
      const last = done[done.length - 1];
      undone.length = 0;
      if (
        open &&
        last &&
        step.key !== undefined &&
        last.key === step.key &&
        step.time - last.time <= COALESCE_MS
      )
        done[done.length - 1] = { ...step, before: last.before, selectionBefore: last.selectionBefore };
      else done.push(step);
      open = true;
    },
    undo() {
      const step = done.pop();
      if (step) undone.push(step);
      open = false;
      return step;
    },
    redo() {
      const step = undone.pop();
      if (step) done.push(step);
      open = false;
      return step;
    },
    seal() {
      open = false;
    },
    get done() {
      return done.length;
    },
    get undoLabel() {
      return done[done.length - 1]?.label ?? null;
    },
    get redoLabel() {
      return undone[undone.length - 1]?.label ?? null;
    },
  };
}
