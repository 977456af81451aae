// How fast things move, in pixels per frame, and where a model says that it is too fast.

import type { GenerationSettings, ModelFacts } from "../api/types";
import type { Motion } from "../motion/document";

/** Points of one instruction at whole frames, as `useTraced` gives them. */
export interface Moving {
  readonly points: Float64Array;
  readonly visible: Uint8Array;
  readonly count: number;
}

/** The fastest point of an instruction, from each frame to the next, of those that are visible at either. */
export interface Speeds {
  /** Pixels per frame, one number for each step from frame k to k + 1. */
  readonly steps: Float64Array;
  readonly largest: number;
  /** The frame at which the fastest step begins. */
  readonly at: number;
}

const known = new WeakMap<Moving, Speeds>();

export function speedsOf(traced: Moving): Speeds {
  const found = known.get(traced);
  if (found) return found;
  const { points, visible, count } = traced;
  const moments = count > 0 ? visible.length / count : 0;
  const steps = new Float64Array(Math.max(0, moments - 1));
  let largest = 0;
  let at = 0;
  for (let moment = 0; moment < steps.length; moment++) {
    let squared = 0;
    for (let n = 0; n < count; n++) {
      const here = moment * count + n;
      const there = here + count;
      if (!visible[here] && !visible[there]) continue;
      const dx = (points[2 * there] as number) - (points[2 * here] as number);
      const dy = (points[2 * there + 1] as number) - (points[2 * here + 1] as number);
      squared = Math.max(squared, dx * dx + dy * dy);
    }
    const speed = Math.sqrt(squared);
    steps[moment] = speed;
    if (speed > largest) {
      largest = speed;
      at = moment;
    }
  }
  const speeds = { steps, largest, at };
  known.set(traced, speeds);
  return speeds;
}

/** Where a model's authors say that motion is too fast for it. */
export interface SpeedLimit {
  /** Pixels of the canvas per frame of the motion. */
  readonly perFrame: number;
  /** Their sentence. */
  readonly source: string;
  readonly model: string;
}

export function speedLimit(
  facts: ModelFacts | null | undefined,
  settings: GenerationSettings | null | undefined,
  motion: Motion,
): SpeedLimit | null {
  const share = facts?.limits.max_step;
  if (!facts || !share) return null;
  return {
    perFrame: (share * motion.canvas.width) / framesPerClipFrame(facts, settings, motion),
    source: facts.limits.source,
    model: facts.title,
  };
}

/** How many frames of the motion pass in one frame of the clip that a model makes of it. */
export function framesPerClipFrame(
  facts: ModelFacts,
  settings: GenerationSettings | null | undefined,
  motion: Motion,
): number {
  // A given rate keeps the motion's speed in seconds; without one the whole motion is stretched over the clip.
  if (settings?.fps) return motion.fps / settings.fps;
  const frames = settings?.num_frames ?? facts.num_frames ?? motion.num_frames;
  return motion.num_frames > 1 && frames > 1 ? (motion.num_frames - 1) / (frames - 1) : 1;
}

/** What to say about an instruction that is too fast; null when it is not. */
export function speedWarning(speeds: Speeds, limit: SpeedLimit | null): string | null {
  if (!limit || speeds.largest <= limit.perFrame * (1 + 1e-9)) return null;
  return (
    `Up to ${speedText(speeds.largest)} at frame ${speeds.at}: ${limit.model} fails above ` +
    `${speedText(limit.perFrame)}. ${limit.source}`
  ).trim();
}

export function speedText(speed: number): string {
  return `${speed < 10 ? Number(speed.toFixed(1)) : Math.round(speed)} px/frame`;
}
