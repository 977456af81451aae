// The keyboard on the stage: nudging the handle in focus, drawing with a crosshair, holding Space for the hand.

import { type KeyboardEvent as ReactKeyboardEvent, type RefObject, useEffect } from "react";
import { at, flatten } from "../motion/curve";
import type { Instruction, XY } from "../motion/document";
import { find } from "../motion/edits";
import { displayName } from "../motion/names";
import { routeOf } from "../motion/points";
import { editor } from "../store/react";
import { viewNow } from "./layers/useView";
import { announce, stage } from "./stageStore";
import { toolOf } from "./tools";
import { benchNow } from "./tools/bench";
import { handlesIn, nudge, spoken } from "./tools/grip";
import type { Gesture, Press } from "./tools/tool";
import { toCanvas } from "./view";

const ARROWS: Readonly<Record<string, XY>> = {
  ArrowLeft: [-1, 0],
  ArrowRight: [1, 0],
  ArrowUp: [0, -1],
  ArrowDown: [0, 1],
};

/** Canvas pixels of one step of the crosshair: usual, with Shift, with Alt. */
const CROSSHAIR_STEP = { usual: 10, large: 50, fine: 1 };

/** What Enter began with the crosshair and the next Enter ends. */
let held: Gesture | null = null;

export function arrowOf(key: string): XY | undefined {
  return ARROWS[key];
}

/** Keys on the stage or on one of its handles. */
export function onStageKey(event: ReactKeyboardEvent<HTMLElement>): void {
  const target = event.target as Element;
  const used =
    toolOf(editor.getState().tool).key?.(event.nativeEvent, benchNow()) ||
    onHandleKey(event, target) ||
    onAnchorKey(event, target) ||
    onCrosshairKey(event, target);
  if (!used) return;
  event.preventDefault();
  event.stopPropagation();
}

/** Ends what the crosshair began; answers whether there was something. */
export function cancelCrosshair(): boolean {
  const { crosshair } = stage.getState();
  held?.cancel(benchNow());
  const was = held !== null || crosshair !== null;
  held = null;
  if (crosshair) stage.setState({ crosshair: null, dragging: false });
  return was;
}

function onHandleKey(event: ReactKeyboardEvent, target: Element): boolean {
  const key = target.getAttribute("data-handle");
  const id = target.getAttribute("data-instruction");
  if (key === null || id === null) return false;
  const bench = benchNow();
  const arrow = arrowOf(event.key);
  if (arrow && !event.ctrlKey && !event.metaKey) {
    const step = event.shiftKey ? 10 : 1;
    nudge(id, key, [arrow[0] * step, arrow[1] * step], event.altKey, bench);
    return true;
  }
  const instruction = find(bench.editor.motion, id);
  const handle = instruction && handlesIn(instruction, bench).find((each) => each.key === key);
  if (!instruction || handle?.point === undefined) return false;
  if (event.key === "Enter" || event.key === " ") {
    bench.editor.selectPoints([handle.point], "toggle");
    return true;
  }
  if (event.key === "Insert" || event.key === "i") {
    insertAfter(instruction, handle.point);
    return true;
  }
  if (event.key === "Delete" || event.key === "Backspace") {
    const { points } = bench.editor;
    bench.editor.removePoints(id, points.includes(handle.point) ? points : [handle.point]);
    announce(`${displayName(instruction)} ${handle.label} deleted`);
    return true;
  }
  return false;
}

/** A new point half way to the next one, or to the one before at the end of a path. */
function insertAfter(instruction: Instruction, point: number): void {
  const route = routeOf(instruction);
  if (!route || route.points.length < 2) return;
  const { knots } = flatten(route.points, route.curve);
  const from = Math.min(point, knots.length - 2);
  const middle = at(
    flatten(route.points, route.curve),
    ((knots[from] as number) + (knots[from + 1] as number)) / 2,
  );
  const index = editor.getState().insertPoint(instruction.id, middle);
  announce(`${displayName(instruction)} point ${index + 1} inserted`);
}

function onAnchorKey(event: ReactKeyboardEvent, target: Element): boolean {
  const id = target.getAttribute("data-anchor");
  if (id === null || (event.key !== "Enter" && event.key !== " ")) return false;
  const adding = event.shiftKey || event.ctrlKey || event.metaKey;
  const surface = target.closest("[role=application]");
  editor.getState().select([id], adding ? "toggle" : "replace");
  const instruction = find(editor.getState().motion, id);
  if (instruction) announce(`${displayName(instruction)} selected`);
  // Its handles come with the next rendering; the first of them takes the focus of the mark that stood for it.
  requestAnimationFrame(() => surface?.querySelector<SVGElement>(`[data-instruction="${id}"]`)?.focus());
  return true;
}

