// Following the view without rendering: layers move themselves when it changes.

import { useEffect, useLayoutEffect, useRef } from "react";
import type { View } from "../../store/editor";
import { editor } from "../../store/react";
import { stage } from "../stageStore";
import { type Extent, fitted } from "../view";

/** The view as it is shown: fitted where none was chosen. */
export function viewNow(): View {
  const { view, motion } = editor.getState();
  return view ?? fitted(motion.canvas, stage.getState().size);
}

/** Calls `place` now and whenever the view, the canvas or the stage's size changes. */
export function useView(place: (view: View, size: Extent) => void): void {
  const latest = useRef(place);
  latest.current = place;
  useLayoutEffect(() => {
    let shown: { view: View | null; canvas: Extent; size: Extent } | null = null;
    const follow = () => {
      const { view, motion } = editor.getState();
      const { size } = stage.getState();
      const { canvas } = motion;
      if (shown && shown.view === view && shown.canvas === canvas && shown.size === size) return;
      shown = { view, canvas, size };
      if (size.width > 0) latest.current(viewNow(), size);
    };
    follow();
    const ends = [editor.subscribe(follow), stage.subscribe(follow)];
    return () => {
      for (const end of ends) end();
    };
  }, []);
}

/** Draws a canvas once per picture at most: `ask` again and again, `draw` runs in the next frame. */
export function useDrawing(draw: () => void): () => void {
  const latest = useRef(draw);
  latest.current = draw;
  const request = useRef(0);
  const ask = useRef(() => {
    if (request.current === 0)
      request.current = requestAnimationFrame(() => {
        request.current = 0;
        latest.current();
      });
  });
  useEffect(() => () => cancelAnimationFrame(request.current), []);
  return ask.current;
}

/** A canvas of the stage's size, in device pixels, ready for canvas coordinates; null while there is no size. */
export function prepared(
  element: HTMLCanvasElement | null,
): { context: CanvasRenderingContext2D; view: View } | null {
  const { size } = stage.getState();
  const context = element?.getContext("2d");
  if (!element || !context || size.width === 0) return null;
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
  if (element.width !== width || element.height !== height) {
    element.width = width;
    element.height = height;
  }
  const view = viewNow();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, width, height);
  const scale = view.scale * ratio;
  const left = (size.width / 2) * ratio - view.x * scale;
  const top = (size.height / 2) * ratio - view.y * scale;
  context.setTransform(scale, 0, 0, scale, left, top);
  return { context, view };
}
