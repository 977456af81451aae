// A drawn stroke as a path with few control points that keeps its shape and, if wanted, the pace of the hand.

import { at, type Curve, flatten } from "./curve";
import type { PathPoint, Route } from "./document";
import { squaredDistance } from "./geometry";

/** Where the pointer was, in canvas pixels, and when, in milliseconds. */
export interface StrokeSample {
  readonly x: number;
  readonly y: number;
  readonly ms: number;
}

export interface StrokeOptions {
  /** `drawn-speed`: every control point has the frame at which it was drawn; `even`: no frames, even speed. */
  readonly mode: "drawn-speed" | "even";
  readonly numFrames: number;
  readonly fps: number;
  /** How far the path may lie from the stroke, canvas pixels. */
  readonly tolerance: number;
}

/** At every moment the path may be this many tolerances from where the pen was: hands tremble in time as well. */
const PACE_SLACK = 4;
/** A path needs no more control points than this, however long the stroke. */
const MAX_POINTS = 400;
/** Control points are passed at least this much apart, in frames. */
const LEAST_GAP = 0.02;

/**
 * The smooth path through as few points of a stroke as its tolerance allows. A stroke that took longer than the motion
 * lasts is played faster, so that nothing of it is cut.
 */
export function strokeToPath(samples: readonly StrokeSample[], options: StrokeOptions): Route {
  const stroke = onTheClock(samples, options);
  const first = stroke[0];
  if (!first) return { points: [], curve: "catmull-rom" };
  let chosen = [0, stroke.length - 1].filter((k, place) => place === 0 || k > 0);
  for (;;) {
    const missing = farthest(stroke, chosen, options);
    if (!missing.length || chosen.length + missing.length > MAX_POINTS) break;
    chosen = [...chosen, ...missing].sort((a, b) => a - b);
  }
  chosen = thinned(stroke, chosen, options);
  return routeThrough(stroke, chosen, options.mode);
}

interface Moment {
  readonly x: number;
  readonly y: number;
  readonly frame: number;
}

/** Samples with their frames, which increase; places to a hundredth of a pixel. */
function onTheClock(samples: readonly StrokeSample[], { mode, numFrames, fps }: StrokeOptions): Moment[] {
  const begin = samples[0]?.ms ?? 0;
  const length = (((samples[samples.length - 1]?.ms ?? 0) - begin) / 1000) * fps;
  const rate = (fps / 1000) * (length > numFrames - 1 ? (numFrames - 1) / length : 1);
  const result: Moment[] = [];
  for (const { x, y, ms } of samples) {
    const moment = { x: round(x, 100), y: round(y, 100), frame: round((ms - begin) * rate, 1000) };
    const last = result[result.length - 1];
    const still = last && last.x === moment.x && last.y === moment.y;
    if (mode === "even") {
      if (!still) result.push(moment);
    } else if (!last || moment.frame >= last.frame + LEAST_GAP) result.push(moment);
    // Events that came together: the newest place is the one that counts, except that of the very beginning.
    else if (result.length > 1) result[result.length - 1] = { ...moment, frame: last.frame };
  }
  const last = samples[samples.length - 1];
  const kept = result[result.length - 1];
  if (last && kept && result.length === 1 && (round(last.x, 100) !== kept.x || round(last.y, 100) !== kept.y))
    result.push({ x: round(last.x, 100), y: round(last.y, 100), frame: kept.frame + LEAST_GAP });
  return result;
}

/** Of every piece between chosen samples that is off by too much, the sample that is off the most. */
function farthest(stroke: readonly Moment[], chosen: readonly number[], options: StrokeOptions): number[] {
  const curve = flatten(pointsOf(stroke, chosen), "catmull-rom");
  const result: number[] = [];
  for (let k = 0; k + 1 < chosen.length; k += 1) {
    const { place, off } = worstOf(stroke, chosen, k, curve, options);
    if (off > 1) result.push(place);
  }
  return result;
}

/** The sample farthest off between chosen samples k and k + 1, and by how many times what is allowed. */
function worstOf(
  stroke: readonly Moment[],
  chosen: readonly number[],
  k: number,
  curve: Curve,
  { mode, tolerance }: StrokeOptions,
): { place: number; off: number } {
  const from = chosen[k] as number;
  const to = chosen[k + 1] as number;
  const begin = stroke[from] as Moment;
  const end = stroke[to] as Moment;
  const reach = (curve.knots[k + 1] as number) - (curve.knots[k] as number);
  let worst = { place: -1, off: 0 };
  for (let place = from + 1; place < to; place += 1) {
    const moment = stroke[place] as Moment;
    let off = distanceToPiece(curve, k, moment) / tolerance;
    if (mode === "drawn-speed") {
      const share = (moment.frame - begin.frame) / (end.frame - begin.frame);
      const [x, y] = at(curve, (curve.knots[k] as number) + share * reach);
      off = Math.max(off, Math.hypot(x - moment.x, y - moment.y) / (tolerance * PACE_SLACK));
    }
    if (off > worst.off) worst = { place, off };
  }
  return worst;
}

function distanceToPiece({ vertices, knotVertices }: Curve, k: number, { x, y }: Moment): number {
  const to = knotVertices[k + 1] as number;
  let least = Number.POSITIVE_INFINITY;
  for (let vertex = knotVertices[k] as number; vertex < to; vertex += 1)
    least = Math.min(
      least,
      squaredDistance(
        x,
        y,
        vertices[2 * vertex] as number,
        vertices[2 * vertex + 1] as number,
        vertices[2 * vertex + 2] as number,
        vertices[2 * vertex + 3] as number,
      ),
    );
  return Math.sqrt(least);
}

/** Without the points that turned out not to be needed once others were there. */
function thinned(stroke: readonly Moment[], chosen: readonly number[], options: StrokeOptions): number[] {
  const result = [...chosen];
  for (let k = result.length - 2; k > 0; k -= 1) {
    // A point shapes the two pieces on either side of it, and these hang on one more point each.
    const from = Math.max(0, k - 3);
    const near = result.slice(from, k + 4).toSpliced(k - from, 1);
    const curve = flatten(pointsOf(stroke, near), "catmull-rom");
    const pieces = [k - 2, k - 1, k]
      .map((piece) => piece - from)
      .filter((piece) => piece >= 0 && piece + 1 < near.length);
    if (pieces.every((piece) => worstOf(stroke, near, piece, curve, options).off <= 1)) result.splice(k, 1);
  }
  return result;
}

function pointsOf(stroke: readonly Moment[], chosen: readonly number[]): PathPoint[] {
  return chosen.map((place) => {
    const { x, y } = stroke[place] as Moment;
    return { x, y };
  });
}

function routeThrough(
  stroke: readonly Moment[],
  chosen: readonly number[],
  mode: StrokeOptions["mode"],
): Route {
  const points = chosen.map((place): PathPoint => {
    const { x, y, frame } = stroke[place] as Moment;
    return mode === "even" ? { x, y } : { x, y, frame };
  });
  return { points, curve: "catmull-rom" };
}

function round(value: number, parts: number): number {
  return Math.round(value * parts) / parts;
}
