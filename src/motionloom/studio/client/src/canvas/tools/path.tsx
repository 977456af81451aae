// Free path: drawn in one stroke, whose speed can be the motion's, or point by point.

import { createStore, useStore } from "zustand";
import type { CurveKind, FreePath, PathPoint, XY } from "../../motion/document";
import { strokeToPath } from "../../motion/stroke";
import { useEditor } from "../../store/react";
import { Button, Select } from "../../ui";
import { stage } from "../stageStore";
import { benchNow } from "./bench";
import { recurved } from "./curves";
import { apart, drafted, keep, round, selectedOf, show } from "./draft";
import { Choices, Hint } from "./OptionBar";
import { type Bench, CLICK_SLACK, type Gesture, type Press, type Tool } from "./tool";

export type Pace = "drawn-speed" | "even";

interface PathState {
  pace: Pace;
  curve: CurveKind;
  /** Points placed one by one so far. */
  placed: readonly PathPoint[];
}

/** How far a simplified stroke may lie from what was drawn, screen pixels. */
export const STROKE_TOLERANCE = 1.5;

export const CURVES = [
  { value: "catmull-rom", label: "Smooth" },
  { value: "polyline", label: "Straight" },
  { value: "bezier", label: "Bézier" },
] as const satisfies readonly { value: CurveKind; label: string }[];

const state = createStore<PathState>()(() => ({ pace: "drawn-speed", curve: "catmull-rom", placed: [] }));

export const path: Tool = {
  name: "path",
  label: "Free path",
  shortcut: "P",
  icon: "path",
  hint: "Draw a stroke, or click point by point and press Enter",
  cursor: "crosshair",
  keyboard: "click",
  down: (press, bench) =>
    state.getState().placed.length > 0 ? place(press, bench) : strokeOrPoint(press, bench),
  hover(press, bench) {
    const { placed } = state.getState();
    if (placed.length > 0) showPlaced([...placed, pointAt(press.at)], bench);
  },
  key(event, bench) {
    const { placed } = state.getState();
    if (placed.length === 0) return false;
    // Where the keyboard draws, Enter places the next point; once more in the same place ends the path.
    if (event.key === "Enter" && stage.getState().crosshair) return false;
    if (event.key === "Enter" || event.key === "Escape") finish(bench);
    else if (event.key === "Backspace" || event.key === "Delete" || isUndo(event)) {
      state.setState({ placed: placed.slice(0, -1) });
      if (placed.length > 1) showPlaced(placed.slice(0, -1), bench);
      else bench.editor.cancel();
      bench.announce(`Point ${placed.length} taken back`);
    } else return false;
    return true;
  },
  busy: () => state.getState().placed.length > 0,
  leave: finish,
  Options: PathOptions,
};

/** Undo takes back the last point as long as the path is not finished. */
function isUndo(event: KeyboardEvent): boolean {
  return event.key.toLowerCase() === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey;
}

/** The pointer's way and time as a gesture: `done` gets it in canvas pixels. For all tools that take a drawn way. */
export function stroke(
  press: Press,
  bench: Bench,
  done: (samples: readonly Press[]) => void,
  short: () => void,
): Gesture {
  const samples: Press[] = [press];
  let drawn = false;
  const finish = () => stage.setState({ sketch: null });
  return {
    move(presses) {
      samples.push(...presses);
      const last = presses[presses.length - 1] as Press;
      drawn ||= apart(press.at, last.at) >= bench.pixels(CLICK_SLACK);
      if (drawn) stage.setState({ sketch: { kind: "line", points: samples.map(({ at }) => at) } });
    },
    up(last) {
      finish();
      // The pointer may rest before it is let go: that pause is part of the pace, unless nothing else was drawn.
      if (drawn) done([...samples, last]);
      else short();
    },
    cancel: finish,
  };
}

