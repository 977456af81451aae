// Handles of a region: the way it goes, how far it turns and grows by the end, its pivot and its outline.

import type { Region, XY } from "../../motion/document";
import { type Handle, onAxis } from "./handle";
import { routeHandles } from "./route";
import { aroundAt, roundedXY, snappedAngle, turnedTo } from "./shapes";
import { endValue, rounded, withEndValue } from "./values";

/** Outlines with more corners than this are drawn anew rather than corner by corner. */
const MAX_CORNERS = 24;

/** Rigid motion of a region at its end: turned and scaled about `pivot`, then moved by `shift`. */
export interface EndPose {
  readonly pivot: XY;
  readonly shift: XY;
  readonly angle: number;
  readonly scale: number;
}

export function endPose(region: Region, middle: XY): EndPose {
  const points = region.path?.points ?? [];
  const [first, last] = [points[0], points[points.length - 1]];
  return {
    pivot: region.pivot ?? middle,
    shift: first && last ? [last.x - first.x, last.y - first.y] : [0, 0],
    angle: endValue(region.rotation),
    scale: endValue(region.scale),
  };
}

export function posed({ pivot, shift, angle, scale }: EndPose, [x, y]: XY): XY {
  const radians = (angle * Math.PI) / 180;
  const [dx, dy] = [(x - pivot[0]) * scale, (y - pivot[1]) * scale];
  return [
    pivot[0] + shift[0] + dx * Math.cos(radians) - dy * Math.sin(radians),
    pivot[1] + shift[1] + dx * Math.sin(radians) + dy * Math.cos(radians),
  ];
}

/** `middle`: the outline's centre of mass; `reach`: how far the outline goes from the pivot, in pixels. */
export function regionHandles(
  region: Region,
  middle: XY,
  reach: number,
  picked: readonly number[],
  corners = false,
): Handle[] {
  const pose = endPose(region, middle);
  const { pivot, angle, scale } = pose;
  const end = posed(pose, pivot);
  const handles: Handle[] = [];
  if (region.path) handles.push(...routeHandles(region.path, (path) => ({ ...region, path }), picked));
  else
    handles.push({
      key: "end",
      label: "end",
      at: pivot,
      look: "end",
      says: "drag to give it a path",
      drag: (to, how) => {
        const [x, y] = roundedXY(how.shift ? onAxis(pivot, to) : to);
        const points = [
          { x: rounded(pivot[0]), y: rounded(pivot[1]) },
          { x, y },
        ];
        return { ...region, path: { points, curve: "catmull-rom" } };
      },
    });
  // Kept while dragging, so that more than half a turn counts on.
  let reached = angle;
  handles.push({
    key: "rotation",
    label: "rotation",
    at: aroundAt(end, Math.max(reach * Math.max(scale, 0), 12) + 24, angle - 90),
    look: "turn",
    from: end,
    says: `${rounded(angle, 0)}°`,
    drag: (to, how) => {
      reached = turnedTo(reached, Math.atan2(to[1] - end[1], to[0] - end[0]) + Math.PI / 2);
      return { ...region, rotation: withEndValue(region.rotation, snappedAngle(reached, how)) };
    },
  });
  handles.push({
    key: "scale",
    label: "scale",
    at: aroundAt(end, Math.max(reach * scale, 8), angle + 45),
    look: "corner",
    from: end,
    says: `${rounded(scale * 100, 0)} %`,
    drag: (to, how) => {
      const factor = Math.hypot(to[0] - end[0], to[1] - end[1]) / Math.max(reach, 1);
      const next = how.shift ? Math.round(factor * 10) / 10 : rounded(factor, 3);
      return { ...region, scale: withEndValue(region.scale, Math.max(next, 0.01)) };
    },
  });
  const outline = region.polygon ?? [];
  if (corners || outline.length <= 4)
    handles.push(
      ...outline.slice(0, outline.length > MAX_CORNERS ? 0 : undefined).map(
        (corner, k): Handle => ({
          key: `corner-${k}`,
          label: `outline corner ${k + 1}`,
          at: corner,
          look: "vertex",
          drag: (to, how) => {
            const at = roundedXY(how.shift ? onAxis(corner, to) : to);
            return { ...region, polygon: outline.map((other, j) => (j === k ? at : other)) };
          },
        }),
      ),
    );
  return handles;
}
