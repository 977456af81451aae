// What instructions are called, by people and by the document.

import type { Instruction, Kind } from "./document";

/** Id of what is being drawn: shown on the canvas, in no list before it is finished. */
export const DRAWN_ID = "being-drawn..";

export const KIND_LABELS: Record<Kind, string> = {
  path: "Path",
  circle: "Circle",
  static: "Static",
  box: "Box",
  region: "Region",
  rotate: "Rotate",
  camera: "Camera",
};

/** Its own name, or one made from its id: "path-1" is shown as "Path 1". */
export function displayName(instruction: Instruction): string {
  if (instruction.name) return instruction.name;
  const number = new RegExp(`^${instruction.kind}-(\\d+)$`).exec(instruction.id);
  return number ? `${KIND_LABELS[instruction.kind]} ${number[1]}` : instruction.id;
}

/** `kind-1`, `kind-2`, ...: the first that is not taken. */
export function freeId(kind: Kind, taken: ReadonlySet<unknown>): string {
  let number = 1;
  while (taken.has(`${kind}-${number}`)) number += 1;
  return `${kind}-${number}`;
}

/** "Dog" becomes "Dog copy", then "Dog copy 2". */
export function copyName(name: string, taken: ReadonlySet<string>): string {
  const base = `${name.replace(/ copy( \d+)?$/, "")} copy`;
  let result = base;
  for (let number = 2; taken.has(result); number += 1) result = `${base} ${number}`;
  return result;
}
