// One instruction as lines on the picture. Drawn in canvas pixels; widths and marks keep their size on the screen.

import { memo, type ReactNode } from "react";
import { flatten } from "../../motion/curve";
import type { Box, Camera, Circle, Instruction, Region, Rotate, Route, XY } from "../../motion/document";
import type { Traced } from "../../motion/evaluate";
import { cameraFrame } from "../handles/camera";
import { areaOf, areaShape } from "../handles/outline";
import { endPose, posed } from "../handles/region";
import { aroundAt, boxEnd, rotateReach } from "../handles/shapes";
import { endValue } from "../handles/values";
import { cornersOf } from "../pick";
import {
  allVisible,
  arrowData,
  dotsData,
  endDirection,
  lineData,
  polygonData,
  splitByVisible,
  ticks,
  wayOf,
} from "./lines";

export interface ShapeProps {
  instruction: Instruction;
  traced: Traced | undefined;
  canvas: { readonly width: number; readonly height: number };
  /** Screen pixels per canvas pixel, roughly: changes in steps. */
  scale: number;
  selected: boolean;
  hovered: boolean;
  locked: boolean;
  /** Marks along paths every few frames. */
  frames: boolean;
  /** The number of the frame beside each mark. */
  numbered: boolean;
}

/** Screen pixels between numbered frames. */
const TICK_GAP = 30;

export const Shape = memo(function Shape(props: ShapeProps) {
  const { instruction, selected, hovered, locked } = props;
  return (
    <g
      className="shape"
      data-kind={instruction.kind}
      data-selected={selected || undefined}
      data-hovered={hovered || undefined}
      data-locked={locked || undefined}
      style={{ color: instruction.color }}
    >
      {linesOf(props)}
    </g>
  );
});

function linesOf(props: ShapeProps): ReactNode {
  const { instruction } = props;
  switch (instruction.kind) {
    case "path":
      return <Way {...props} route={instruction} />;
    case "circle":
      return <CircleLines circle={instruction} scale={props.scale} />;
    case "box":
      return <BoxLines {...props} box={instruction} />;
    case "region":
      return <RegionLines {...props} region={instruction} />;
    case "rotate":
      return <RotateLines {...props} rotate={instruction} />;
    case "camera":
      return <CameraLines {...props} camera={instruction} />;
    // Single points are drawn with the other dots.
    case "static":
      return null;
  }
}

/** A line with a dark edge under it, readable on any picture. */
function Line({ data, className }: { data: string; className?: string }) {
  return (
    <>
      <path className="casing" d={data} />
      <path className={className ? `line ${className}` : "line"} d={data} />
    </>
  );
}

/** Round marks of constant size on the screen. No transforms: each would be a layer of its own to the browser. */
function Dots({ places, className }: { places: readonly XY[]; className: string }) {
  if (places.length === 0) return null;
  const data = dotsData(places);
  return (
    <>
      <path className={`${className} edge`} d={data} />
      <path className={className} d={data} />
    </>
  );
}

/** A number or a word of constant size on the screen. */
function Label({ at: [x, y], children }: { at: XY; children: ReactNode }) {
  return (
    <g transform={`translate(${x} ${y})`}>
      <text className="constant" x={6} y={-6}>
        {children}
      </text>
    </g>
  );
}

