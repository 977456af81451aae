// Static point: clicks place points that stay where they are, one after another into the same instruction.

import { useEditor } from "../../store/react";
import { Button } from "../../ui";
import { benchNow } from "./bench";
import { drafted, keep, round, selectedOf, show } from "./draft";
import { Hint } from "./OptionBar";
import type { Bench, Press, Tool } from "./tool";

export const staticPoint: Tool = {
  name: "static",
  label: "Static point",
  shortcut: "S",
  icon: "static",
  hint: "Click what shall stay where it is",
  cursor: "crosshair",
  keyboard: "click",
  down(press, bench) {
    // Shown where the pointer is until it is let go, so that a finger can aim.
    const put = (at: Press, done: boolean) => {
      const group = at.shift ? undefined : openGroup(bench);
      const point = round(at.at);
      if (group) {
        const changed = { ...group, points: [...group.points, point] };
        if (done) bench.editor.update(group.id, () => changed, "Add static point");
        else
          bench.editor.preview((motion) => ({
            ...motion,
            instructions: motion.instructions.map((each) => (each.id === group.id ? changed : each)),
          }));
      } else if (done) keep(drafted("static", { points: [point] }), bench);
      else show(drafted("static", { points: [point] }), bench);
    };
    put(press, false);
    return {
      move: (presses) => put(presses[presses.length - 1] as Press, false),
      up(last) {
        bench.editor.cancel();
        put(last, true);
      },
      cancel: () => bench.editor.cancel(),
    };
  },
  Options: StaticOptions,
};

/** The selected group of static points, which further points join. */
function openGroup(bench: Pick<Bench, "editor">) {
  const selected = selectedOf("static", bench);
  return selected?.grid ? undefined : selected;
}

function StaticOptions() {
  const group = useEditor(() => openGroup(benchNow()));
  return (
    <>
      <Hint>{staticPoint.hint}</Hint>
      {group && (
        <Button size="small" icon="plus" onClick={() => benchNow().editor.select([])}>
          New group
        </Button>
      )}
    </>
  );
}
