// Makes an editor. Every change of the motion goes through `step`, which keeps the history, the selection and the
// document in order.

import { createStore, type StoreApi } from "zustand/vanilla";
import { findProblem } from "../motion/check";
import { withColors } from "../motion/colors";
import type { Instruction, Motion, Pan } from "../motion/document";
import {
  added,
  changeEach,
  duplicated,
  find,
  reordered,
  withFields,
  withoutPoints,
  withPan,
  withPointFrame,
  withPointInserted,
  withPointsMoved,
} from "../motion/edits";
import { displayName, KIND_LABELS } from "../motion/names";
import { controlPoints, withControlPoints } from "../motion/points";
import { newMotion, readMotion } from "../motion/read";
import { settle } from "../motion/settle";
import { retimed, withLength } from "../motion/timing";
import { translate } from "../motion/transform";
import type { EditorState, Notice } from "./editor";
import { createHistory } from "./history";
import { readLocks, writeLocks } from "./locks";
import { existing, picked, same } from "./selection";

export type Editor = StoreApi<EditorState>;

const DUPLICATE_OFFSET = [16, 16] as const;

/** An editor with an empty motion. `now`: milliseconds, for telling quick repeats from separate changes. */
export function createEditor(now: () => number = () => performance.now()): Editor {
  let history = createHistory();
  let project: string | null = null;
  let draftNotice: Notice | null = null;

  return createStore<EditorState>()((set, get) => {
    /** What an edit makes of the motion, null when it could not be saved, and what there is to say about it. */
    function attempt(change: (motion: Motion) => Motion): { result: Motion | null; notice: Notice | null } {
      const { motion } = get();
      const { motion: settled, notice } = settle(change(motion), motion);
      const problem = findProblem(settled, motion);
      if (problem !== null) return { result: null, notice: { message: problem, kind: "refused" } };
      return { result: settled, notice: notice === null ? null : { message: notice, kind: "changed" } };
    }

    /** One step of history. `select`: what is selected afterwards; the same as before when left out. */
    function step(
      label: string,
      change: (motion: Motion) => Motion,
      select?: readonly string[],
      key?: string,
    ): void {
      const before = get().motion;
      const { result: after, notice } = attempt(change);
      if (notice) set({ notice });
      if (after === null || after === before) {
        set({ draft: null });
        return;
      }
      record(label, before, after, select, key);
    }

    function record(
      label: string,
      before: Motion,
      after: Motion,
      select?: readonly string[],
      key?: string,
    ): void {
      const selectionBefore = get().selection;
      const selection = existing(after, select ?? selectionBefore);
      history.push({
        label,
        before,
        after,
        selectionBefore,
        selectionAfter: selection,
        time: now(),
        ...(key && { key }),
      });
      show(after, selection);
    }

    /** A motion from the history or a new one; what is picked and where the playhead is stay where they can. */
    function show(motion: Motion, selection: readonly string[]): void {
      const { revision, playhead, points, selection: old } = get();
      const only =
        selection.length === 1 && selection[0] === old[0] ? find(motion, selection[0] as string) : undefined;
      const count = only ? controlPoints(only).length : 0;
      set({
        motion,
        draft: null,
        revision: revision + 1,
        selection: same(selection, old) ? old : selection,
        points: points.length && points.every((k) => k < count) ? points : points.length ? [] : points,
        playhead: Math.min(playhead, motion.num_frames - 1),
        ...historyFields(),
      });
    }

    function historyFields() {
      const { undoLabel, redoLabel } = history;
      return { undoLabel, redoLabel, canUndo: undoLabel !== null, canRedo: redoLabel !== null };
    }

    /** One instruction changed in one step, named after it. */
    function change(
      id: string,
      verb: string,
      edit: (each: Instruction) => Instruction | null,
      key?: string,
    ): void {
      const found = find(get().motion, id);
      if (found)
        step(`${verb} ${displayName(found)}`, (motion) => changeEach(motion, [id], edit), undefined, key);
    }

    /** "Path 1", or "3 items". */
    function named(ids: readonly string[]): string {
      const found = ids.map((id) => find(get().motion, id)).filter((each) => each !== undefined);
      return found.length === 1 ? displayName(found[0] as Instruction) : `${found.length} items`;
    }

    return {
      motion: newMotion(832, 480),
      revision: 0,
      canUndo: false,
      canRedo: false,
      undoLabel: null,
      redoLabel: null,
      selection: [],
      points: [],
      locked: new Set<string>(),
      tool: "select",
      view: null,
      playhead: 0,
      playing: false,
      looping: true,
      overlay: { paths: true, points: true, frames: true, picture: true, received: false, preview: false },
      draft: null,
      notice: null,

      // ------------------------------------------------------------------------------------------------- document
      open(document, name) {
        const motion = withColors(readMotion(document));
        history = createHistory();
        project = name ?? null;
        set({
          motion,
          draft: null,
          notice: null,
          revision: get().revision + 1,
          selection: [],
          points: [],
          locked: name === undefined ? new Set() : readLocks(name),
          view: null,
          playhead: 0,
          playing: false,
          ...historyFields(),
        });
      },
      edit: (label, edit, key) => step(label, edit, undefined, key),
      preview(edit) {
        // A gesture is not talked into: what there is to say is said when it is done.
        const { result, notice } = attempt(edit);
        if (result === null) return;
        draftNotice = notice;
        set({ draft: result === get().motion ? null : result });
      },
      commit(label) {
        const { draft, motion } = get();
        if (draft !== null) {
          record(label, motion, draft);
          if (draftNotice) set({ notice: draftNotice });
        }
        history.seal();
      },
      cancel() {
        if (get().draft !== null) set({ draft: null });
      },
      undo() {
        // In the middle of a gesture, the gesture is what is taken back.
        if (get().draft !== null) return get().cancel();
        const undone = history.undo();
        if (undone) show(undone.before, existing(undone.before, undone.selectionBefore));
      },
      redo() {
        if (get().draft !== null) return;
        const redone = history.redo();
        if (redone) show(redone.after, existing(redone.after, redone.selectionAfter));
      },

      // --------------------------------------------------------------------------------------------- instructions
      add(instruction, label) {
        return (
          get().addAll([instruction], label ?? `Add ${KIND_LABELS[instruction.kind].toLowerCase()}`)[0] ?? ""
        );
      },
      addAll(instructions, label, pans = []) {
        const before = get().motion;
        const { motion, ids } = added(before, instructions);
        const here = new Map(instructions.map((each, k) => [each.id, ids[k] as string]));
        const along = pans.map(
          ({ velocity, instructions: of }): Pan => ({
            velocity,
            instructions: of ? of.flatMap((id) => here.get(id) ?? []) : ids,
          }),
        );
        step(label, () => (along.length > 0 ? { ...motion, pan: [...motion.pan, ...along] } : motion), ids);
        return get().motion === before ? [] : ids;
      },
      update(id, edit, label) {
        const key =
          typeof edit === "function" ? undefined : `update ${id} ${label} ${Object.keys(edit).join()}`;
        const apply = (each: Instruction): Instruction => {
          const changed = typeof edit === "function" ? edit(each) : withFields(each, edit);
          return { ...changed, id: each.id, kind: each.kind } as Instruction;
        };
        step(label, (motion) => changeEach(motion, [id], apply), undefined, key);
      },
      remove(ids) {
        const { locked, selection } = get();
        const gone = new Set(ids.filter((id) => !locked.has(id)));
        if (ids.length > 0 && gone.size === 0) {
          const verb = ids.length === 1 ? "is" : "are";
          set({ notice: { message: `${named(ids)} ${verb} locked: unlock first.`, kind: "refused" } });
          return;
        }
        const left = selection.filter((id) => !gone.has(id));
        step(`Delete ${named([...gone])}`, (motion) => changeEach(motion, [...gone], () => null), left);
      },
      duplicate(ids, offset = DUPLICATE_OFFSET) {
        const before = get().motion;
        const result = duplicated(before, existing(before, ids), offset);
        if (!result.ids.length) return [];
        step(`Duplicate ${named(ids)}`, () => result.motion, result.ids);
        return get().motion === before ? [] : result.ids;
      },
      move(ids, by) {
        const shift = (each: Instruction) => translate(each, by);
        step(
          `Move ${named(ids)}`,
          (motion) => changeEach(motion, ids, shift),
          undefined,
          `move ${ids.join()}`,
        );
      },
      rename(id, name) {
        const text = name.trim();
        change(id, "Rename", (each) => (each.name === text ? each : { ...each, name: text }));
      },
      recolor(ids, color) {
        const key = `recolor ${ids.join()}`;
        const paint = (each: Instruction) => (each.color === color ? each : { ...each, color });
        step(`Colour ${named(ids)}`, (motion) => changeEach(motion, ids, paint), undefined, key);
      },
      setHidden(ids, hidden) {
        const turn = (each: Instruction) => (each.hidden === hidden ? each : { ...each, hidden });
        step(`${hidden ? "Hide" : "Show"} ${named(ids)}`, (motion) => changeEach(motion, ids, turn));
      },
      setTiming(id, timing) {
        const last = get().motion.num_frames - 1;
        const key = `time ${id} ${Object.keys(timing).join()}`;
        change(id, "Time", (each) => retimed(each, timing, last), key);
      },
      setEasing(id, easing) {
        change(id, "Ease", (each) => ({ ...each, easing }), `ease ${id}`);
      },
      reorder(id, place) {
        step(`Reorder ${named([id])}`, (motion) => reordered(motion, id, place));
      },
      setPan(velocity, ids) {
        const key = `pan ${ids?.join() ?? "all"}`;
        step(
          `Pan ${ids ? named(ids) : "everything"}`,
          (motion) => withPan(motion, velocity, ids),
          undefined,
          key,
        );
      },
      setPans(pans) {
        step("Change pans", (motion) => ({ ...motion, pan: pans }));
      },
      setLength(numFrames, fps, mode) {
        step(
          "Change length",
          (motion) => withLength(motion, numFrames, fps, mode),
          undefined,
          `length ${mode}`,
        );
      },

      // ------------------------------------------------------------------------------------------- control points
      movePoints(id, indices, by) {
        const verb = indices.length === 1 ? "Move point of" : "Move points of";
        change(id, verb, (each) => withPointsMoved(each, indices, by), `points ${id} ${indices.join()}`);
      },
      setPoint(id, index, point) {
        change(
          id,
          "Move point of",
          (each) => {
            const points = controlPoints(each);
            return index in points ? (withControlPoints(each, points.with(index, point)) ?? each) : each;
          },
          `point ${id} ${index}`,
        );
      },
      insertPoint(id, at) {
        const found = find(get().motion, id);
        if (!found) return -1;
        const { instruction, index } = withPointInserted(found, at);
        change(id, "Add point to", () => instruction);
        return index;
      },
      removePoints(id, indices) {
        change(id, indices.length === 1 ? "Delete point of" : "Delete points of", (each) =>
          withoutPoints(each, indices),
        );
        set({ points: [] });
      },
      setPointFrame(id, index, frame) {
        change(id, "Time point of", (each) => withPointFrame(each, index, frame), `frame ${id} ${index}`);
      },

      // --------------------------------------------------------------------------------------- not in the history
      select(ids, mode = "replace") {
        const { selection: old, motion } = get();
        const selection = picked(old, existing(motion, ids), mode);
        if (!same(selection, old)) set({ selection, points: [] });
        else if (mode === "replace" && get().points.length) set({ points: [] });
      },
      selectAll() {
        const { motion, locked } = get();
        const free = motion.instructions.filter((each) => !each.hidden && !locked.has(each.id));
        get().select(free.map((each) => each.id));
      },
      selectPoints(indices, mode = "replace") {
        const { selection, motion, points: old } = get();
        const only = selection.length === 1 ? find(motion, selection[0] as string) : undefined;
        const count = only ? controlPoints(only).length : 0;
        const valid = indices.filter((k) => Number.isInteger(k) && k >= 0 && k < count);
        const points = picked(old, valid, mode);
        if (!same(points, old)) set({ points });
      },
      setLocked(ids, locked) {
        const all = new Set(get().locked);
        for (const id of ids) locked ? all.add(id) : all.delete(id);
        if (project !== null) writeLocks(project, all);
        set({ locked: all });
      },
      setTool: (tool) => set({ tool }),
      setView: (view) => set({ view }),
      setPlayhead(frame) {
        const last = (get().draft ?? get().motion).num_frames - 1;
        if (Number.isFinite(frame)) set({ playhead: Math.min(Math.max(frame, 0), last) });
      },
      setPlaying: (playing) => set({ playing }),
      setLooping: (looping) => set({ looping }),
      setOverlay: (overlay) => set({ overlay: { ...get().overlay, ...overlay } }),
    };
  });
}
