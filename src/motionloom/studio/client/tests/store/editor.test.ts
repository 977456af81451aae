import { beforeEach, describe, expect, it } from "vitest";
import { findProblem } from "../../src/motion/check";
import { COLORS } from "../../src/motion/colors";
import type { Camera, FreePath, Motion, Static } from "../../src/motion/document";
import { newMotion, readMotion, writeMotion } from "../../src/motion/read";
import { createEditor, type Editor } from "../../src/store/create";
import type { NewInstruction } from "../../src/store/editor";
import { type Dice, diceFrom, randomDocument, randomInstruction } from "../random";

let clock = 0;
let editor: Editor;
const state = () => editor.getState();
const path = (x = 0, more: object = {}): NewInstruction => ({
  kind: "path",
  points: [
    [x, 0],
    [x + 100, 50],
  ],
  ...more,
});
const drafted = () => state().draft?.instructions[0] as FreePath | undefined;
const first = <T>() => state().motion.instructions[0] as T;

beforeEach(() => {
  clock = 0;
  localStorage.clear();
  editor = createEditor(() => clock);
  state().open(writeMotion(newMotion(640, 360)));
});

describe("adding", () => {
  it("gives ids as Python does, colours in turn, and selects", () => {
    const ids = [
      state().add(path()),
      state().add(path()),
      state().add({ kind: "camera" }),
      state().add(path()),
    ];
    expect(ids).toEqual(["path-1", "path-2", "camera-1", "path-3"]);
    expect(state().motion.instructions.map((each) => each.color)).toEqual(COLORS.slice(0, 4));
    expect(state().selection).toEqual(["path-3"]);
    expect(state().undoLabel).toBe("Add path");
  });

  it("keeps an id that is free and replaces one that is taken", () => {
    expect(state().addAll([path(0, { id: "dog" }), path(0, { id: "dog" })], "Import")).toEqual([
      "dog",
      "path-1",
    ]);
    expect(state().undoLabel).toBe("Import");
    state().undo();
    expect(state().motion.instructions).toEqual([]);
  });

  it("leaves what is locked where it is, and says so", () => {
    state().addAll([path(), path()], "Add");
    state().setLocked(["path-1"], true);
    state().remove(["path-1"]);
    expect(state().notice).toMatchObject({ kind: "refused", message: "Path 1 is locked: unlock first." });
    expect(state().undoLabel).toBe("Add");
    state().remove(["path-1", "path-2"]);
    expect(state().motion.instructions.map(({ id }) => id)).toEqual(["path-1"]);
    expect(state().selection).toEqual(["path-1"]);
  });

  it("adds pan velocities in the same step, for what was added alone", () => {
    state().add(path());
    const pans = [{ velocity: [1, 0], instructions: ["path-1"] } as const, { velocity: [0, 2] } as const];
    const ids = state().addAll([path(0, { id: "path-1" }), path(0, { id: "dog" })], "Import", pans);
    expect(ids).toEqual(["path-2", "dog"]);
    expect(state().motion.pan).toEqual([
      { velocity: [1, 0], instructions: ["path-2"] },
      { velocity: [0, 2], instructions: ["path-2", "dog"] },
    ]);
    state().undo();
    expect(state().motion.pan).toEqual([]);
    expect(state().motion.instructions).toHaveLength(1);
  });

  it("takes the colour that is used least once all are in use", () => {
    for (let k = 0; k < COLORS.length; k += 1) state().add(path());
    state().remove(["path-3"]);
    state().add(path());
    expect(state().motion.instructions.at(-1)?.color).toBe(COLORS[2]);
  });

  it("refuses what could not be saved and says why", () => {
    const before = state().motion;
    expect(state().add({ kind: "circle", center: [1, 2], radius: 0, radius_curve: 5 })).toBe("");
    expect(state().motion).toBe(before);
    expect(state().canUndo).toBe(false);
    expect(state().notice).toEqual({
      kind: "refused",
      message: "Circle 1: found radius 0, expected one above 0.",
    });
  });

  it("has one visible camera: the newest", () => {
    state().add({ kind: "camera" });
    state().add({ kind: "camera" });
    expect(state().motion.instructions.map((each) => each.hidden)).toEqual([true, false]);
    expect(state().notice?.message).toBe("One camera at a time: Camera 2 is on, Camera 1 is hidden.");
    state().setHidden(["camera-1"], false);
    expect(state().motion.instructions.map((each) => each.hidden)).toEqual([false, true]);
    expect(findProblem(state().motion)).toBeNull();
  });
});

