// The editor of this page, for React.

import { useSyncExternalStore } from "react";
import { useStore } from "zustand";
import type { Motion } from "../motion/document";
import { createTracer, type Traced } from "../motion/evaluate";
import { masks } from "../motion/masks";
import { createEditor } from "./create";
import type { EditorState } from "./editor";

/** The one editor. Outside of components: `editor.getState()`, `editor.subscribe(...)`. */
export const editor = createEditor();

/** Part of the editor's state; the component renders again when that part changes. */
export function useEditor<T>(selector: (state: EditorState) => T): T {
  return useStore(editor, selector);
}

/** The motion as it is shown: what is being dragged, else what was last committed. */
export function useShownMotion(): Motion {
  return useEditor(shownMotion);
}

const shownMotion = (state: EditorState) => state.draft ?? state.motion;

const tracer = createTracer(masks);
let times = new Float64Array();
let newest: { motion: Motion; version: number; traced: readonly Traced[] } | null = null;

/**
 * The traces of a motion at its frames 0, 1, ..., num_frames - 1, in drawing order, without the hidden ones. What did
 * not change since the last motion asked about is the very same object. `useTraced` for code outside of components.
 */
export function tracedFrames(motion: Motion): readonly Traced[] {
  if (newest?.motion === motion && newest.version === masks.version) return newest.traced;
  if (times.length !== motion.num_frames)
    times = Float64Array.from({ length: motion.num_frames }, (_, t) => t);
  const version = masks.version;
  newest = { motion, version, traced: tracer(motion, times) };
  return newest.traced;
}

/** The traces of a motion at every frame. */
export function useTraced(motion: Motion): readonly Traced[] {
  // A mask that has been decoded changes what can be traced.
  useSyncExternalStore(masks.subscribe, () => masks.version);
  return tracedFrames(motion);
}
