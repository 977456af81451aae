// Handles of rectangles, circles, turning things and outlines.

import type { Box, Circle, Instruction, Rectangle, Rotate, Static, XY } from "../../motion/document";
import { type Handle, type How, onAxis } from "./handle";
import { reachFrom } from "./outline";
import { routeHandles } from "./route";
import { endValue, rounded, withEndValue } from "./values";

const CORNERS = [
  ["top left", 0, 0],
  ["top right", 1, 0],
  ["bottom right", 1, 1],
  ["bottom left", 0, 1],
] as const;

export function rectangleMiddle(rectangle: Rectangle): XY {
  return [rectangle.x + rectangle.width / 2, rectangle.y + rectangle.height / 2];
}

/** Two opposite corners as a rectangle of at least one pixel; `aspect` (width / height) is kept where given. */
export function rectangleFrom(fixed: XY, to: XY, aspect?: number): Rectangle {
  let [dx, dy] = [to[0] - fixed[0], to[1] - fixed[1]];
  if (aspect) {
    const height = Math.max(Math.abs(dx) / aspect, Math.abs(dy));
    [dx, dy] = [Math.sign(dx || 1) * height * aspect, Math.sign(dy || 1) * height];
  }
  const [width, height] = [Math.max(Math.abs(dx), 1), Math.max(Math.abs(dy), 1)];
  return {
    x: rounded(dx < 0 ? fixed[0] - width : fixed[0]),
    y: rounded(dy < 0 ? fixed[1] - height : fixed[1]),
    width: rounded(width),
    height: rounded(height),
  };
}

function cornerHandles(
  name: string,
  rectangle: Rectangle,
  set: (rectangle: Rectangle) => Instruction,
): Handle[] {
  return CORNERS.map(([label, right, bottom]) => ({
    key: `${name}-${label}`,
    label: `${name} ${label} corner`,
    at: [rectangle.x + right * rectangle.width, rectangle.y + bottom * rectangle.height],
    look: "corner" as const,
    says: `${rounded(rectangle.width, 0)} × ${rounded(rectangle.height, 0)}`,
    drag: (to: XY, how: How) => {
      const fixed: XY = [
        rectangle.x + (1 - right) * rectangle.width,
        rectangle.y + (1 - bottom) * rectangle.height,
      ];
      return set(rectangleFrom(fixed, to, how.shift ? rectangle.width / rectangle.height : undefined));
    },
  }));
}

/** Where a box comes to: its target, moved to the end of the path where it has one. */
export function boxEnd(box: Box): Rectangle {
  const size = box.target ?? box.source;
  if (!box.path) return size;
  const [first, last] = [box.path.points[0], box.path.points[box.path.points.length - 1]];
  const [x, y] = rectangleMiddle(box.source);
  const [dx, dy] = first && last ? [last.x - first.x, last.y - first.y] : [0, 0];
  return { ...size, x: x + dx - size.width / 2, y: y + dy - size.height / 2 };
}

export function boxHandles(box: Box, picked: readonly number[]): Handle[] {
  const end = boxEnd(box);
  const start = cornerHandles("start", box.source, (source) => ({ ...box, source }));
  const target = cornerHandles("end", end, (rectangle) => ({
    ...box,
    // The path leads the middle of the box, so the target gives the size alone and grows evenly about it.
    target: box.path ? { ...rectangle, ...aboutMiddle(rectangleMiddle(end), rectangle) } : rectangle,
  }));
  if (box.path) {
    const route = routeHandles(box.path, (path) => ({ ...box, path }), picked);
    return [...start, ...route, ...(box.target ? target : [])];
  }
  const from = rectangleMiddle(box.source);
  const at = rectangleMiddle(end);
  const move: Handle = {
    key: "end",
    label: "end",
    at,
    look: "end",
    says: `${rounded(at[0] - from[0], 0)}, ${rounded(at[1] - from[1], 0)}`,
    drag: (to, how) => {
      const [x, y] = how.shift ? onAxis(at, to) : to;
      return { ...box, target: { ...end, x: rounded(x - end.width / 2), y: rounded(y - end.height / 2) } };
    },
  };
  return [...start, move, ...(box.target ? target : [])];
}

