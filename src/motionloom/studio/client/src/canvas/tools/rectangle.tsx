// Rectangle region: drag a rectangle; drag inside it to give it a path.

import { rectangleFrom } from "../handles/shapes";
import { cornersOf } from "../pick";
import { drafted, show } from "./draft";
import { RegionOptions, regionOptions } from "./RegionOptions";
import { addRegion, dragRegion, isWayHandle } from "./region";
import { CLICK_SLACK, type Press, type Tool } from "./tool";

export const rectangle: Tool = {
  name: "rectangle",
  label: "Rectangle region",
  shortcut: "R",
  icon: "rectangle",
  hint: "Drag a rectangle over something, then drag it the way it shall go",
  cursor: "crosshair",
  keyboard: "drag",
  leavesAlone: isWayHandle,
  down(press, bench) {
    const way = dragRegion(press, bench, regionOptions.getState().pace);
    if (way) return way;
    const made = (to: Press) => rectangleFrom(press.at, to.at, to.shift ? 1 : undefined);
    return {
      move(presses) {
        const shape = made(presses[presses.length - 1] as Press);
        show(drafted("region", { polygon: cornersOf(shape) }), bench);
      },
      up(last) {
        bench.editor.cancel();
        const shape = made(last);
        const least = bench.pixels(CLICK_SLACK);
        if (shape.width < least || shape.height < least)
          return bench.announce("Too small for a region: drag farther");
        addRegion(cornersOf(shape), bench);
      },
      cancel: () => bench.editor.cancel(),
    };
  },
  Options: () => <RegionOptions hint={rectangle.hint} />,
};
