// An instruction that is being drawn: shown like any other, in the history only when it is done.

import { nextColor } from "../../motion/colors";
import { BY_KIND, COMMON } from "../../motion/defaults";
import type { Instruction, Kind, XY } from "../../motion/document";
import { find } from "../../motion/edits";
import { DRAWN_ID, displayName } from "../../motion/names";
import { rounded } from "../handles/values";
import type { Bench } from "./tool";

type Fields<K extends Kind> = Omit<Partial<Extract<Instruction, { kind: K }>>, "kind" | "id">;

/** With the format's defaults for what is left out. */
export function drafted<K extends Kind>(kind: K, fields: Fields<K>): Extract<Instruction, { kind: K }> {
  return { ...COMMON, ...BY_KIND[kind], ...fields, id: DRAWN_ID, kind } as unknown as Extract<
    Instruction,
    { kind: K }
  >;
}

/** Shows it in front of everything, in the colour it will get. */
export function show(instruction: Instruction, bench: Bench): void {
  bench.editor.preview((motion) => ({
    ...motion,
    instructions: [...motion.instructions, { ...instruction, color: instruction.color ?? nextColor(motion) }],
  }));
}

/** Makes one step of it, selects it, says so; returns its id. */
export function keep(instruction: Instruction, bench: Bench): string {
  bench.editor.cancel();
  const { id: _, ...fields } = instruction;
  const id = bench.editor.add(fields);
  const added = find(bench.editor.motion, id);
  if (added) bench.announce(`${displayName(added)} added`);
  return id;
}

/** The one selected instruction, if it is of this kind and can be edited. */
export function selectedOf<K extends Kind>(
  kind: K,
  { editor }: Pick<Bench, "editor">,
): Extract<Instruction, { kind: K }> | undefined {
  const [id, ...more] = editor.selection;
  if (id === undefined || more.length > 0 || editor.locked.has(id)) return undefined;
  const found = find(editor.motion, id);
  return found?.kind === kind && !found.hidden ? (found as Extract<Instruction, { kind: K }>) : undefined;
}

export function round([x, y]: XY): XY {
  return [rounded(x), rounded(y)];
}

export function apart(a: XY, b: XY): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1]);
}
