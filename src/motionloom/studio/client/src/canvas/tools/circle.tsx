// Circle zoom: points on a circle that grows or shrinks. Drag from the middle outwards, then the right handle to where
// the circle shall come to.

import { createStore, useStore } from "zustand";
import type { XY } from "../../motion/document";
import { useEditor } from "../../store/react";
import { NumberField } from "../../ui";
import { rounded } from "../handles/values";
import { benchNow } from "./bench";
import { apart, drafted, keep, round, selectedOf, show } from "./draft";
import { Hint } from "./OptionBar";
import { CLICK_SLACK, type Press, type Tool } from "./tool";

/** A circle that was only clicked has this share of the canvas's shorter side as its radius. */
const CLICKED_RADIUS = 0.12;
/** How much a new circle grows until its handle is dragged. */
const GROWTH = 1.5;

const options = createStore<{ count: number }>()(() => ({ count: 8 }));

export const circle: Tool = {
  name: "circle",
  label: "Circle zoom",
  shortcut: "C",
  icon: "circle",
  hint: "Drag from the middle to the rim, then drag the end radius to zoom in or out",
  cursor: "crosshair",
  keyboard: "drag",
  down(press, bench) {
    const { width, height } = bench.editor.motion.canvas;
    const made = (radius: number) =>
      drafted("circle", {
        center: round(press.at),
        radius: rounded(radius),
        radius_curve: rounded(radius * GROWTH),
        count: options.getState().count,
      });
    const radiusTo = (at: XY) => apart(press.at, at);
    return {
      move(presses) {
        const radius = radiusTo((presses[presses.length - 1] as Press).at);
        if (radius >= 1) show(made(radius), bench);
      },
      up(last) {
        const radius = radiusTo(last.at);
        const clicked = radius < bench.pixels(CLICK_SLACK);
        keep(made(clicked ? CLICKED_RADIUS * Math.min(width, height) : radius), bench);
      },
      cancel: () => bench.editor.cancel(),
    };
  },
  Options: CircleOptions,
};

function CircleOptions() {
  const count = useStore(options, (state) => state.count);
  const selected = useEditor(() => selectedOf("circle", benchNow()));
  const shown = selected && !selected.angles ? selected.count : count;
  return (
    <>
      <NumberField
        label="Points"
        layout="row"
        value={shown}
        min={1}
        max={512}
        digits={0}
        onChange={(value) => {
          options.setState({ count: value });
          if (selected)
            benchNow().editor.update(
              selected.id,
              (each) => {
                if (each.kind !== "circle") return each;
                const { angles: _, ...rest } = each;
                return { ...rest, count: value };
              },
              "Change number of points",
            );
        }}
      />
      <Hint>{circle.hint}</Hint>
    </>
  );
}