describe("history", () => {
  it("undoes and redoes with labels and selections", () => {
    const a = state().add(path(0));
    const b = state().add(path(9));
    state().select([a, b]);
    state().remove([a]);
    expect([state().undoLabel, state().redoLabel]).toEqual(["Delete Path 1", null]);
    expect(state().selection).toEqual([b]);
    state().undo();
    expect(state().selection).toEqual([a, b]);
    expect([state().undoLabel, state().redoLabel]).toEqual(["Add path", "Delete Path 1"]);
    state().redo();
    expect(state().selection).toEqual([b]);
    expect(state().canRedo).toBe(false);
  });

  it("makes one step of nudges that follow each other quickly", () => {
    const id = state().add(path(0));
    for (const wait of [0, 500, 599, 601]) {
      clock += wait;
      state().move([id], [1, 0]);
    }
    expect(first<FreePath>().points[0]?.x).toBe(4);
    state().undo();
    expect(first<FreePath>().points[0]?.x).toBe(3);
    state().undo();
    expect(first<FreePath>().points[0]?.x).toBe(0);
  });

  it("does not mix nudges of different things", () => {
    const [a, b] = [state().add(path(0)), state().add(path(0))];
    state().move([a], [1, 0]);
    state().move([b], [1, 0]);
    state().move([a], [1, 0]);
    state().undo();
    expect(first<FreePath>().points[0]?.x).toBe(1);
  });

  it("does not count an edit that changes nothing", () => {
    const id = state().add(path(0));
    const { revision } = state();
    state().rename(id, "");
    state().setHidden([id], false);
    state().reorder(id, 0);
    state().edit("Nothing", (motion) => motion);
    expect(state().revision).toBe(revision);
    expect(state().undoLabel).toBe("Add path");
  });

  it("keeps ten thousand steps, which share what did not change", () => {
    state().addAll(
      Array.from({ length: 10 }, (_, k) => path(k)),
      "Add",
    );
    const untouched = state().motion.instructions[7];
    for (let k = 0; k < 10_000; k += 1) {
      clock += 1000;
      state().move(["path-1"], [1, 0]);
    }
    expect(first<FreePath>().points[0]?.x).toBe(10_000);
    expect(state().motion.instructions[7]).toBe(untouched);
    for (let k = 0; k < 10_000; k += 1) state().undo();
    expect(first<FreePath>().points[0]?.x).toBe(0);
    expect(state().undoLabel).toBe("Add");
  }, 60_000);

  it.each(Array.from({ length: 30 }, (_, seed) => seed))(
    "takes back any sequence of edits exactly (%i)",
    (seed) => {
      state().open(randomDocument(seed));
      const dice = diceFrom(seed + 1000);
      const seen: Motion[] = [state().motion];
      for (let k = 0; k < 60; k += 1) {
        clock += 1000;
        anyEdit(dice);
        expect(findProblem(state().motion)).toBeNull();
        if (state().motion !== seen.at(-1)) seen.push(state().motion);
      }
      expect(readMotion(JSON.parse(JSON.stringify(writeMotion(state().motion))))).toStrictEqual(
        state().motion,
      );
      const copies = seen.map((motion) => JSON.stringify(motion));
      for (let k = seen.length - 2; k >= 0; k -= 1) {
        state().undo();
        expect(state().motion).toBe(seen[k]);
        expect(JSON.stringify(state().motion)).toBe(copies[k]);
      }
      expect(state().canUndo).toBe(false);
      for (let k = 1; k < seen.length; k += 1) state().redo();
      expect(state().motion).toBe(seen.at(-1));
      expect(state().canRedo).toBe(false);
    },
  );
});

