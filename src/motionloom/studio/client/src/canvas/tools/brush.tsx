// Brush region: paint over something; further strokes add to it or, with Alt, take away from it.

import { createStore, useStore } from "zustand";
import { type BrushStroke, paintedOutline } from "../../motion/brush";
import type { Region, XY } from "../../motion/document";
import { find } from "../../motion/edits";
import { displayName } from "../../motion/names";
import type { Shape } from "../../motion/shapes";
import { useEditor } from "../../store/react";
import { Button, Slider } from "../../ui";
import { areaShape } from "../handles/outline";
import { stage } from "../stageStore";
import { benchNow } from "./bench";
import { selectedOf } from "./draft";
import { Choices, Hint } from "./OptionBar";
import { regionOptions } from "./RegionOptions";
import { addRegion, dragRegion, isWayHandle } from "./region";
import type { Bench, Press, Tool } from "./tool";

type Mode = "paint" | "erase" | "move";

/** `size`: diameter in screen pixels, so that zooming in paints finer. */
const options = createStore<{ size: number; mode: Mode }>()(() => ({ size: 40, mode: "paint" }));

/** Whether the brush takes no notice of handles, which would be in the way of painting. */
export function usePainting(): boolean {
  const moves = useStore(options, ({ mode }) => mode === "move");
  return useEditor((state) => state.tool === "brush") && !moves;
}

/** Strokes of the region in hand: its outline is made anew from all of them, so that it does not wear off. */
let painted: { polygon: Region["polygon"]; start: Shape | null; strokes: readonly BrushStroke[] } | null =
  null;

export const brush: Tool = {
  name: "brush",
  label: "Brush region",
  shortcut: "B",
  icon: "brush",
  hint: "Paint over something; Alt erases",
  cursor: "none",
  keyboard: "drag",
  leavesAlone: (instruction, handle) =>
    options.getState().mode !== "move" || isWayHandle(instruction, handle),
  down(press, bench) {
    const { mode } = options.getState();
    if (mode === "move") {
      const way = dragRegion(press, bench, regionOptions.getState().pace);
      if (way) return way;
    }
    const erase = (mode === "erase") !== press.alt;
    const radius = radiusNow(bench);
    const points: XY[] = [press.at];
    const show = () =>
      stage.setState({ sketch: { kind: "brush", points: [...points], radius, erase }, brushAt: null });
    show();
    return {
      move(presses) {
        points.push(...presses.map(({ at }: Press) => at));
        show();
      },
      up() {
        stage.setState({ sketch: null });
        put({ points, radius, erase }, bench);
      },
      cancel: () => stage.setState({ sketch: null }),
    };
  },
  hover(press, bench) {
    stage.setState({ brushAt: { at: press.at, radius: radiusNow(bench) } });
  },
  key(event) {
    if (event.key !== "{" && event.key !== "}" && event.key !== "<" && event.key !== ">") return false;
    const larger = event.key === "}" || event.key === ">";
    options.setState(({ size }) => ({ size: clampSize(larger ? size * 1.25 : size / 1.25) }));
    return true;
  },
  leave: () => stage.setState({ brushAt: null }),
  Options: BrushOptions,
};

function put(stroke: BrushStroke, bench: Bench): void {
  const { canvas } = bench.editor.motion;
  const selected = selectedOf("region", bench);
  // What was painted by hand goes on anywhere; another region only where the stroke touches it.
  const goesOn =
    selected && (stroke.erase || isPainted(selected) || isTouched(areaShape(selected, canvas), stroke));
  const region = goesOn ? selected : undefined;
  if (!region && stroke.erase) {
    bench.announce("Nothing to erase: select a region first");
    return;
  }
  const before =
    painted && region && isPainted(region)
      ? painted
      : { start: region ? (areaShape(region, canvas) ?? null) : null, strokes: [] };
  const strokes = [...before.strokes, stroke];
  const outline = paintedOutline(strokes, canvas, bench.pixels(0.75), before.start);
  if (!outline) {
    if (region) bench.editor.remove([region.id]);
    else bench.announce("Paint on the picture");
    painted = null;
    return;
  }
  const id = region?.id ?? addRegion(outline, bench);
  if (region) {
    const { mask: _, ...rest } = region;
    bench.editor.update(
      id,
      () => ({ ...rest, polygon: outline }),
      stroke.erase ? "Erase from region" : "Paint region",
    );
  }
  const after = find(bench.editor.motion, id);
  painted = after?.kind === "region" ? { polygon: after.polygon, start: before.start, strokes } : null;
}

function isPainted(region: Region): boolean {
  return region.polygon !== undefined && painted?.polygon === region.polygon;
}

function isTouched(area: Shape | undefined, { points, radius }: BrushStroke): boolean {
  const around = Array.from({ length: 8 }, (_, k) => (k * Math.PI) / 4);
  return points.some(
    ([x, y]) =>
      area?.contains(x, y) ||
      around.some((angle) => area?.contains(x + radius * Math.cos(angle), y + radius * Math.sin(angle))),
  );
}

function radiusNow(bench: Bench): number {
  return bench.pixels(options.getState().size / 2);
}

function clampSize(size: number): number {
  return Math.min(Math.max(Math.round(size), 4), 300);
}

function BrushOptions() {
  const { size, mode } = useStore(options);
  const selected = useEditor(() => selectedOf("region", benchNow()));
  return (
    <>
      <Choices
        label="Brush"
        value={mode}
        options={[
          ["paint", "Paint"],
          ["erase", "Erase"],
          ["move", "Move"],
        ]}
        onChange={(value) => options.setState({ mode: value })}
      />
      {mode !== "move" && (
        <Slider
          label="Size"
          layout="row"
          value={size}
          min={4}
          max={300}
          text={`${size} px`}
          onChange={(value) => options.setState({ size: clampSize(value) })}
        />
      )}
      {selected && mode !== "move" && (
        <Button size="small" icon="plus" onClick={() => benchNow().editor.select([])}>
          New region
        </Button>
      )}
      <Hint>
        {mode === "move"
          ? "Drag the region the way it shall go"
          : selected
            ? mode === "erase"
              ? `Takes away from ${displayName(selected)}; Alt paints`
              : `Adds to ${displayName(selected)} where it touches it; Alt erases`
            : brush.hint}
      </Hint>
    </>
  );
}
