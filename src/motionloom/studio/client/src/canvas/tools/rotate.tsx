// Rotate: press in the middle and drag outwards for what turns about it; the handle on its arm sets the angle.

import { createStore, useStore } from "zustand";
import type { Rotate, XY } from "../../motion/document";
import { useEditor } from "../../store/react";
import { Button, NumberField } from "../../ui";
import { aroundAt } from "../handles/shapes";
import { endValue, withEndValue } from "../handles/values";
import { benchNow } from "./bench";
import { apart, drafted, keep, round, selectedOf, show } from "./draft";
import { Choices, Hint } from "./OptionBar";
import { CLICK_SLACK, type Press, type Tool } from "./tool";

type Turns = "area" | "points";

const RIM_POINTS = 8;
const OUTLINE_CORNERS = 32;
const CLICKED_RADIUS = 0.12;
const FIRST_ANGLE = 90;

const options = createStore<{ turns: Turns }>()(() => ({ turns: "area" }));

export const rotate: Tool = {
  name: "rotate",
  label: "Rotate",
  shortcut: "O",
  icon: "rotate",
  hint: "Press in the middle, drag over what turns, then drag the arm for the angle",
  cursor: "crosshair",
  keyboard: "drag",
  down(press, bench) {
    const { width, height } = bench.editor.motion.canvas;
    const { turns } = options.getState();
    return {
      move(presses) {
        const radius = apart(press.at, (presses[presses.length - 1] as Press).at);
        if (radius >= 1) show(made(press.at, radius, turns), bench);
      },
      up(last) {
        const radius = apart(press.at, last.at);
        if (radius >= bench.pixels(CLICK_SLACK)) return void keep(made(press.at, radius, turns), bench);
        const selected = selectedOf("rotate", bench);
        if (selected && !selected.region) {
          const points = [...selected.points, round(press.at)];
          bench.editor.cancel();
          bench.editor.update(selected.id, () => ({ ...selected, points }), "Add turning point");
        } else keep(made(press.at, CLICKED_RADIUS * Math.min(width, height), turns), bench);
      },
      cancel: () => bench.editor.cancel(),
    };
  },
  Options: RotateOptions,
};

function made(center: XY, radius: number, turns: Turns): Rotate {
  const around = (count: number) =>
    Array.from({ length: count }, (_, k) => round(aroundAt(center, radius, (360 * k) / count)));
  const what =
    turns === "area" ? { region: { polygon: around(OUTLINE_CORNERS) } } : { points: around(RIM_POINTS) };
  return drafted("rotate", { center: round(center), angle: FIRST_ANGLE, ...what });
}

function RotateOptions() {
  const turns = useStore(options, (state) => state.turns);
  const selected = useEditor(() => selectedOf("rotate", benchNow()));
  const region = useEditor(() => selectedOf("region", benchNow()));
  return (
    <>
      <Choices
        label="What turns"
        value={turns}
        options={[
          ["area", "Area"],
          ["points", "Points"],
        ]}
        onChange={(value) => options.setState({ turns: value })}
      />
      {selected && (
        <NumberField
          label="Angle"
          layout="row"
          value={endValue(selected.angle)}
          min={-36000}
          max={36000}
          step={5}
          unit="°"
          onChange={(value) =>
            benchNow().editor.update(
              selected.id,
              (each) => (each.kind === "rotate" ? { ...each, angle: withEndValue(each.angle, value) } : each),
              "Change angle",
            )
          }
        />
      )}
      {region && (
        <Button
          size="small"
          icon="rotate"
          onClick={() =>
            benchNow().editor.update(
              region.id,
              (each) =>
                each.kind === "region"
                  ? { ...each, rotation: withEndValue(each.rotation, FIRST_ANGLE) }
                  : each,
              "Turn region",
            )
          }
        >
          Turn the selected region
        </Button>
      )}
      {!selected && <Hint>{rotate.hint}</Hint>}
    </>
  );
}