function aboutMiddle(middle: XY, rectangle: Rectangle): Pick<Rectangle, "x" | "y"> {
  return { x: rounded(middle[0] - rectangle.width / 2), y: rounded(middle[1] - rectangle.height / 2) };
}

export function circleHandles(circle: Circle): Handle[] {
  const [x, y] = circle.center;
  const target = endValue(circle.radius_curve);
  const distance = (to: XY, how: How) => {
    const found = Math.hypot(to[0] - x, to[1] - y);
    return how.shift ? Math.round(found / 10) * 10 : rounded(found);
  };
  return [
    {
      key: "center",
      label: "centre",
      at: circle.center,
      look: "center",
      says: `${rounded(x, 0)}, ${rounded(y, 0)}`,
      drag: (to, how) => ({ ...circle, center: roundedXY(how.shift ? onAxis(circle.center, to) : to) }),
    },
    {
      key: "radius",
      label: "start radius",
      at: [x - circle.radius, y],
      look: "start",
      says: `${rounded(circle.radius, 0)} px`,
      drag: (to, how) => ({ ...circle, radius: Math.max(distance(to, how), 1) }),
    },
    {
      key: "target",
      label: "end radius",
      at: [x + target, y],
      look: "end",
      says: `${rounded(target, 0)} px`,
      drag: (to, how) => ({
        ...circle,
        radius_curve: withEndValue(circle.radius_curve, Math.max(distance(to, how), 0)),
      }),
    },
  ];
}

export function staticHandles(still: Static): Handle[] {
  return pointHandles(still.points, (points) => ({ ...still, points }));
}

function pointHandles(points: readonly XY[], set: (points: XY[]) => Instruction): Handle[] {
  return points.map((point, index) => ({
    key: `point-${index}`,
    label: `point ${index + 1}`,
    at: point,
    look: "point",
    point: index,
    says: `${rounded(point[0], 0)}, ${rounded(point[1], 0)}`,
    drag: (to, how) => {
      const at = roundedXY(how.shift ? onAxis(point, to) : to);
      return set(points.map((other, k) => (k === index ? at : other)));
    },
  }));
}

/** Where a turning thing's angle handle stands: straight to the right at no turn, outside of what turns. */
export function rotateReach(rotate: Rotate): number {
  return Math.max(reachFrom(rotate.region?.polygon ?? rotate.points, rotate.center) + 24, 48);
}

export function rotateHandles(rotate: Rotate): Handle[] {
  const angle = endValue(rotate.angle);
  const [x, y] = rotate.center;
  const reach = rotateReach(rotate);
  // Kept while dragging, so that more than half a turn counts on.
  let reached = angle;
  const turn: Handle = {
    key: "angle",
    label: "angle",
    at: aroundAt(rotate.center, reach, angle),
    look: "turn",
    from: rotate.center,
    says: `${rounded(angle, 0)}°`,
    drag: (to, how) => {
      reached = turnedTo(reached, Math.atan2(to[1] - y, to[0] - x));
      return { ...rotate, angle: withEndValue(rotate.angle, snappedAngle(reached, how)) };
    },
  };
  const center: Handle = {
    key: "center",
    label: "centre",
    at: rotate.center,
    look: "center",
    says: `${rounded(x, 0)}, ${rounded(y, 0)}`,
    drag: (to, how) => ({ ...rotate, center: roundedXY(how.shift ? onAxis(rotate.center, to) : to) }),
  };
  return [center, turn, ...pointHandles(rotate.points, (points) => ({ ...rotate, points }))];
}

/** The angle in degrees next to `before` that points along `radians`: turning on past half a turn keeps counting. */
export function turnedTo(before: number, radians: number): number {
  const turn = ((radians * 180) / Math.PI - before) % 360;
  return before + (turn > 180 ? turn - 360 : turn < -180 ? turn + 360 : turn);
}

export function snappedAngle(angle: number, how: How): number {
  return how.shift ? Math.round(angle / 15) * 15 : rounded(angle, 1);
}

export function aroundAt(center: XY, radius: number, degrees: number): XY {
  const radians = (degrees * Math.PI) / 180;
  return [center[0] + radius * Math.cos(radians), center[1] + radius * Math.sin(radians)];
}

export function roundedXY([x, y]: XY): XY {
  return [rounded(x), rounded(y)];
}