describe("drafts", () => {
  it("are shown, not kept, until they are committed as one step", () => {
    const id = state().add(path(0));
    const { motion, revision } = state();
    for (const x of [5, 10, 20]) state().preview((each) => shifted(each, x));
    expect(state().motion).toBe(motion);
    expect(drafted()?.points[0]?.x).toBe(20);
    expect(state().revision).toBe(revision);
    state().commit("Drag path");
    expect(first<FreePath>().points[0]?.x).toBe(20);
    expect([state().draft, state().undoLabel, state().revision]).toEqual([null, "Drag path", revision + 1]);
    state().undo();
    expect(state().motion).toBe(motion);
    expect(id).toBe("path-1");
  });

  it("are forgotten by cancel, and by undo in the middle of a gesture", () => {
    state().add(path(0));
    for (const end of [state().cancel, state().undo]) {
      state().preview((motion) => shifted(motion, 5));
      end();
      expect(state().draft).toBeNull();
      expect(state().motion.instructions).toHaveLength(1);
      expect(state().undoLabel).toBe("Add path");
    }
  });

  it("stay where they were when a change could not be saved", () => {
    state().add(path(0));
    state().preview((motion) => shifted(motion, 5));
    state().preview((motion) => shifted(motion, 2e6));
    expect(drafted()?.points[0]?.x).toBe(5);
    expect(state().notice).toBeNull();
  });

  it("say what followed from them when they are committed", () => {
    state().add({ kind: "camera" });
    const second = { ...first<Camera>(), id: "camera-2", pan: 5 };
    for (const pan of [1, 2])
      state().preview((motion) => ({
        ...motion,
        instructions: [...motion.instructions, { ...second, pan }],
      }));
    expect([state().notice, state().draft?.instructions[0]?.hidden]).toEqual([null, true]);
    state().commit("Add camera");
    expect(state().notice?.kind).toBe("changed");
    expect(state().motion.instructions.map((each) => each.hidden)).toEqual([true, false]);
  });

  it("end a row of nudges", () => {
    const id = state().add(path(0));
    state().move([id], [1, 0]);
    state().commit("Drag");
    state().move([id], [1, 0]);
    state().undo();
    expect(first<FreePath>().points[0]?.x).toBe(1);
  });
});

describe("instructions", () => {
  it("are duplicated with an offset, a name and their pan, in front of the original", () => {
    const [a] = [state().add(path(0, { name: "Dog" })), state().add(path(200))];
    state().setPan([1, 2], [a]);
    const copies = state().duplicate([a]);
    expect(state().motion.instructions.map((each) => each.id)).toEqual(["path-1", "path-3", "path-2"]);
    const copy = state().motion.instructions[1] as FreePath;
    expect([copy.name, copy.points[0]]).toEqual(["Dog copy", { x: 16, y: 16 }]);
    expect(state().motion.pan).toEqual([{ velocity: [1, 2], instructions: ["path-1", "path-3"] }]);
    expect(state().selection).toEqual(copies);
    expect(state().duplicate([a]).length && state().motion.instructions[1]?.name).toBe("Dog copy 2");
  });

  it("leave no references behind", () => {
    const box = state().add({ kind: "box", source: { x: 1, y: 1, width: 50, height: 50 } });
    const pin = state().add({ kind: "static", grid: { spacing: 40, outside: [box] } });
    state().setPan([1, 0], [box]);
    state().setPan([0, 1], [box, pin]);
    state().remove([box]);
    expect(first<Static>().grid).toEqual({ spacing: 40, outside: [] });
    expect(state().motion.pan).toEqual([{ velocity: [0, 1], instructions: [pin] }]);
    state().undo();
    expect(state().motion.pan).toHaveLength(2);
  });

  it("are reordered", () => {
    for (let k = 0; k < 4; k += 1) state().add(path(k));
    state().reorder("path-1", 2);
    expect(state().motion.instructions.map((each) => each.id)).toEqual([
      "path-2",
      "path-3",
      "path-1",
      "path-4",
    ]);
    state().reorder("path-4", -7);
    expect(state().motion.instructions[0]?.id).toBe("path-4");
  });

  it("lose a field that is set to undefined, and keep id and kind", () => {
    const id = state().add(path(0, { start: 3, end: 9 }));
    state().update(id, { start: undefined, id: "other", kind: "camera" } as never, "Clear start");
    expect(first<FreePath>()).not.toHaveProperty("start");
    expect([first<FreePath>().id, first<FreePath>().kind]).toEqual(["path-1", "path"]);
  });

  it("have pans for exactly these, replaced and taken away", () => {
    const [a, b] = [state().add(path(0)), state().add(path(0))];
    state().setPan([1, 0], [a, b]);
    state().setPan([2, 0], null);
    state().setPan([3, 0], [b, a]);
    expect(state().motion.pan).toEqual([{ velocity: [3, 0], instructions: [b, a] }, { velocity: [2, 0] }]);
    state().setPan([0, 0], null);
    expect(state().motion.pan).toHaveLength(1);
  });
});

