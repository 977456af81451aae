// Motion documents into motions: every default filled in, short forms spelled out. The server has checked what it
// sends; `check.ts` tells what it would refuse.

import { BY_KIND, COMMON, FORMAT, GRID, KINDS, newMotion, VERSION } from "./defaults";
import {
  type AnchorGrid,
  type Area,
  CAMERA_MOVES,
  type Easing,
  type Instruction,
  type InstructionBase,
  type Keyframe,
  type Kind,
  type Motion,
  type MotionDocument,
  type Pan,
  type PathPoint,
  type Rectangle,
  type Route,
  type ValueCurve,
  type XY,
} from "./document";
import { freeId } from "./names";
import {
  asFlag,
  asList,
  asNumber,
  asObject,
  asOneOf,
  asText,
  compact,
  type Data,
  needed,
  optional,
  type Reader,
  refuse,
} from "./parse";

export { newMotion } from "./defaults";
export { DocumentError } from "./parse";
export { writeMotion } from "./write";

/**
 * A motion from a document.
 *
 * @throws DocumentError not a motion of this version, or a field of the wrong type; names its place.
 */
export function readMotion(document: MotionDocument): Motion {
  const data = asObject(document, "motion");
  if (data.format !== FORMAT) refuse("format", data.format, `"${FORMAT}"`);
  if (data.version !== VERSION)
    refuse("version", data.version, `${VERSION}; reload the page to update the studio`);
  const canvas = needed(data, "canvas", asObject, "");
  const instructions: Instruction[] = [];
  const list = (optional(data, "instructions", asList(asObject), "") ?? []).map((each) => each);
  const taken = new Set(list.map((each) => each.id).filter((id) => typeof id === "string"));
  for (const [place, each] of list.entries()) {
    const kind = needed(each, "kind", asOneOf<Kind>(...KINDS), `instructions[${place}]`);
    const id = typeof each.id === "string" ? each.id : freeId(kind, taken);
    taken.add(id);
    instructions.push(readInstruction({ ...each, id }, `instructions[${place}]`));
  }
  return compact<Motion>({
    ...newMotion(
      needed(canvas, "width", asNumber, "canvas"),
      needed(canvas, "height", asNumber, "canvas"),
      needed(data, "num_frames", asNumber, ""),
      needed(data, "fps", asNumber, ""),
    ),
    image: optional(data, "image", asText, ""),
    prompt: optional(data, "prompt", asText, ""),
    instructions,
    pan: optional(data, "pan", asList(readPan), "") ?? [],
    occlusion: optional(data, "occlusion", asFlag, "") ?? true,
  });
}

/** One instruction, its defaults filled in. */
export const readInstruction: Reader<Instruction> = (value, place) => {
  const data = asObject(value, place);
  const kind = needed(data, "kind", asOneOf<Kind>(...KINDS), place);
  return compact({ ...readBase(data, place), ...BODIES[kind](data, place), kind }) as Instruction;
};

function readBase(data: Data, place: string): InstructionBase {
  return {
    id: needed(data, "id", asText, place),
    name: optional(data, "name", asText, place) ?? COMMON.name,
    color: optional(data, "color", asText, place),
    hidden: optional(data, "hidden", asFlag, place) ?? COMMON.hidden,
    start: optional(data, "start", asNumber, place),
    end: optional(data, "end", asNumber, place),
    easing: optional(data, "easing", readEasing, place) ?? COMMON.easing,
    before: optional(data, "before", asOneOf("hold", "vanish"), place) ?? COMMON.before,
    after: optional(data, "after", asOneOf("hold", "vanish"), place) ?? COMMON.after,
  };
}

