// Looking at the picture: where canvas points lie on the screen, zooming at a point, fitting, never losing the picture.
//
// Screen positions are CSS pixels from the stage's top left corner. `View` holds the scale (screen pixels per canvas
// pixel) and the canvas point in the middle of the stage, so a resize keeps what is in the middle.

import type { XY } from "../motion/document";
import type { View } from "../store/editor";

export interface Extent {
  readonly width: number;
  readonly height: number;
}

/** Space around a fitted picture, in screen pixels: handles at the border stay within reach. */
const FIT_MARGIN = 28;
/** So much of the picture, in screen pixels, stays in sight whatever is dragged. */
const KEPT_IN_SIGHT = 64;
const MAX_SCALE = 64;
const MIN_PICTURE = 48;

/** The whole picture in the middle of the stage. */
export function fitted(canvas: Extent, stage: Extent): View {
  const room = (side: number) => Math.max(side - 2 * FIT_MARGIN, side * 0.6, 1);
  const scale = Math.min(room(stage.width) / canvas.width, room(stage.height) / canvas.height);
  return { scale: Math.min(Math.max(scale, 1e-3), MAX_SCALE), x: canvas.width / 2, y: canvas.height / 2 };
}

export function toScreen(view: View, stage: Extent, [x, y]: XY): XY {
  return [(x - view.x) * view.scale + stage.width / 2, (y - view.y) * view.scale + stage.height / 2];
}

export function toCanvas(view: View, stage: Extent, [x, y]: XY): XY {
  return [(x - stage.width / 2) / view.scale + view.x, (y - stage.height / 2) / view.scale + view.y];
}

/** `factor` times as large, with the canvas point under the screen position `at` staying there. */
export function zoomedAt(view: View, factor: number, at: XY, canvas: Extent, stage: Extent): View {
  const scale = clampScale(view.scale * factor, canvas, stage);
  const [x, y] = toCanvas(view, stage, at);
  const moved = {
    scale,
    x: x - (at[0] - stage.width / 2) / scale,
    y: y - (at[1] - stage.height / 2) / scale,
  };
  return kept(moved, canvas, stage);
}

/** The picture moves by so many screen pixels. */
export function panned(view: View, by: XY, canvas: Extent, stage: Extent): View {
  return kept({ ...view, x: view.x - by[0] / view.scale, y: view.y - by[1] / view.scale }, canvas, stage);
}

/** The nearest view that still shows part of the picture. */
export function kept(view: View, canvas: Extent, stage: Extent): View {
  const scale = clampScale(view.scale, canvas, stage);
  const reach = (picture: number, side: number) => {
    const sight = Math.min(KEPT_IN_SIGHT, picture * scale, side / 2);
    return (side / 2 - sight) / scale;
  };
  const [outX, outY] = [reach(canvas.width, stage.width), reach(canvas.height, stage.height)];
  return {
    scale,
    x: Math.min(Math.max(view.x, -outX), canvas.width + outX),
    y: Math.min(Math.max(view.y, -outY), canvas.height + outY),
  };
}

/** Of a wheel event: the factor to zoom by, the same for mice with notches and for trackpads. */
export function wheelFactor(event: { deltaY: number; deltaMode: number; ctrlKey: boolean }): number {
  const pixels = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
  // Pinching a trackpad arrives as a wheel with ctrl and small steps.
  const pace = event.ctrlKey && Math.abs(pixels) < 50 ? 0.01 : 0.0018;
  return Math.exp(-Math.max(-300, Math.min(300, pixels)) * pace);
}

/** Whether a wheel event comes from two fingers on a trackpad: those scroll in both directions, in uneven pixels. */
export function isTrackpad(event: { deltaX: number; deltaY: number; deltaMode: number }): boolean {
  if (event.deltaMode !== 0) return false;
  return event.deltaX !== 0 || !Number.isInteger(event.deltaY) || Math.abs(event.deltaY) < 40;
}

/** The scale in steps of a quarter of an octave: marks are laid out again at these, a tenth off at most. */
export function scaleStep(scale: number): number {
  return 2 ** (Math.round(Math.log2(scale) * 4) / 4);
}

function clampScale(scale: number, canvas: Extent, stage: Extent): number {
  const fit = fitted(canvas, stage).scale;
  const smallest = Math.min(fit, MIN_PICTURE / Math.max(canvas.width, canvas.height));
  return Math.min(Math.max(scale, smallest), Math.max(MAX_SCALE, fit));
}