describe("time", () => {
  const frames = () => first<FreePath>().points.map((point) => point.frame);

  it("of points goes along when a bar is moved or stretched", () => {
    const points = [
      [0, 0, 10],
      [5, 0],
      [9, 0, 15],
      [20, 0, 30],
    ];
    const id = state().add(path(0, { points }));
    state().setTiming(id, { start: 20, end: 40 });
    expect(frames()).toEqual([20, undefined, 25, 40]);
    state().setTiming(id, { end: 30 });
    expect(frames()).toEqual([20, undefined, 22.5, 30]);
  });

  it("never ends before it starts", () => {
    const id = state().add(path(0, { start: 10, end: 20 }));
    state().setTiming(id, { end: 4 });
    expect([first<FreePath>().start, first<FreePath>().end]).toEqual([10, 10]);
    state().setTiming(id, { start: 30 });
    expect([first<FreePath>().start, first<FreePath>().end]).toEqual([10, 10]);
    state().setTiming(id, { start: null, end: null, before: "vanish" });
    expect(first<FreePath>()).not.toHaveProperty("end");
    expect(first<FreePath>().before).toBe("vanish");
  });

  it("of a point stays between its neighbours", () => {
    const points = [
      [0, 0, 2],
      [5, 0],
      [9, 0, 15],
    ];
    const id = state().add(path(0, { points }));
    state().setPointFrame(id, 1, 40);
    expect(frames()[1]).toBeCloseTo(14.99);
    state().setPointFrame(id, 1, 0);
    expect(frames()[1]).toBeCloseTo(2.01);
    state().setPointFrame(id, 1, null);
    expect(frames()).toEqual([2, undefined, 15]);
  });

  it("of the motion: kept or stretched", () => {
    const points = [
      [0, 0],
      [5, 0, 24],
      [9, 0],
    ];
    state().add(path(0, { points }));
    state().add({
      kind: "rotate",
      center: [1, 1],
      points: [[5, 5]],
      angle: [
        [12, 0],
        [36, 90],
      ],
      end: 40,
    } as never);
    state().setPan([2, 0], null);
    state().setPlayhead(48);
    state().setLength(97, 24, "stretch");
    expect(frames()).toEqual([undefined, 48, undefined]);
    expect(state().motion.instructions[1]).toMatchObject({ end: 80, angle: [{ frame: 24 }, { frame: 72 }] });
    expect(state().motion.pan[0]?.velocity).toEqual([1, 0]);
    clock += 1000;
    state().setLength(21, 24, "keep");
    expect(state().playhead).toBe(20);
    expect(findProblem(state().motion)).toBeNull();
    expect(frames()).toEqual([undefined, 48, undefined]);
    state().undo();
    state().undo();
    expect(state().motion.num_frames).toBe(49);
  });
});

describe("control points", () => {
  it("are inserted where the curve is near, without changing a polyline", () => {
    const id = state().add(path(0, { curve: "polyline" }));
    expect(state().insertPoint(id, [52, 20])).toBe(1);
    const { points } = first<FreePath>();
    expect(points).toHaveLength(3);
    expect((points[1]?.y ?? 0) / (points[1]?.x ?? 1)).toBeCloseTo(0.5, 9);
  });

  it("are deleted, and the instruction with its last one", () => {
    const id = state().add(path(0));
    state().selectPoints([0, 1, 7]);
    expect(state().points).toEqual([0, 1]);
    state().removePoints(id, [0]);
    expect([first<FreePath>().points.length, state().points]).toEqual([1, []]);
    state().removePoints(id, [0]);
    expect(state().motion.instructions).toEqual([]);
    expect(state().selection).toEqual([]);
  });

  it("of a box are its path, which it can lose", () => {
    const id = state().add({
      kind: "box",
      source: { x: 0, y: 0, width: 9, height: 9 },
      path: { points: [[0, 0]] },
    });
    state().movePoints(id, [0], [4, 5]);
    expect(first<{ path: object }>().path).toEqual({ curve: "catmull-rom", points: [{ x: 4, y: 5 }] });
    state().removePoints(id, [0]);
    expect(first<object>()).not.toHaveProperty("path");
  });
});