function onCrosshairKey(event: ReactKeyboardEvent, target: Element): boolean {
  const tool = toolOf(editor.getState().tool);
  if (tool.keyboard === "none" || target.getAttribute("role") !== "application") return false;
  if (event.ctrlKey || event.metaKey) return false;
  const bench = benchNow();
  const arrow = arrowOf(event.key);
  const { crosshair } = stage.getState();
  if (arrow) {
    const from = crosshair ?? middleOfView();
    const step = event.shiftKey
      ? CROSSHAIR_STEP.large
      : event.altKey
        ? CROSSHAIR_STEP.fine
        : CROSSHAIR_STEP.usual;
    const { width, height } = bench.editor.motion.canvas;
    const at: XY = [clamp(from[0] + arrow[0] * step, width), clamp(from[1] + arrow[1] * step, height)];
    stage.setState({ crosshair: at });
    if (held) held.move([pressAt(at)], bench);
    else tool.hover?.(pressAt(at), bench);
    announce(`${Math.round(at[0])}, ${Math.round(at[1])}`);
    return true;
  }
  if (event.key !== "Enter") return false;
  const at = crosshair ?? middleOfView();
  stage.setState({ crosshair: at });
  if (tool.keyboard === "click") {
    tool.down(pressAt(at), bench)?.up(pressAt(at), bench);
  } else if (held) {
    const gesture = held;
    held = null;
    gesture.up(pressAt(at), bench);
  } else {
    held = tool.down(pressAt(at), bench) ?? null;
    announce("Started; arrow keys drag, Enter ends");
  }
  return true;
}

/** Shows the crosshair when the stage comes into focus by the keyboard with a drawing tool in hand. */
export function onStageFocus(event: { target: EventTarget; currentTarget: EventTarget }): void {
  const element = event.target as HTMLElement;
  if (event.target !== event.currentTarget) cancelCrosshair();
  if (event.target !== event.currentTarget || !element.matches(":focus-visible")) return;
  const tool = toolOf(editor.getState().tool);
  if (tool.keyboard !== "none" && !stage.getState().crosshair) stage.setState({ crosshair: middleOfView() });
}

/** Says which handle the keyboard is on. */
export function sayHandle(target: Element): void {
  const key = target.getAttribute("data-handle");
  const id = target.getAttribute("data-instruction");
  const instruction = id === null ? undefined : find(editor.getState().motion, id);
  const handle = instruction && handlesIn(instruction, benchNow()).find((each) => each.key === key);
  if (instruction && handle) announce(spoken(instruction, handle));
}

function pressAt(at: XY): Press {
  return { at, time: performance.now(), shift: false, alt: false, mod: false, clicks: 1, coarse: false };
}

function middleOfView(): XY {
  const { size } = stage.getState();
  const { width, height } = editor.getState().motion.canvas;
  const [x, y] = toCanvas(viewNow(), size, [size.width / 2, size.height / 2]);
  return [Math.round(clamp(x, width)), Math.round(clamp(y, height))];
}

function clamp(value: number, most: number): number {
  return Math.min(Math.max(value, 0), most);
}

/** Held longer than this, Space was the hand, whether something was dragged or not. */
const TAP_MS = 350;

/** Space over the stage: the hand while it is held, play or pause when it was tapped. */
export function useSpace(surface: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    let over = false;
    let view: unknown = null;
    let pressed = 0;
    const inUse = (target: EventTarget | null) =>
      target instanceof HTMLElement &&
      (target.isContentEditable ||
        target.matches("input, textarea, select, dialog *") ||
        (focusedByKey && target.matches("button, [role=button], [role=option], [role=tab], a")));
    // A button that was clicked keeps the focus, but Space is the hand again; `:focus-visible` forgets at any key
    // how the focus came.
    let focusedByKey = false;
    let pointed = false;
    const onInput = (event: Event) => {
      pointed = event.type === "pointerdown";
    };
    const onFocusIn = () => {
      focusedByKey = !pointed;
    };
    const onKeyDown = (event: KeyboardEvent) => {
      if (event.key !== " " || event.ctrlKey || event.metaKey || event.altKey || !over || inUse(event.target))
        return;
      event.preventDefault();
      event.stopPropagation();
      // In the middle of a stroke it is neither.
      if (event.repeat || stage.getState().grabbing || stage.getState().dragging) return;
      view = editor.getState().view;
      pressed = event.timeStamp;
      stage.setState({ grabbing: true });
    };
    const onKeyUp = (event: KeyboardEvent) => {
      if (event.key !== " " || !stage.getState().grabbing) return;
      event.preventDefault();
      event.stopPropagation();
      stage.setState({ grabbing: false });
      const { playing, setPlaying, view: now } = editor.getState();
      if (now === view && event.timeStamp - pressed < TAP_MS) setPlaying(!playing);
    };
    const letGo = () => stage.setState({ grabbing: false });
    const element = surface.current;
    const enter = () => {
      over = true;
    };
    const leave = () => {
      over = false;
    };
    element?.addEventListener("pointerenter", enter);
    element?.addEventListener("pointerleave", leave);
    window.addEventListener("pointerdown", onInput, true);
    window.addEventListener("keydown", onInput, true);
    window.addEventListener("focusin", onFocusIn);
    window.addEventListener("keydown", onKeyDown, true);
    window.addEventListener("keyup", onKeyUp, true);
    window.addEventListener("blur", letGo);
    return () => {
      element?.removeEventListener("pointerenter", enter);
      element?.removeEventListener("pointerleave", leave);
      window.removeEventListener("pointerdown", onInput, true);
      window.removeEventListener("keydown", onInput, true);
      window.removeEventListener("focusin", onFocusIn);
      window.removeEventListener("keydown", onKeyDown, true);
      window.removeEventListener("keyup", onKeyUp, true);
      window.removeEventListener("blur", letGo);
    };
  }, [surface]);
}
