// Random motions from a seed, for tests of what must hold for every motion.

import type { MotionDocument } from "../src/motion/document";

/** Numbers in 0..1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface Dice {
  number(low: number, high: number): number;
  whole(low: number, high: number): number;
  pick<T>(items: readonly T[]): T;
  chance(share: number): boolean;
}

export function diceFrom(seed: number): Dice {
  const random = randomFrom(seed);
  const number = (low: number, high: number) => Math.round((low + random() * (high - low)) * 100) / 100;
  const whole = (low: number, high: number) => Math.floor(low + random() * (high - low + 1));
  return {
    number,
    whole,
    pick: (items) => items[whole(0, items.length - 1)] as never,
    chance: (share) => random() < share,
  };
}

export const CANVAS = { width: 640, height: 360 };
const EASINGS = ["linear", "ease-in", "ease-out", "ease-in-out", "hold", [0.1, -0.5, 0.9, 1.5]] as const;

const place = (dice: Dice) => [dice.number(0, CANVAS.width), dice.number(0, CANVAS.height)];
const easing = (dice: Dice) => dice.pick(EASINGS);

function route(dice: Dice) {
  const curve = dice.pick(["polyline", "catmull-rom", "bezier"]);
  const timed = dice.chance(0.5);
  let frame = 0;
  const points = Array.from({ length: dice.whole(1, 5) }, () => {
    const [x, y] = place(dice);
    frame += dice.number(0.5, 6);
    return {
      x,
      y,
      ...(timed && { frame }),
      ...(curve === "bezier" && dice.chance(0.5) && { handle_out: [dice.number(-50, 50), 3] }),
    };
  });
  return { curve, points };
}

function curve(dice: Dice, low: number, high: number) {
  if (dice.chance(0.5)) return dice.number(low, high);
  let frame = 0;
  return Array.from({ length: dice.whole(1, 4) }, () => {
    frame += dice.number(0.5, 8);
    return { frame, value: dice.number(low, high), easing: easing(dice) };
  });
}

const rectangle = (dice: Dice) => {
  const [x, y] = place(dice);
  return { x, y, width: dice.number(5, 90), height: dice.number(5, 90) };
};

const polygon = (dice: Dice) => Array.from({ length: dice.whole(3, 7) }, () => place(dice));

const BODIES: Record<string, (dice: Dice) => object> = {
  path: route,
  circle: (dice) => ({ center: place(dice), radius: dice.number(4, 90), radius_curve: curve(dice, 0, 120) }),
  static: (dice) =>
    dice.chance(0.5) ? { points: [place(dice), place(dice)] } : { grid: { spacing: dice.number(20, 90) } },
  box: (dice) => ({
    source: rectangle(dice),
    ...(dice.chance(0.5) && { target: rectangle(dice) }),
    ...(dice.chance(0.5) && { path: route(dice) }),
  }),
  region: (dice) => ({
    polygon: polygon(dice),
    rotation: curve(dice, -90, 90),
    ...(dice.chance(0.5) && { path: route(dice) }),
  }),
  rotate: (dice) => ({
    center: place(dice),
    angle: curve(dice, -360, 360),
    ...(dice.chance(0.5) ? { points: [place(dice)] } : { region: { polygon: polygon(dice) } }),
  }),
  camera: (dice) => ({ pan: curve(dice, -20, 20), zoom: curve(dice, 0.5, 2), spacing: dice.number(40, 90) }),
};

export const KINDS = Object.keys(BODIES);

/** An instruction as it comes out of a tool: without id. */
export function randomInstruction(
  dice: Dice,
  kind = dice.pick(KINDS),
): { kind: never } & Record<string, unknown> {
  return {
    kind: kind as never,
    easing: easing(dice),
    before: dice.pick(["hold", "vanish"]),
    after: dice.pick(["hold", "vanish"]),
    ...(BODIES[kind] as (dice: Dice) => object)(dice),
  };
}

export function randomDocument(seed: number, count = 5): MotionDocument {
  const dice = diceFrom(seed);
  const kinds = KINDS.filter((kind) => kind !== "camera");
  const instructions = Array.from({ length: count }, (_, k) => ({
    ...randomInstruction(dice, k === 0 ? "camera" : dice.pick(kinds)),
    id: `made-${k}`,
    name: dice.chance(0.3) ? `Name ${k}` : "",
    hidden: dice.chance(0.2),
  }));
  return {
    format: "motionloom.motion",
    version: 1,
    canvas: CANVAS,
    num_frames: 49,
    fps: 16,
    instructions,
    pan: dice.chance(0.5) ? [{ velocity: [1, -2], instructions: [`made-${dice.whole(0, count - 1)}`] }] : [],
    ...(dice.chance(0.3) && { prompt: "a cat" }),
  };
}
