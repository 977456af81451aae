// Colours given to instructions that have none.

import type { Motion } from "./document";

/**
 * Told apart by people with any of the common colour vision deficiencies (tests/motion/colors.test.ts measures it), and
 * seen on dark and light surfaces alike. The first ones are the farthest apart.
 */
export const COLORS = [
  "#d7b500",
  "#44a1e6",
  "#d4370b",
  "#325e9d",
  "#cd79a5",
  "#5464df",
  "#ab9903",
  "#5d7855",
] as const;

/** The colour that the motion uses least, the earliest of those. */
export function nextColor(motion: Motion): string {
  return leastUsed(usesOf(motion));
}

/** The motion with a colour for every instruction: files need none, but on the picture each is told by its own. */
export function withColors(motion: Motion): Motion {
  if (motion.instructions.every(({ color }) => color !== undefined)) return motion;
  const uses = usesOf(motion);
  const instructions = motion.instructions.map((instruction) => {
    if (instruction.color !== undefined) return instruction;
    const color = leastUsed(uses);
    uses.set(color, (uses.get(color) ?? 0) + 1);
    return { ...instruction, color };
  });
  return { ...motion, instructions };
}

function usesOf(motion: Motion): Map<string, number> {
  const uses = new Map<string, number>(COLORS.map((color) => [color, 0]));
  for (const { color } of motion.instructions) {
    const known = color?.toLowerCase();
    if (known !== undefined && uses.has(known)) uses.set(known, (uses.get(known) ?? 0) + 1);
  }
  return uses;
}

function leastUsed(uses: ReadonlyMap<string, number>): string {
  return COLORS.reduce((best, color) => ((uses.get(color) ?? 0) < (uses.get(best) ?? 0) ? color : best));
}
