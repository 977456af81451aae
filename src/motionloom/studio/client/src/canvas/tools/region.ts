// What the region tools share: a new region from an outline, and the way of a region drawn by dragging it.

import type { Instruction, Region, XY } from "../../motion/document";
import { translate } from "../../motion/transform";
import { areaShape } from "../handles/outline";
import { stage } from "../stageStore";
import { drafted, keep, round, selectedOf } from "./draft";
import { type Pace, routeOfStroke, stroke } from "./path";
import type { Bench, Gesture, Press } from "./tool";

/** Points of a region lie this far apart, at most: about twelve across a small region. */
const WIDEST_SPACING = 16;

export function addRegion(polygon: readonly XY[], bench: Bench): string {
  const [xs, ys] = [polygon.map(([x]) => x), polygon.map(([, y]) => y)];
  const side = Math.min(Math.max(...xs) - Math.min(...xs), Math.max(...ys) - Math.min(...ys));
  const spacing = Math.max(2, Math.min(WIDEST_SPACING, Math.round(side / 4)));
  return keep(drafted("region", { polygon: polygon.map(round), spacing }), bench);
}

/** A press inside the selected region: the way it is dragged becomes its path. */
export function dragRegion(press: Press, bench: Bench, pace: Pace): Gesture | undefined {
  const selected = selectedOf("region", bench);
  const shape = selected && areaShape(selected, bench.editor.motion.canvas);
  if (!selected || !shape?.contains(...press.at)) return undefined;
  return wayOf(selected, selected.pivot ?? shape.centroid, press, bench, pace);
}

/** The handle in a region's middle makes a straight path; the region tools draw one instead. */
export function isWayHandle(instruction: Instruction, handle: string): boolean {
  return instruction.kind === "region" && handle === "end";
}

/** The path begins in the region's middle, wherever the region was taken hold of. */
export function wayOf(region: Region, middle: XY, press: Press, bench: Bench, pace: Pace): Gesture {
  const by: XY = [middle[0] - press.at[0], middle[1] - press.at[1]];
  const shifted = (each: Press): Press => ({ ...each, at: [each.at[0] + by[0], each.at[1] + by[1]] });
  const drawn = stroke(
    shifted(press),
    bench,
    (samples) => {
      const route = routeOfStroke(samples, pace, bench);
      bench.editor.update(
        region.id,
        (each) => (each.kind === "region" ? { ...each, path: route } : each),
        "Draw region's path",
      );
      bench.announce("The region got a path");
    },
    () => {},
  );
  const clear = () => stage.setState({ sketch: null });
  return {
    move(presses) {
      drawn.move(presses.map(shifted), bench);
      const last = presses[presses.length - 1] as Press;
      const moved = translate(region, [last.at[0] - press.at[0], last.at[1] - press.at[1]]);
      if (moved.kind === "region" && moved.polygon && stage.getState().sketch)
        stage.setState({ ghost: moved.polygon });
    },
    up(last) {
      stage.setState({ ghost: null });
      drawn.up(shifted(last), bench);
    },
    cancel() {
      stage.setState({ ghost: null });
      clear();
      drawn.cancel(bench);
    },
  };
}
