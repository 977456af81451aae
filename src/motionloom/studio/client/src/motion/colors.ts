// Colours given to instructions that have none.

import type { Motion } from "./document";

/**
 * Told apart by people with the common colour vision deficiencies, and readable on dark and light surfaces alike
 * (after Okabe and Ito 2008, brought to a middle lightness).
 */
export const COLORS = [
  "#e08a00",
  "#3d9be0",
  "#d4452b",
  "#0f9d76",
  "#c76aa3",
  "#5b6ee1",
  "#a08f00",
  "#8c6a4f",
] as const;

/** The colour that the motion uses least, the earliest of those. */
export function nextColor(motion: Motion): string {
  const uses = new Map<string, number>(COLORS.map((color) => [color, 0]));
  for (const { color } of motion.instructions) {
    const known = color?.toLowerCase();
    if (known !== undefined && uses.has(known)) uses.set(known, (uses.get(known) ?? 0) + 1);
  }
  return COLORS.reduce((best, color) => ((uses.get(color) ?? 0) < (uses.get(best) ?? 0) ? color : best));
}
