// Lasso region: draw around something; drag inside the outline to give it a path.

import type { XY } from "../../motion/document";
import { signedArea, simplifyPolygon } from "../../motion/geometry";
import { stage } from "../stageStore";
import { RegionOptions, regionOptions } from "./RegionOptions";
import { addRegion, dragRegion, isWayHandle } from "./region";
import { CLICK_SLACK, type Press, type Tool } from "./tool";

export const lasso: Tool = {
  name: "lasso",
  label: "Lasso region",
  shortcut: "L",
  icon: "lasso",
  hint: "Draw around something, then drag it the way it shall go",
  cursor: "crosshair",
  keyboard: "drag",
  leavesAlone: isWayHandle,
  down(press, bench) {
    const way = dragRegion(press, bench, regionOptions.getState().pace);
    if (way) return way;
    const points: XY[] = [press.at];
    return {
      move(presses) {
        points.push(...presses.map(({ at }: Press) => at));
        stage.setState({ sketch: { kind: "area", points: [...points] } });
      },
      up() {
        stage.setState({ sketch: null });
        const outline = simplifyPolygon(points, bench.pixels(1.5));
        if (outline.length < 3 || Math.abs(signedArea(outline)) < bench.pixels(CLICK_SLACK) ** 2)
          return bench.announce("Too small for a region: draw around something");
        addRegion(outline, bench);
      },
      cancel: () => stage.setState({ sketch: null }),
    };
  },
  Options: () => <RegionOptions hint={lasso.hint} />,
};
