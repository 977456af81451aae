// From pointer events on the stage to gestures of the tool in hand.

import { type RefObject, useEffect } from "react";
import type { XY } from "../motion/document";
import { find } from "../motion/edits";
import { editor } from "../store/react";
import { handleAt } from "./handles";
import { insertHandles } from "./handles/insert";
import { viewNow } from "./layers/useView";
import { Pointers } from "./pointers";
import { stage } from "./stageStore";
import { toolOf } from "./tools";
import { benchNow, scaleNow } from "./tools/bench";
import { grip, handlesIn } from "./tools/grip";
import type { Gesture, Press } from "./tools/tool";
import { isTrackpad, panned, toCanvas, wheelFactor, zoomedAt } from "./view";

/** Two presses within this time and distance are a double click. */
const DOUBLE_CLICK_MS = 400;
const DOUBLE_CLICK_PIXELS = 8;
/** Screen pixels around a handle that still take hold of it: half of what a finger or a mouse needs as a target. */
const HANDLE_REACH = { fine: 12, coarse: 22 };
/** While drawing, handles leave more room for drawing beside them. */
const HANDLE_REACH_DRAWING = { fine: 8, coarse: 16 };
/** A trackpad's scrolling may speed up; events this soon after each other come from the same fingers. */
const SAME_SCROLL_MS = 250;

/** Ends the gesture under way, as Escape does; answers whether there was one. */
let cancelGesture: () => boolean = () => false;

export function cancelPointer(): boolean {
  return cancelGesture();
}

export function usePointers(surface: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = surface.current;
    if (!element) return;
    const bench = benchNow();
    let gesture: Gesture | null = null;
    let lastPress = { time: 0, at: [0, 0] as XY, clicks: 0 };

    const placeOf = (event: { clientX: number; clientY: number }): XY => {
      const box = element.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const pressOf = (event: PointerEvent, at: XY, clicks = 1): Press => ({
      at: toCanvas(viewNow(), stage.getState().size, at),
      time: event.timeStamp,
      shift: event.shiftKey,
      alt: event.altKey,
      mod: event.ctrlKey || event.metaKey,
      clicks,
      coarse: event.pointerType === "touch",
    });
    const tool = () => toolOf(editor.getState().tool);
    const end = () => {
      gesture = null;
      stage.setState({ dragging: false });
    };

    const pointers = new Pointers<PointerEvent>(
      {
        press(event, at) {
          const again =
            event.timeStamp - lastPress.time < DOUBLE_CLICK_MS &&
            Math.hypot(at[0] - lastPress.at[0], at[1] - lastPress.at[1]) < DOUBLE_CLICK_PIXELS;
          lastPress = { time: event.timeStamp, at, clicks: again ? lastPress.clicks + 1 : 1 };
          const press = pressOf(event, at, lastPress.clicks);
          stage.setState({ crosshair: null, hovered: null, dragging: true });
          gesture = gripAt(press) ?? tool().down(press, bench) ?? null;
        },
        drag(event) {
          const all = event.getCoalescedEvents?.() ?? [];
          const presses = (all.length > 0 ? all : [event]).map((each) => pressOf(each, placeOf(each)));
          gesture?.move(presses, bench);
        },
        release(event, at) {
          const ended = gesture;
          end();
          ended?.up(pressOf(event, at, lastPress.clicks), bench);
        },
        cancel() {
          const ended = gesture;
          end();
          ended?.cancel(bench);
        },
        pan(by) {
          const { motion, setView } = editor.getState();
          setView(panned(viewNow(), by, motion.canvas, stage.getState().size));
        },
        pinch(factor, at, by) {
          const { motion, setView } = editor.getState();
          const { size } = stage.getState();
          setView(zoomedAt(panned(viewNow(), by, motion.canvas, size), factor, at, motion.canvas, size));
        },
        hover: (event, at) => tool().hover?.(pressOf(event, at), bench),
      },
      () => editor.getState().tool === "hand" || stage.getState().grabbing,
    );
    cancelGesture = () => {
      const was = pointers.busy;
      pointers.cancelled();
      return was;
    };

    const onDown = (event: PointerEvent) => {
      // The middle button would scroll the page by itself.
      if (event.button === 1) event.preventDefault();
      if (pointers.pressed(event, placeOf(event))) capture(element, event.pointerId);
    };
    const onMove = (event: PointerEvent) => pointers.moved(event, placeOf(event));
    const onUp = (event: PointerEvent) => pointers.released(event, placeOf(event));
    const onCancel = (event: PointerEvent) => pointers.cancelled(event);
    const onLeave = () => stage.setState({ hovered: null, brushAt: null });

    let scroll = { time: 0, trackpad: false };
    const onWheel = (event: WheelEvent) => {
      event.preventDefault();
      const going = event.timeStamp - scroll.time < SAME_SCROLL_MS;
      scroll = { time: event.timeStamp, trackpad: going ? scroll.trackpad : isTrackpad(event) };
      const { motion, setView } = editor.getState();
      const { size } = stage.getState();
      if (event.ctrlKey || event.metaKey || !(scroll.trackpad || event.shiftKey)) {
        setView(zoomedAt(viewNow(), wheelFactor(event), placeOf(event), motion.canvas, size));
        return;
      }
      const by: XY =
        event.shiftKey && event.deltaX === 0 ? [-event.deltaY, 0] : [-event.deltaX, -event.deltaY];
      setView(panned(viewNow(), by, motion.canvas, size));
    };

    element.addEventListener("pointerdown", onDown);
    element.addEventListener("pointermove", onMove);
    element.addEventListener("pointerup", onUp);
    element.addEventListener("pointercancel", onCancel);
    element.addEventListener("lostpointercapture", onUp);
    element.addEventListener("pointerleave", onLeave);
    element.addEventListener("wheel", onWheel, { passive: false });
    return () => {
      pointers.cancelled();
      cancelGesture = () => false;
      element.removeEventListener("pointerdown", onDown);
      element.removeEventListener("pointermove", onMove);
      element.removeEventListener("pointerup", onUp);
      element.removeEventListener("pointercancel", onCancel);
      element.removeEventListener("lostpointercapture", onUp);
      element.removeEventListener("pointerleave", onLeave);
      element.removeEventListener("wheel", onWheel);
    };
  }, [surface]);
}

/** The handle of the one selected instruction that is near enough, as a gesture. */
function gripAt(press: Press): Gesture | undefined {
  const { selection, motion, locked, tool: name } = editor.getState();
  const tool = toolOf(name);
  const only = selection.length === 1 ? selection[0] : undefined;
  const instruction = only !== undefined && !locked.has(only) ? find(motion, only) : undefined;
  if (!instruction || instruction.hidden || tool.busy?.() || press.clicks > 1) return undefined;
  const bench = benchNow();
  const reach = name === "select" ? HANDLE_REACH : HANDLE_REACH_DRAWING;
  const near = bench.pixels(press.coarse ? reach.coarse : reach.fine);
  const handles = handlesIn(instruction, bench).filter(
    ({ key }) => tool.leavesAlone?.(instruction, key) !== true,
  );
  const between = name === "select" ? insertHandles(instruction, scaleNow()) : [];
  const handle = handleAt(handles, press.at, near) ?? handleAt(between, press.at, near * 0.75);
  return handle && grip(instruction, handle, press, bench);
}

function capture(element: HTMLElement, pointer: number): void {
  try {
    element.setPointerCapture(pointer);
  } catch {
    // The pointer is gone already: its release has been heard or will not come.
  }
}