/** A route with its frames: dashed where its point is not visible, with an arrow where it ends. */
function Way({ route, traced, scale, frames, numbered }: ShapeProps & { route: Route }) {
  const { vertices } = flatten(route.points, route.curve);
  const data = lineData(vertices);
  const way = traced && traced.count > 0 ? wayOf(traced) : undefined;
  const carried =
    traced !== undefined && traced.kind === "path" && way !== undefined && isCarried(way, vertices);
  const parts = traced && traced.kind === "path" && !allVisible(traced) ? splitByVisible(traced) : undefined;
  const shown = carried ? (way as Float64Array) : vertices;
  const direction = endDirection(shown, 6 / scale);
  const end: XY = [shown[shown.length - 2] as number, shown[shown.length - 1] as number];
  const marked = frames && way && traced?.kind === "path" ? ticks(way, TICK_GAP / scale) : [];
  const places = marked.map((frame): XY => [way?.[2 * frame] as number, way?.[2 * frame + 1] as number]);
  return (
    <>
      {carried && <path className="drawn" d={data} />}
      {parts ? (
        <>
          <path className="casing" d={carried ? lineData(shown) : data} />
          <path className="line unseen" d={parts.unseen} />
          <path className="line" d={parts.seen} />
        </>
      ) : (
        <Line data={carried ? lineData(shown) : data} />
      )}
      <Dots places={places} className="tick" />
      {numbered &&
        marked.map((frame, k) => (
          <Label key={frame} at={places[k] as XY}>
            {frame}
          </Label>
        ))}
      <Dots places={[[shown[0] as number, shown[1] as number]]} className="start-dot" />
      {direction !== null && <path className="arrow" d={arrowData(end, direction, 1 / scale)} />}
    </>
  );
}

/** Whether pans or the camera take the point somewhere else than along the drawn curve. */
function isCarried(way: Float64Array, vertices: Float64Array): boolean {
  const last = way.length - 2;
  const [x, y] = [way[last] as number, way[last + 1] as number];
  const tail = vertices.length - 2;
  const off = (k: number, px: number, py: number) =>
    Math.hypot((vertices[k] as number) - px, (vertices[k + 1] as number) - py);
  if (off(0, way[0] as number, way[1] as number) < 0.5 && off(tail, x, y) < 0.5) return false;
  // A path that is still under way at the last frame ends on its curve all the same.
  let least = Number.POSITIVE_INFINITY;
  for (let k = 0; k < vertices.length; k += 2) least = Math.min(least, off(k, x, y));
  return least > 2;
}

function CircleLines({ circle, scale }: { circle: Circle; scale: number }) {
  const [x, y] = circle.center;
  const target = endValue(circle.radius_curve);
  const angles = circle.angles ?? Array.from({ length: circle.count }, (_, k) => (360 * k) / circle.count);
  const grows = target > circle.radius;
  const heads =
    angles.length > 64 || Math.abs(target - circle.radius) < 1
      ? []
      : angles.map((angle) =>
          arrowData(aroundAt(circle.center, target, angle), grows ? angle : angle + 180, 1 / scale, true),
        );
  const spokes = angles.slice(0, 64).map((angle) => {
    const [from, to] = [
      aroundAt(circle.center, circle.radius, angle),
      aroundAt(circle.center, target, angle),
    ];
    return lineData([...from, ...to]);
  });
  return (
    <>
      <path className="spokes" d={spokes.join("")} />
      <circle className="casing" cx={x} cy={y} r={circle.radius} />
      <circle className="line" cx={x} cy={y} r={circle.radius} />
      <circle className="casing thin" cx={x} cy={y} r={Math.max(target, 0)} />
      <circle className="line ending" cx={x} cy={y} r={Math.max(target, 0)} />
      {heads.length > 0 && <path className="arrow small" d={heads.join("")} />}
    </>
  );
}

function BoxLines(props: ShapeProps & { box: Box }) {
  const { box, scale } = props;
  const end = boxEnd(box);
  const middle = (corners: readonly XY[]): XY => [
    ((corners[0] as XY)[0] + (corners[2] as XY)[0]) / 2,
    ((corners[0] as XY)[1] + (corners[2] as XY)[1]) / 2,
  ];
  const [source, target] = [cornersOf(box.source), cornersOf(end)];
  return (
    <>
      <path className="area" d={polygonData(source)} />
      <Line data={polygonData(source)} />
      {(box.target || box.path) && <Line data={polygonData(target)} className="ending" />}
      {box.path ? (
        <Way {...props} route={box.path} />
      ) : (
        box.target && <Arrow from={middle(source)} to={middle(target)} scale={scale} />
      )}
    </>
  );
}

