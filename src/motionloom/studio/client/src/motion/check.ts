// What the server would refuse about a motion, found before it is sent.

import { legs } from "./curve";
import type { Area, Easing, Instruction, Keyframe, Motion, PathPoint, Rectangle, XY } from "./document";
import { displayName } from "./names";
import { hasArea, routeOf } from "./points";
import { curveNames, spanOf, valueCurve } from "./timing";

const MAX_COORDINATE = 1e6;
const MAX_FRAME = 100_000;
const LEAST = 1e-6;
const MAX_KEYS = 20_000;
const MAX_FRAMES = 100_000;
const ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;
const COLOR = /^#[0-9a-fA-F]{6}$/;

/**
 * What is wrong with a motion, in words for the person who draws; null: nothing. Instructions of `known`, which was
 * found right before, are not looked at again.
 */
export function findProblem(motion: Motion, known: Motion | null = null): string | null {
  const { num_frames: frames, fps } = motion;
  if (!Number.isInteger(frames) || frames < 1 || frames > MAX_FRAMES)
    return `Frames: found ${frames}, expected a whole number from 1 to ${MAX_FRAMES}.`;
  if (!(fps > 0 && fps <= 1000))
    return `Frames per second: found ${fps}, expected a number above 0 up to 1000.`;
  for (const pan of motion.pan)
    if (!isPlace(pan.velocity)) return `Pan: found ${pan.velocity.join(", ")}, expected pixels per frame.`;
  const right = new Set<Instruction>(known?.num_frames === frames ? known.instructions : []);
  for (const each of motion.instructions) {
    const problem = right.has(each) ? null : problemOf(each, frames - 1);
    if (problem) return `${displayName(each)}: ${problem}.`;
  }
  return partsProblem(motion);
}

/** What instructions and pans say about each other. */
function partsProblem({ instructions, pan }: Motion): string | null {
  const known = new Map(instructions.map((each) => [each.id, each]));
  if (known.size < instructions.length) return "Two instructions have the same id; reload the page.";
  const cameras = instructions.filter((each) => each.kind === "camera" && !each.hidden);
  if (cameras.length > 1)
    return `${cameras.map(displayName).join(", ")}: one camera at a time; hide all but one.`;
  for (const each of instructions) {
    if (!ID.test(each.id))
      return `${displayName(each)}: found the id ${each.id}, expected letters, digits and ._-`;
    for (const area of (each.kind === "static" && each.grid?.outside) || []) {
      const avoided = typeof area === "string" ? known.get(area) : undefined;
      if (typeof area === "string" && !(avoided && hasArea(avoided)))
        return `${displayName(each)}: keeps clear of ${area}, which has no area.`;
    }
  }
  const nobody = pan.flatMap((each) => each.instructions ?? []).find((id) => !known.has(id));
  return nobody === undefined ? null : `Pan: found ${nobody}, which is not there.`;
}

function problemOf(instruction: Instruction, lastFrame: number): string | null {
  const { start, end } = spanOf(instruction, lastFrame);
  if (![start, end].every(isFrame))
    return `found time ${start} to ${end}, expected frames from 0 to ${MAX_FRAME}`;
  if (end < start) return `found end ${end} before start ${start}`;
  if (instruction.color !== undefined && !COLOR.test(instruction.color))
    return `found colour ${instruction.color}`;
  const easing = easingProblem(instruction.easing);
  if (easing) return easing;
  const route = routeOf(instruction);
  const points = route && pointsProblem(route.points, start, end);
  if (points) return points;
  for (const name of curveNames(instruction)) {
    const value = valueCurve(instruction, name);
    const problem = typeof value === "number" ? numberProblem(name, value) : keysProblem(name, value);
    if (problem) return problem;
  }
  return bodyProblem(instruction);
}