const BODIES: Record<Kind, (data: Data, place: string) => object> = {
  path: (data, place) => readRoute(data, place),
  circle: (data, place) => ({
    center: needed(data, "center", readXY, place),
    radius: needed(data, "radius", asNumber, place),
    radius_curve: needed(data, "radius_curve", readValueCurve, place),
    count: optional(data, "count", asNumber, place) ?? BY_KIND.circle.count,
    angles: optional(data, "angles", asList(asNumber), place),
  }),
  static: (data, place) => ({
    points: optional(data, "points", asList(readXY), place) ?? BY_KIND.static.points,
    grid: optional(data, "grid", readGrid, place),
  }),
  box: (data, place) => ({
    source: needed(data, "source", readRectangle, place),
    target: optional(data, "target", readRectangle, place),
    path: optional(data, "path", readRoute, place),
    spacing: optional(data, "spacing", asNumber, place),
  }),
  region: (data, place) => ({
    ...readArea(data, place),
    spacing: optional(data, "spacing", asNumber, place) ?? BY_KIND.region.spacing,
    path: optional(data, "path", readRoute, place),
    rotation: optional(data, "rotation", readValueCurve, place) ?? BY_KIND.region.rotation,
    scale: optional(data, "scale", readValueCurve, place) ?? BY_KIND.region.scale,
    pivot: optional(data, "pivot", readXY, place),
  }),
  rotate: (data, place) => ({
    center: needed(data, "center", readXY, place),
    angle: needed(data, "angle", readValueCurve, place),
    points: optional(data, "points", asList(readXY), place) ?? BY_KIND.rotate.points,
    region: optional(data, "region", readArea, place),
    spacing: optional(data, "spacing", asNumber, place) ?? BY_KIND.rotate.spacing,
  }),
  camera: (data, place) => ({
    ...Object.fromEntries(
      CAMERA_MOVES.map((move) => [
        move,
        optional<ValueCurve>(data, move, readValueCurve, place) ?? BY_KIND.camera[move],
      ]),
    ),
    orbit_depth: optional(data, "orbit_depth", asNumber, place),
    depth:
      optional<number | Data>(
        data,
        "depth",
        (v, at) => (typeof v === "number" ? v : asObject(v, at)),
        place,
      ) ?? BY_KIND.camera.depth,
    focal: optional(data, "focal", asNumber, place),
    fov: optional(data, "fov", asNumber, place),
    spacing: optional(data, "spacing", asNumber, place) ?? BY_KIND.camera.spacing,
    tolerance: optional(data, "tolerance", asNumber, place) ?? BY_KIND.camera.tolerance,
    include_objects: optional(data, "include_objects", asFlag, place) ?? BY_KIND.camera.include_objects,
  }),
};

// ------------------------------------------------------------------------------------------------------------- parts
const readXY: Reader<XY> = (value, place) => {
  const parts = asList(asNumber)(value, place);
  return parts.length === 2 ? [parts[0] as number, parts[1] as number] : refuse(place, value, "[x, y]");
};

const readEasing: Reader<Easing> = (value, place) => {
  if (!Array.isArray(value))
    return asOneOf("linear", "ease-in", "ease-out", "ease-in-out", "hold")(value, place);
  const [x1, y1, x2, y2, ...rest] = asList(asNumber)(value, place);
  if (x1 === undefined || y1 === undefined || x2 === undefined || y2 === undefined || rest.length)
    return refuse(place, value, "the four numbers of a cubic-bezier");
  return [x1, y1, x2, y2];
};

const readKeyframe: Reader<Keyframe> = (value, place) => {
  const data = Array.isArray(value) ? { frame: value[0], value: value[1] } : asObject(value, place);
  return {
    frame: needed(data, "frame", asNumber, place),
    value: needed(data, "value", asNumber, place),
    easing: optional<Easing>(data, "easing", readEasing, place) ?? "linear",
  };
};

const readValueCurve: Reader<ValueCurve> = (value, place) =>
  typeof value === "number" ? asNumber(value, place) : asList(readKeyframe)(value, place);

const readPathPoint: Reader<PathPoint> = (value, place) => {
  const data = Array.isArray(value) ? { x: value[0], y: value[1], frame: value[2] } : asObject(value, place);
  return compact({
    x: needed(data, "x", asNumber, place),
    y: needed(data, "y", asNumber, place),
    frame: optional(data, "frame", asNumber, place),
    handle_in: optional(data, "handle_in", readXY, place),
    handle_out: optional(data, "handle_out", readXY, place),
  });
};

const readRoute: Reader<Route> = (value, place) => {
  const data = asObject(value, place);
  return {
    points: needed(data, "points", asList(readPathPoint), place),
    curve: optional(data, "curve", asOneOf("polyline", "catmull-rom", "bezier"), place) ?? BY_KIND.path.curve,
  };
};

const readRectangle: Reader<Rectangle> = (value, place) => {
  const data = asObject(value, place);
  return {
    x: needed(data, "x", asNumber, place),
    y: needed(data, "y", asNumber, place),
    width: needed(data, "width", asNumber, place),
    height: needed(data, "height", asNumber, place),
  };
};

const readArea: Reader<Area> = (value, place) => {
  const data = asObject(value, place);
  const polygon = optional(data, "polygon", asList(readXY), place);
  const mask = optional(data, "mask", asText, place);
  if ((polygon === undefined) === (mask === undefined))
    refuse(place, data, "a polygon or a mask, one of the two");
  return compact({ polygon, mask });
};

const readGrid: Reader<AnchorGrid> = (value, place) => {
  const data = asObject(value, place);
  return compact({
    spacing: optional(data, "spacing", asNumber, place) ?? GRID.spacing,
    outside: optional(
      data,
      "outside",
      asList<string | Area>((each, at) => (typeof each === "string" ? each : readArea(each, at))),
      place,
    ),
    margin: optional(data, "margin", asNumber, place),
  });
};

const readPan: Reader<Pan> = (value, place) => {
  const data = asObject(value, place);
  return compact({
    velocity: needed(data, "velocity", readXY, place),
    instructions: optional(data, "instructions", asList(asText), place),
  });
};
