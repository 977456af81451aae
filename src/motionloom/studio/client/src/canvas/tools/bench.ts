// The bench as it is now, for tools and for their options.

import { editor } from "../../store/react";
import { announce, stage } from "../stageStore";
import { fitted } from "../view";
import type { Bench } from "./tool";

/** Screen pixels per canvas pixel. */
export function scaleNow(): number {
  const { view, motion } = editor.getState();
  return (view ?? fitted(motion.canvas, stage.getState().size)).scale;
}

const bench: Bench = {
  get editor() {
    return editor.getState();
  },
  pixels: (screen) => screen / scaleNow(),
  announce,
};

export function benchNow(): Bench {
  return bench;
}
