// What the timeline shows of itself: how close, from where, and which row.

import { type RefObject, useEffect, useRef, useState } from "react";
import { editor, useEditor } from "../store/react";
import type { TimelineRow } from "./rows";
import { clampZoom, type Scale, toFrame, toX } from "./scale";

export const RULER = 36;

export function useSizes(width: number): { header: number; row: number } {
  const [coarse] = useState(() => window.matchMedia?.("(pointer: coarse)").matches ?? false);
  return { header: width > 0 && width < 620 ? 132 : 196, row: coarse ? 40 : 28 };
}

/** Zooming keeps the frame under the pointer (or, without one, the playhead) where it is. */
export function useZoom(
  scroller: RefObject<HTMLDivElement | null>,
  header: number,
  scale: Scale,
  zoom: number,
  room: number,
  setZoom: (zoom: number) => void,
) {
  const anchor = useRef<{ frame: number; at: number } | null>(null);
  useEffect(() => {
    const kept = anchor.current;
    anchor.current = null;
    if (kept && scroller.current) scroller.current.scrollLeft = toX(scale, kept.frame) - kept.at;
  }, [scale, scroller]);
  // React's wheel listeners are passive: the page's own zoom is kept away by one that is not.
  useEffect(() => {
    const stop = (event: globalThis.WheelEvent) => {
      if (event.ctrlKey || event.metaKey) event.preventDefault();
    };
    const element = scroller.current;
    element?.addEventListener("wheel", stop, { passive: false });
    return () => element?.removeEventListener("wheel", stop);
  }, [scroller]);
  return (wanted: number, clientX: number | null) => {
    const element = scroller.current;
    const next = clampZoom(wanted, scale.lastFrame, room);
    if (!element || next === zoom) return;
    const left = element.getBoundingClientRect().left + header;
    const frame = clientX === null ? editor.getState().playhead : null;
    const at = frame === null ? (clientX ?? 0) - left : toX(scale, frame) - element.scrollLeft;
    anchor.current = { frame: frame ?? toFrame(scale, at + element.scrollLeft), at };
    setZoom(next);
  };
}

/** While it plays, the playhead stays in sight. */
export function useFollowPlayhead(scroller: RefObject<HTMLDivElement | null>, header: number, scale: Scale) {
  useEffect(
    () =>
      editor.subscribe((state, before) => {
        const element = scroller.current;
        if (!element || state.playhead === before.playhead) return;
        const x = toX(scale, state.playhead) - element.scrollLeft;
        if (x > element.clientWidth - header - 8 || x < 0) element.scrollLeft += x - 40;
      }),
    [scroller, header, scale],
  );
}

/** What is selected on the canvas comes into sight here. */
export function useShowSelected(
  scroller: RefObject<HTMLDivElement | null>,
  rows: readonly TimelineRow[],
  rowHeight: number,
) {
  const only = useEditor((state) => (state.selection.length === 1 ? state.selection[0] : undefined));
  // biome-ignore lint/correctness/useExhaustiveDependencies: only when the selection is another one
  useEffect(() => {
    const element = scroller.current;
    const index = rows.findIndex((row) => row.kind === "instruction" && row.instruction.id === only);
    if (!element || index < 0) return;
    const y = index * rowHeight;
    const height = element.clientHeight - RULER;
    if (y < element.scrollTop) element.scrollTop = y;
    else if (y + rowHeight > element.scrollTop + height) element.scrollTop = y + rowHeight - height;
  }, [only]);
}
