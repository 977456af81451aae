// Select: click, Shift-click, or a frame around things; drag what is selected; double click a path for one more point.

import { useStore } from "zustand";
import type { XY } from "../../motion/document";
import { changeEach, find } from "../../motion/edits";
import { displayName } from "../../motion/names";
import { nearest } from "../../motion/nearest";
import { controlPoints, routeOf } from "../../motion/points";
import { translate } from "../../motion/transform";
import { useEditor } from "../../store/react";
import { Checkbox, Slider } from "../../ui";
import { dotsNow } from "../dots";
import { onAxis } from "../handles/handle";
import { rounded } from "../handles/values";
import { distanceToLines, pick } from "../pick";
import { stage } from "../stageStore";
import { isWithin, surrounded } from "./marquee";
import { Hint } from "./OptionBar";
import { type Bench, CLICK_SLACK, type Gesture, type Press, type Tool } from "./tool";

/** Screen pixels around a line that still pick it. */
export const REACH = { fine: 8, coarse: 18 };

export const select: Tool = {
  name: "select",
  label: "Select",
  shortcut: "V",
  icon: "select",
  hint: "Click a path or drag a frame around several; double click a path to insert a point",
  cursor: "default",
  keyboard: "none",
  down(press, bench) {
    const { editor } = bench;
    const reach = bench.pixels(press.coarse ? REACH.coarse : REACH.fine);
    const id = pick(editor.motion, dotsNow(), press.at, reach, editor.locked);
    if (id === undefined) return frame(press, bench);
    if (press.clicks === 2 && insert(id, press, reach, bench)) return undefined;
    const wasSelected = editor.selection.includes(id);
    if (press.shift || press.mod) editor.select([id], "toggle");
    else if (!wasSelected) editor.select([id]);
    const name = find(editor.motion, id);
    if (name && !wasSelected) bench.announce(`${displayName(name)} selected`);
    return drag(press, bench, () => {
      if (!press.shift && !press.mod && wasSelected) {
        bench.editor.select([id]);
        bench.editor.selectPoints([]);
      }
    });
  },
  hover(press, bench) {
    const { editor } = bench;
    const hovered = pick(editor.motion, dotsNow(), press.at, bench.pixels(REACH.fine), editor.locked) ?? null;
    if (hovered !== stage.getState().hovered) stage.setState({ hovered });
  },
  leave: () => stage.setState({ hovered: null }),
  Options: SelectOptions,
};

/** Drags everything that is selected and not locked. */
function drag(press: Press, bench: Bench, clicked: () => void): Gesture {
  let dragged = false;
  return {
    move(presses) {
      const last = presses[presses.length - 1] as Press;
      const to = last.shift && dragged ? onAxis(press.at, last.at) : last.at;
      const by: XY = [rounded(to[0] - press.at[0]), rounded(to[1] - press.at[1])];
      if (!dragged && Math.hypot(...by) < bench.pixels(CLICK_SLACK)) return;
      dragged = true;
      const { editor } = bench;
      const ids = editor.selection.filter((id) => !editor.locked.has(id));
      editor.preview((motion) => changeEach(motion, ids, (each) => translate(each, by)));
    },
    up() {
      if (dragged)
        bench.editor.commit(bench.editor.selection.length > 1 ? "Move instructions" : "Move instruction");
      else clicked();
    },
    cancel: () => bench.editor.cancel(),
  };
}

/** A frame: takes in what it touches; inside the one selected instruction, some of its control points. */
function frame(press: Press, bench: Bench): Gesture {
  let to: XY | null = null;
  const clear = () => stage.setState({ sketch: null });
  return {
    move(presses) {
      const { at } = presses[presses.length - 1] as Press;
      if (!to && Math.hypot(at[0] - press.at[0], at[1] - press.at[1]) < bench.pixels(CLICK_SLACK)) return;
      to = at;
      stage.setState({ sketch: { kind: "marquee", from: press.at, to } });
    },
    up(last) {
      clear();
      const { editor } = bench;
      const adding = last.shift || last.mod;
      if (!to) {
        if (!adding) editor.select([]);
        return;
      }
      const found = surrounded(editor.motion, editor.locked, press.at, to);
      const [only] = editor.selection;
      const instruction =
        editor.selection.length === 1 && only !== undefined ? find(editor.motion, only) : undefined;
      const points = instruction ? pointsIn(controlPoints(instruction), press.at, to) : [];
      const some = instruction && points.length > 0 && points.length < controlPoints(instruction).length;
      if (some && found.every((id) => id === only))
        return editor.selectPoints(points, adding ? "add" : "replace");
      editor.select(found, adding ? "add" : "replace");
      bench.announce(found.length === 1 ? "1 selected" : `${found.length} selected`);
    },
    cancel: clear,
  };
}

function pointsIn(points: readonly { x: number; y: number }[], from: XY, to: XY): number[] {
  const within = isWithin(from, to);
  return points.flatMap(({ x, y }, k) => (within([x, y]) ? [k] : []));
}

function insert(id: string, press: Press, reach: number, bench: Bench): boolean {
  const instruction = find(bench.editor.motion, id);
  const route = instruction && routeOf(instruction);
  if (!instruction || !route || route.points.length < 2 || nearest(route, press.at).distance > reach)
    return false;
  if (distanceToLines(instruction, press.at, bench.editor.motion.canvas) > reach) return false;
  bench.editor.select([id]);
  // The first of the two clicks may have put a point in already, or hit one.
  const near = bench.pixels(press.coarse ? 22 : 12);
  if (controlPoints(instruction).some(({ x, y }) => Math.hypot(x - press.at[0], y - press.at[1]) <= near))
    return true;
  const index = bench.editor.insertPoint(id, press.at);
  bench.editor.selectPoints([index]);
  bench.announce(`${displayName(instruction)} point ${index + 1} inserted`);
  return true;
}

function SelectOptions() {
  const { softEdit, softReach, corners } = useStore(stage);
  const selected = useEditor((state) =>
    state.selection.length === 1 ? find(state.motion, state.selection[0] as string) : undefined,
  );
  const hasOutline = selected?.kind === "region" && (selected.polygon?.length ?? 0) > 4;
  return (
    <>
      <Checkbox label="Soft edit" checked={softEdit} onChange={(on) => stage.setState({ softEdit: on })} />
      {softEdit && (
        <Slider
          label="Reach"
          layout="row"
          value={softReach}
          min={0.02}
          max={0.6}
          step={0.01}
          text={`${Math.round(softReach * 100)} %`}
          onChange={(value) => stage.setState({ softReach: value })}
        />
      )}
      {hasOutline && (
        <Checkbox label="Edit outline" checked={corners} onChange={(on) => stage.setState({ corners: on })} />
      )}
      {!selected && <Hint>{select.hint}</Hint>}
    </>
  );
}
