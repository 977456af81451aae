// What the keyboard does for the canvas wherever the focus is: nudge, delete, duplicate, pick, zoom.

import type { XY } from "../motion/document";
import { find } from "../motion/edits";
import { displayName } from "../motion/names";
import { editor } from "../store/react";
import { useShortcuts } from "../ui";
import { viewNow } from "./layers/useView";
import { announce, stage } from "./stageStore";
import { arrowOf, cancelCrosshair } from "./useKeys";
import { cancelPointer } from "./usePointers";
import { zoomedAt } from "./view";

const ZOOM_STEP = 1.25;

export function zoomBy(factor: number): void {
  const { motion, setView } = editor.getState();
  const { size } = stage.getState();
  setView(zoomedAt(viewNow(), factor, [size.width / 2, size.height / 2], motion.canvas, size));
}

export function zoomTo(scale: number): void {
  zoomBy(scale / viewNow().scale);
}

export function fit(): void {
  editor.getState().setView(null);
}

export function zoomIn(): void {
  zoomBy(ZOOM_STEP);
}

export function zoomOut(): void {
  zoomBy(1 / ZOOM_STEP);
}

/** Ids of what is selected and may be changed. */
export function freeSelection(): readonly string[] {
  const { selection, locked } = editor.getState();
  return selection.filter((id) => !locked.has(id));
}

export function deleteSelected(): void {
  const { points, selection, removePoints, remove } = editor.getState();
  const ids = freeSelection();
  if (points.length > 0 && ids.length === 1 && selection.length === 1) removePoints(ids[0] as string, points);
  else remove(selection);
  if (ids.length > 0) announce("Deleted");
}

export function duplicateSelected(): void {
  const { selection, duplicate } = editor.getState();
  const ids = selection.length > 0 ? duplicate(selection) : [];
  if (ids.length > 0) announce(ids.length === 1 ? "Duplicated" : `${ids.length} duplicated`);
}

export function useStageShortcuts(): void {
  const selected = () => editor.getState().selection.length > 0;
  useShortcuts([
    ...(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"] as const).map((key) => ({
      keys: [key, `Shift+${key}`],
      label: `Nudge ${key.slice(5).toLowerCase()} (Shift: 10 px)`,
      group: "Edit",
      when: () => freeSelection().length > 0,
      run: (event: KeyboardEvent) => nudgeSelected(key, event.shiftKey),
    })),
    { keys: ["Delete", "Backspace"], label: "Delete", group: "Edit", when: selected, run: deleteSelected },
    { keys: "Mod+D", label: "Duplicate", group: "Edit", run: duplicateSelected },
    { keys: "Mod+A", label: "Select all", group: "Edit", run: () => editor.getState().selectAll() },
    { keys: "Escape", label: "Cancel, then select nothing", group: "Edit", run: leaveStepwise },
    { keys: "]", label: "Next instruction", group: "Edit", run: () => selectNext(1) },
    { keys: "[", label: "Previous instruction", group: "Edit", run: () => selectNext(-1) },
    { keys: ["+", "="], label: "Zoom in", group: "View", run: zoomIn },
    { keys: "-", label: "Zoom out", group: "View", run: zoomOut },
    { keys: "0", label: "Fit the picture", group: "View", run: fit },
    { keys: "1", label: "Actual size", group: "View", run: () => zoomTo(1) },
  ]);
}

function nudgeSelected(key: string, large: boolean): void {
  const arrow = arrowOf(key);
  if (!arrow) return;
  const step = large ? 10 : 1;
  const by: XY = [arrow[0] * step, arrow[1] * step];
  const { points, selection, movePoints, move } = editor.getState();
  if (points.length > 0 && selection.length === 1) movePoints(selection[0] as string, points, by);
  else move(freeSelection(), by);
}

/** One thing at a time: the gesture, what is being drawn, the picked points, the selection, the tool. */
function leaveStepwise(): void {
  if (cancelPointer() || cancelCrosshair()) return;
  const { draft, cancel, points, selectPoints, selection, select, tool, setTool } = editor.getState();
  if (draft !== null) cancel();
  else if (points.length > 0) selectPoints([]);
  else if (selection.length > 0) select([]);
  else if (tool !== "select") setTool("select");
}

function selectNext(step: 1 | -1): void {
  const { motion, selection, select } = editor.getState();
  const shown = motion.instructions.filter((each) => !each.hidden);
  if (shown.length === 0) return;
  const here = shown.findIndex(({ id }) => id === selection[selection.length - 1]);
  const start = here < 0 && step < 0 ? 0 : here;
  const next = shown[(start + step + shown.length) % shown.length];
  if (!next) return;
  select([next.id]);
  const found = find(motion, next.id);
  if (found) announce(`${displayName(found)} selected`);
}
