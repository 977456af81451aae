// Playing by buttons and keys.

import { editor } from "../store/react";
import type { Shortcut } from "../ui";

/** The playhead some frames further, standing still. */
export function step(by: number): void {
  const { playhead, motion, setPlayhead, setPlaying } = editor.getState();
  setPlaying(false);
  const whole = by > 0 ? Math.floor(playhead + 1e-6) : Math.ceil(playhead - 1e-6);
  setPlayhead(Math.min(Math.max(whole + by, 0), motion.num_frames - 1));
}

export function toggle(): void {
  const { playing, setPlaying } = editor.getState();
  setPlaying(!playing);
}

function goTo(frame: number): void {
  editor.getState().setPlaying(false);
  editor.getState().setPlayhead(frame);
}

const group = "Playing";

export const PLAYBACK_SHORTCUTS: readonly Shortcut[] = [
  { keys: ["Space", "k"], label: "Play or pause", group, run: toggle },
  { keys: ",", label: "One frame back", group, run: () => step(-1) },
  { keys: ".", label: "One frame forward", group, run: () => step(1) },
  { keys: "Home", label: "To the first frame", group, run: () => goTo(0) },
  {
    keys: "End",
    label: "To the last frame",
    group,
    run: () => goTo(editor.getState().motion.num_frames - 1),
  },
];
