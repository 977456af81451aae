// Dragging a handle, whatever tool is in hand.

import { flatten, lengthOf } from "../../motion/curve";
import type { Instruction, XY } from "../../motion/document";
import { changeEach, find, withPointsMoved } from "../../motion/edits";
import { displayName } from "../../motion/names";
import { routeOf } from "../../motion/points";
import { type Handle, type How, handlesOf } from "../handles";
import { onAxis } from "../handles/handle";
import { insertedIndex } from "../handles/insert";
import { stage } from "../stageStore";
import { type Bench, CLICK_SLACK, type Gesture, type Press } from "./tool";

export function grip(instruction: Instruction, handle: Handle, press: Press, bench: Bench): Gesture {
  const offset: XY = [press.at[0] - handle.at[0], press.at[1] - handle.at[1]];
  const { points } = bench.editor;
  const together = handle.point !== undefined && points.length > 1 && points.includes(handle.point);
  let dragged = false;
  const finish = () => stage.setState({ readout: null });
  return {
    move(presses) {
      const last = presses[presses.length - 1] as Press;
      const away = Math.hypot(last.at[0] - press.at[0], last.at[1] - press.at[1]);
      if (!dragged && away < bench.pixels(CLICK_SLACK)) return;
      dragged = true;
      const to: XY = [last.at[0] - offset[0], last.at[1] - offset[1]];
      const how = howOf(last, instruction);
      const end = last.shift ? onAxis(handle.at, to) : to;
      const by: XY = [end[0] - handle.at[0], end[1] - handle.at[1]];
      const changed = together ? withPointsMoved(instruction, points, by) : handle.drag(to, how);
      bench.editor.preview((motion) => changeEach(motion, [instruction.id], () => changed));
      stage.setState({ readout: readoutOf(changed, handle, bench) });
    },
    up(last) {
      finish();
      if (handle.inserts) {
        if (dragged) bench.editor.commit(labelOf(handle));
        else {
          const changed = handle.drag(handle.at, howOf(last, instruction));
          bench.editor.update(instruction.id, () => changed, labelOf(handle));
        }
        bench.editor.selectPoints([insertedIndex(handle)]);
      } else if (dragged) bench.editor.commit(labelOf(handle));
      else if (handle.point !== undefined)
        bench.editor.selectPoints([handle.point], last.shift || last.mod ? "toggle" : "replace");
    },
    cancel() {
      finish();
      bench.editor.cancel();
    },
  };
}

/** One step with the arrow keys; says where the handle came to. */
export function nudge(id: string, key: string, by: XY, alt: boolean, bench: Bench): void {
  const { editor } = bench;
  const instruction = find(editor.motion, id);
  const handle = instruction && handlesIn(instruction, bench).find((each) => each.key === key);
  if (!instruction || !handle) return;
  const { points } = editor;
  if (handle.point !== undefined && points.length > 1 && points.includes(handle.point))
    editor.movePoints(id, points, by);
  else {
    const to: XY = [handle.at[0] + by[0], handle.at[1] + by[1]];
    const changed = handle.drag(to, howOf({ shift: false, alt }, instruction));
    editor.edit(labelOf(handle), (motion) => changeEach(motion, [id], () => changed), `nudge ${id} ${key}`);
  }
  const after = find(bench.editor.motion, id);
  const moved = after && handlesIn(after, bench).find((each) => each.key === key);
  if (after && moved) bench.announce(spoken(after, moved));
}

/** "Path 1 point 2 at 120, 80". */
export function spoken(instruction: Instruction, handle: Handle): string {
  const name = `${displayName(instruction)} ${handle.label}`;
  return handle.says ? `${name} at ${handle.says}` : name;
}

export function handlesIn(instruction: Instruction, bench: Pick<Bench, "editor">): Handle[] {
  const { motion, points } = bench.editor;
  return handlesOf(instruction, { canvas: motion.canvas, picked: points, corners: stage.getState().corners });
}

/** Name of the step for the undo button. */
function labelOf(handle: Handle): string {
  if (handle.inserts) return "Insert point";
  return handle.point !== undefined ? "Move point" : `Change ${handle.label}`;
}

function howOf({ shift, alt }: Pick<Press, "shift" | "alt">, instruction: Instruction): How {
  const { softEdit, softReach } = stage.getState();
  const route = routeOf(instruction);
  const soft = route && softEdit !== alt ? lengthOf(flatten(route.points, route.curve)) * softReach : 0;
  return { shift, alt, soft };
}

function readoutOf(instruction: Instruction, handle: Handle, bench: Bench) {
  const now = handlesIn(instruction, bench).find((each) => each.key === handle.key);
  return now?.says ? { at: now.at, text: now.says } : null;
}