/** A drawn way as a route with few points, on the motion's clock. */
export function routeOfStroke(samples: readonly Press[], pace: Pace, bench: Bench) {
  const { num_frames: numFrames, fps } = bench.editor.motion;
  const began = samples[0]?.time ?? 0;
  return strokeToPath(
    samples.map(({ at: [x, y], time }) => ({ x, y, ms: time - began })),
    { mode: pace, numFrames, fps, tolerance: bench.pixels(STROKE_TOLERANCE) },
  );
}

function strokeOrPoint(press: Press, bench: Bench): Gesture {
  return stroke(
    press,
    bench,
    (samples) => {
      const { pace, curve } = state.getState();
      const route = routeOfStroke(samples, pace, bench);
      keep(drafted("path", curve === route.curve ? route : { ...route, ...recurved(route, curve) }), bench);
    },
    () => {
      state.setState({ placed: [pointAt(press.at)] });
      showPlaced(state.getState().placed, bench);
      bench.announce("Point 1 placed; Enter or a double click ends the path");
    },
  );
}

/** One more point. Where the curve is Bézier, dragging pulls the tangents out. */
function place(press: Press, bench: Bench): Gesture {
  const { placed, curve } = state.getState();
  const last = placed[placed.length - 1];
  const again = last && apart([last.x, last.y], press.at) < bench.pixels(CLICK_SLACK * 2);
  if (press.clicks >= 2 || again) {
    finish(bench);
    return { move() {}, up() {}, cancel() {} };
  }
  let point = pointAt(press.at);
  showPlaced([...placed, point], bench);
  return {
    move(presses) {
      const { at } = presses[presses.length - 1] as Press;
      const pull = round([at[0] - press.at[0], at[1] - press.at[1]]);
      if (curve !== "bezier") point = pointAt(at);
      else if (Math.hypot(...pull) > bench.pixels(CLICK_SLACK))
        point = { ...pointAt(press.at), handle_in: [-pull[0], -pull[1]], handle_out: pull };
      showPlaced([...placed, point], bench);
    },
    up() {
      state.setState({ placed: [...placed, point] });
      showPlaced([...placed, point], bench);
      bench.announce(`Point ${placed.length + 1} at ${Math.round(point.x)}, ${Math.round(point.y)}`);
    },
    cancel: () => showPlaced(placed, bench),
  };
}

function finish(bench: Bench): void {
  const { placed } = state.getState();
  if (placed.length === 0) return;
  state.setState({ placed: [] });
  bench.editor.cancel();
  if (placed.length >= 2) keep(drawn(placed), bench);
  else bench.announce("A path needs two points");
}

function showPlaced(points: readonly PathPoint[], bench: Bench): void {
  show(drawn(points), bench);
}

function drawn(points: readonly PathPoint[]): FreePath {
  return drafted("path", { points, curve: state.getState().curve });
}

function pointAt(at: XY): PathPoint {
  const [x, y] = round(at);
  return { x, y };
}

function PathOptions() {
  const { pace, curve, placed } = useStore(state);
  const selected = useEditor(() => selectedOf("path", benchNow()));
  return (
    <>
      <Choices
        label="Speed"
        value={pace}
        options={[
          ["drawn-speed", "Drawn speed"],
          ["even", "Even speed"],
        ]}
        onChange={(value) => state.setState({ pace: value })}
      />
      <Select
        label="Curve"
        hideLabel
        value={placed.length === 0 && selected ? selected.curve : curve}
        options={CURVES}
        onChange={(value) => {
          state.setState({ curve: value });
          if (placed.length === 0 && selected)
            benchNow().editor.update(
              selected.id,
              (each) => (each.kind === "path" ? { ...each, ...recurved(each, value) } : each),
              "Change curve",
            );
        }}
      />
      {placed.length > 0 ? (
        <Button size="small" icon="check" variant="primary" onClick={() => finish(benchNow())}>
          Finish path
        </Button>
      ) : (
        <Hint>{path.hint}</Hint>
      )}
    </>
  );
}
