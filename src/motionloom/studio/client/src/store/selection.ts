// What is selected: lists of ids, in the order in which they were picked.

import type { Motion } from "../motion/document";

/** Those ids that are there, each once. */
export function existing(motion: Motion, ids: readonly string[]): readonly string[] {
  const known = new Set(motion.instructions.map((each) => each.id));
  return [...new Set(ids)].filter((id) => known.has(id));
}

/** A selection after another pick. */
export function picked<T>(
  old: readonly T[],
  wanted: readonly T[],
  mode: "replace" | "add" | "toggle",
): readonly T[] {
  if (mode === "replace") return wanted;
  const missing = wanted.filter((each) => !old.includes(each));
  if (mode === "add") return [...old, ...missing];
  return [...old.filter((each) => !wanted.includes(each)), ...missing];
}

export function same<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((each, k) => each === b[k]);
}