describe("what is not in the history", () => {
  it("selects by mode, and only what is there", () => {
    const [a, b] = [state().add(path(0)), state().add(path(0))];
    state().select([a, "nobody"]);
    state().select([b], "toggle");
    expect(state().selection).toEqual([a, b]);
    state().select([a], "toggle");
    expect(state().selection).toEqual([b]);
    state().setLocked([b], true);
    state().selectAll();
    expect(state().selection).toEqual([a]);
  });

  it("keeps the playhead on the motion", () => {
    state().setPlayhead(400);
    expect(state().playhead).toBe(48);
    state().setPlayhead(-3);
    expect(state().playhead).toBe(0);
    state().setPlayhead(Number.NaN);
    expect(state().playhead).toBe(0);
  });

  it("remembers locks by project", () => {
    const document = writeMotion(newMotion(64, 36));
    state().open(document, "one");
    state().setLocked(["path-1"], true);
    state().open(document, "two");
    expect(state().locked.size).toBe(0);
    state().open(document, "one");
    expect([...state().locked]).toEqual(["path-1"]);
  });

  it("begins anew with another document", () => {
    state().add(path(0));
    state().setPlayhead(9);
    const { revision } = state();
    state().open(writeMotion(newMotion(64, 36)));
    expect(state()).toMatchObject({ canUndo: false, selection: [], playhead: 0, revision: revision + 1 });
    expect(() => state().open({ format: "else" })).toThrow(
      'format: found "else", expected "motionloom.motion"',
    );
  });
});

function shifted(motion: Motion, x: number): Motion {
  const [path, ...rest] = motion.instructions as [FreePath, ...FreePath[]];
  return { ...motion, instructions: [{ ...path, points: [{ x, y: 0 }] }, ...rest] };
}

/** One of everything the editor can do, with whatever is there. */
function anyEdit(dice: Dice): void {
  const { motion } = state();
  const ids = motion.instructions.map((each) => each.id);
  const id = ids.length ? dice.pick(ids) : "nobody";
  const frame = dice.whole(0, 60);
  const edits: (() => unknown)[] = [
    () => state().add(randomInstruction(dice)),
    () => state().remove([id]),
    () => state().duplicate([id, dice.pick(ids.length ? ids : ["nobody"])]),
    () => state().move([id], [dice.number(-20, 20), 3]),
    () => state().rename(id, `Name ${frame}`),
    () => state().recolor([id], "#123456"),
    () => state().setHidden([id], dice.chance(0.5)),
    () => state().setTiming(id, { start: dice.chance(0.3) ? null : frame, after: "vanish" }),
    () => state().setTiming(id, { end: dice.chance(0.3) ? null : frame }),
    () => state().setEasing(id, "ease-in"),
    () => state().reorder(id, dice.whole(0, 5)),
    () => state().setPan([dice.whole(-1, 1), 0], dice.chance(0.5) ? null : [id]),
    () => state().setLength(dice.whole(1, 90), 24, dice.pick(["keep", "stretch"])),
    () => state().movePoints(id, [0, 1], [2, 2]),
    () => state().insertPoint(id, [dice.number(0, 600), 100]),
    () => state().removePoints(id, [dice.whole(0, 3)]),
    () => state().setPointFrame(id, dice.whole(0, 3), dice.chance(0.3) ? null : frame),
    () =>
      state().update(
        id,
        { hidden: false, start: frame, end: frame - 3 } as Partial<Camera>,
        "Break the order",
      ),
  ];
  dice.pick(edits)();
}
