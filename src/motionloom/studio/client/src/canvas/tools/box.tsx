// Box: draw a rectangle, then drag it to where it shall end; the corners of its end set the size there.

import type { Box, XY } from "../../motion/document";
import { changeEach } from "../../motion/edits";
import { useEditor } from "../../store/react";
import { NumberField } from "../../ui";
import { onAxis } from "../handles/handle";
import { boxEnd, rectangleFrom } from "../handles/shapes";
import { rounded } from "../handles/values";
import { insideRectangle } from "../pick";
import { stage } from "../stageStore";
import { benchNow } from "./bench";
import { drafted, keep, selectedOf, show } from "./draft";
import { Hint } from "./OptionBar";
import { type Bench, CLICK_SLACK, type Gesture, type Press, type Tool } from "./tool";

export const box: Tool = {
  name: "box",
  label: "Box",
  shortcut: "X",
  icon: "box",
  hint: "Draw a box around something, then drag the box to where it shall go",
  cursor: "crosshair",
  keyboard: "drag",
  down(press, bench) {
    const selected = selectedOf("box", bench);
    if (
      selected &&
      (insideRectangle(boxEnd(selected), press.at) || insideRectangle(selected.source, press.at))
    )
      return dragEnd(selected, press, bench);
    const made = (to: Press) =>
      drafted("box", { source: rectangleFrom(press.at, to.at, to.shift ? 1 : undefined) });
    return {
      move: (presses) => show(made(presses[presses.length - 1] as Press), bench),
      up(last) {
        bench.editor.cancel();
        const { width, height } = made(last).source;
        const least = bench.pixels(CLICK_SLACK);
        if (width < least || height < least) return bench.announce("Too small for a box: drag farther");
        keep(made(last), bench);
      },
      cancel: () => bench.editor.cancel(),
    };
  },
  Options: BoxOptions,
};

function dragEnd(selected: Box, press: Press, bench: Bench): Gesture {
  const end = boxEnd(selected);
  let dragged = false;
  return {
    move(presses) {
      const last = presses[presses.length - 1] as Press;
      const to = last.shift ? onAxis(press.at, last.at) : last.at;
      const by: XY = [to[0] - press.at[0], to[1] - press.at[1]];
      if (!dragged && Math.hypot(...by) < bench.pixels(CLICK_SLACK)) return;
      dragged = true;
      bench.editor.preview((motion) => changeEach(motion, [selected.id], () => moved(selected, by)));
      stage.setState({ readout: { at: last.at, text: `${rounded(by[0], 0)}, ${rounded(by[1], 0)}` } });
    },
    up() {
      stage.setState({ readout: null });
      if (dragged) bench.editor.commit("Move box's end");
    },
    cancel() {
      stage.setState({ readout: null });
      bench.editor.cancel();
    },
  };

  function moved(before: Box, by: XY): Box {
    if (!before.path)
      return { ...before, target: { ...end, x: rounded(end.x + by[0]), y: rounded(end.y + by[1]) } };
    const last = before.path.points.length - 1;
    const points = before.path.points.map((point, k) =>
      k === last ? { ...point, x: rounded(point.x + by[0]), y: rounded(point.y + by[1]) } : point,
    );
    return { ...before, path: { ...before.path, points } };
  }
}

function BoxOptions() {
  const selected = useEditor(() => selectedOf("box", benchNow()));
  if (!selected) return <Hint>{box.hint}</Hint>;
  const change = (spacing: number | undefined) =>
    benchNow().editor.update(
      selected.id,
      (each) => {
        if (each.kind !== "box") return each;
        const { spacing: _, ...rest } = each;
        return spacing === undefined ? rest : { ...rest, spacing };
      },
      "Change spacing",
    );
  return (
    <>
      <NumberField
        label="Points every"
        layout="row"
        value={selected.spacing ?? null}
        min={2}
        max={4096}
        unit="px"
        placeholder="corners"
        onChange={change}
        onClear={() => change(undefined)}
      />
      <Hint>
        {selected.target
          ? "Drag the corners of its end to grow or shrink it"
          : "Drag the box to where it shall go"}
      </Hint>
    </>
  );
}