function Arrow({ from, to, scale }: { from: XY; to: XY; scale: number }) {
  const away = Math.hypot(to[0] - from[0], to[1] - from[1]);
  if (away * scale < 8) return null;
  const turn = (Math.atan2(to[1] - from[1], to[0] - from[0]) * 180) / Math.PI;
  return (
    <>
      <Line data={lineData([...from, ...to])} />
      <path className="arrow" d={arrowData(to, turn, 1 / scale)} />
    </>
  );
}

function RegionLines(props: ShapeProps & { region: Region }) {
  const { region, canvas } = props;
  const shape = areaShape(region, canvas);
  if (!shape) return null;
  const pose = endPose(region, shape.centroid);
  const moves = pose.angle !== 0 || pose.scale !== 1 || pose.shift[0] !== 0 || pose.shift[1] !== 0;
  return (
    <>
      <AreaFill instruction={region} canvas={canvas} />
      {moves && region.polygon && (
        <Line data={polygonData(region.polygon.map((corner) => posed(pose, corner)))} className="ending" />
      )}
      {moves && !region.polygon && (
        <Line
          data={polygonData(boxCorners(shape.bounds).map((corner) => posed(pose, corner)))}
          className="ending"
        />
      )}
      {region.path && <Way {...props} route={region.path} />}
    </>
  );
}

function boxCorners([left, top, right, bottom]: readonly [number, number, number, number]): XY[] {
  return cornersOf({ x: left, y: top, width: right - left, height: bottom - top });
}

/** An area's outline with a tint inside; of a mask the tint alone. */
function AreaFill({ instruction, canvas }: { instruction: Region | Rotate; canvas: ShapeProps["canvas"] }) {
  const area = areaOf(instruction);
  if (area?.polygon)
    return (
      <>
        <path className="area" d={polygonData(area.polygon)} />
        <Line data={polygonData(area.polygon)} />
      </>
    );
  if (area?.mask === undefined) return null;
  const id = `mask-${instruction.id}`;
  const everywhere = { width: canvas.width, height: canvas.height };
  return (
    <>
      <mask id={id} maskUnits="userSpaceOnUse" x={0} y={0} {...everywhere}>
        <image href={area.mask} preserveAspectRatio="none" {...everywhere} />
      </mask>
      <rect className="area painted" mask={`url(#${id})`} {...everywhere} />
    </>
  );
}

function RotateLines({ rotate, canvas, traced, scale }: ShapeProps & { rotate: Rotate }) {
  const angle = endValue(rotate.angle);
  const radius = rotateReach(rotate);
  const shown = Math.max(-360, Math.min(360, angle));
  const arc = Array.from({ length: 65 }, (_, k) => aroundAt(rotate.center, radius, (shown * k) / 64)).flat();
  return (
    <>
      <AreaFill instruction={rotate} canvas={canvas} />
      {traced && Math.abs(angle) > 0.5 && (
        <>
          <path className="casing" d={lineData(arc)} />
          <path className="line arc" d={lineData(arc)} />
          <path
            className="arrow"
            d={arrowData(
              aroundAt(rotate.center, radius, shown),
              endDirection(arc, 4 / scale) ?? 0,
              1 / scale,
            )}
          />
        </>
      )}
    </>
  );
}

/** The viewfinder: what the camera sees at the end; where it cannot be shown, a word. */
function CameraLines({ camera, canvas }: ShapeProps & { camera: Camera }) {
  const frame = cameraFrame(camera, canvas);
  if (!frame)
    return <Label at={[canvas.width / 2, canvas.height / 2]}>The camera looks past the picture</Label>;
  const [a, b] = [frame[0] as XY, frame[2] as XY];
  const [c, d] = [frame[1] as XY, frame[3] as XY];
  return (
    <>
      <path className="viewfinder" d={polygonData(frame)} />
      <Line data={polygonData(frame)} />
      <path className="diagonals" d={lineData([...a, ...b]) + lineData([...c, ...d])} />
    </>
  );
}