function bodyProblem(instruction: Instruction): string | null {
  switch (instruction.kind) {
    case "circle": {
      const { center, radius, radius_curve: curve, count, angles } = instruction;
      if (!isPlace(center)) return "found a centre off all bounds";
      if (!isPositive(radius)) return `found radius ${radius}, expected one above 0`;
      if (!Number.isInteger(count) || count < 1 || count > 4096)
        return `found ${count} points, expected 1 to 4096`;
      if (angles && !angles.every(isNumber)) return "found an angle that is not a number";
      const values = typeof curve === "number" ? [curve] : curve.map((key) => key.value);
      return values.some((value) => value < 0) ? "found a radius below 0" : null;
    }
    case "static": {
      const { points, grid } = instruction;
      if (!points.length && !grid) return "has no points";
      if (points.length > MAX_KEYS || !points.every(isPlace)) return "found a point off all bounds";
      if (!grid) return null;
      if (grid.margin !== undefined && !(grid.margin >= 0 && grid.margin <= 65_536))
        return `found margin ${grid.margin}`;
      return (
        spacingProblem(grid.spacing) ??
        firstProblem(grid.outside ?? [], (each) => (typeof each === "string" ? null : areaProblem(each)))
      );
    }
    case "box":
      return (
        rectangleProblem(instruction.source) ??
        (instruction.target ? rectangleProblem(instruction.target) : null) ??
        (instruction.spacing === undefined ? null : spacingProblem(instruction.spacing))
      );
    case "region":
      if (instruction.pivot && !isPlace(instruction.pivot)) return "found a pivot off all bounds";
      return areaProblem(instruction) ?? spacingProblem(instruction.spacing);
    case "rotate":
      if (!isPlace(instruction.center)) return "found a centre off all bounds";
      if (Boolean(instruction.points.length) === (instruction.region !== undefined))
        return "found points and an area or neither, expected one of them";
      if (!instruction.points.every(isPlace)) return "found a point off all bounds";
      return (
        (instruction.region ? areaProblem(instruction.region) : null) ?? spacingProblem(instruction.spacing)
      );
    case "camera": {
      const { zoom, focal, fov, depth, orbit_depth: orbit, tolerance } = instruction;
      const zooms = typeof zoom === "number" ? [zoom] : zoom.map((key) => key.value);
      if (zooms.some((value) => value <= 0)) return "found a zoom of 0 or less, expected a factor above 0";
      if (focal !== undefined && fov !== undefined) return "found both focal length and field of view";
      if (focal !== undefined && !isPositive(focal)) return `found focal length ${focal}`;
      if (fov !== undefined && !(fov >= 0.01 && fov < 180))
        return `found field of view ${fov}, expected up to 180`;
      if (typeof depth === "number" && !isPositive(depth))
        return `found depth ${depth}, expected one above 0`;
      if (orbit !== undefined && !isPositive(orbit))
        return `found orbit depth ${orbit}, expected one above 0`;
      if (!(tolerance >= 0 && tolerance <= 10)) return `found tolerance ${tolerance}, expected 0 to 10`;
      return spacingProblem(instruction.spacing);
    }
    default:
      return null;
  }
}

// ------------------------------------------------------------------------------------------------------------- parts
function pointsProblem(points: readonly PathPoint[], start: number, end: number): string | null {
  if (!points.length || points.length > MAX_KEYS)
    return `found ${points.length} points, expected 1 to ${MAX_KEYS}`;
  for (const point of points) {
    if (!isPlace([point.x, point.y])) return `found a point at ${point.x}, ${point.y}`;
    if (point.frame !== undefined && !isFrame(point.frame)) return `found a point at frame ${point.frame}`;
    if (![point.handle_in, point.handle_out].every((each) => each === undefined || isPlace(each)))
      return "found a handle off all bounds";
  }
  if (points.every((point) => point.frame === undefined)) return null;
  const { frames } = legs(
    points.map((point) => point.frame),
    start,
    end,
  );
  for (let k = 1; k < frames.length; k += 1)
    if ((frames[k] as number) <= (frames[k - 1] as number))
      return `a point is passed at frame ${frames[k]}, after one at ${frames[k - 1]}; expected increasing frames`;
  return null;
}

function keysProblem(name: string, keys: readonly Keyframe[]): string | null {
  if (!keys.length || keys.length > MAX_KEYS) return `${name}: found ${keys.length} keyframes`;
  for (const [k, key] of keys.entries()) {
    const earlier = keys[k - 1];
    if (!isFrame(key.frame) || (earlier && key.frame <= earlier.frame))
      return `${name}: found a keyframe at ${key.frame}${earlier ? ` after ${earlier.frame}` : ""}, expected increasing frames`;
    const problem = numberProblem(name, key.value) ?? easingProblem(key.easing);
    if (problem) return problem;
  }
  return null;
}

function easingProblem(easing: Easing): string | null {
  if (typeof easing === "string") return null;
  const [x1, , x2] = easing;
  if (!easing.every(isNumber) || x1 < 0 || x1 > 1 || x2 < 0 || x2 > 1)
    return `found easing ${easing.join(", ")}, expected x between 0 and 1`;
  return null;
}

function areaProblem(area: Area): string | null {
  if (!area.polygon) return null;
  if (area.polygon.length < 3 || area.polygon.length > 10_000)
    return `found an outline of ${area.polygon.length} points, expected 3 to 10,000`;
  return area.polygon.every(isPlace) ? null : "found an outline off all bounds";
}

function rectangleProblem({ x, y, width, height }: Rectangle): string | null {
  if (!isPlace([x, y])) return `found a box at ${x}, ${y}`;
  return isPositive(width) && isPositive(height)
    ? null
    : `found a box of ${width} x ${height}, expected one with a size`;
}

const numberProblem = (name: string, value: number) => (isNumber(value) ? null : `${name}: found ${value}`);
const spacingProblem = (value: number) =>
  value >= 1 && value <= 65_536 ? null : `found spacing ${value}, expected 1 or more pixels`;
const isNumber = (value: number) => Math.abs(value) <= MAX_COORDINATE;
const isFrame = (value: number) => value >= 0 && value <= MAX_FRAME;
const isPositive = (value: number) => value >= LEAST && value <= MAX_COORDINATE;
const isPlace = ([x, y]: XY) => isNumber(x) && isNumber(y);

function firstProblem<T>(items: readonly T[], check: (item: T) => string | null): string | null {
  for (const item of items) {
    const problem = check(item);
    if (problem) return problem;
  }
  return null;
}
