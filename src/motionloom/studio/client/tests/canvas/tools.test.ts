import { beforeEach, describe, expect, it } from "vitest";
import { stage } from "../../src/canvas/stageStore";
import { TOOLS, toolOf } from "../../src/canvas/tools";
import { grip, handlesIn, nudge } from "../../src/canvas/tools/grip";
import type { Bench, Press } from "../../src/canvas/tools/tool";
import type { Instruction, XY } from "../../src/motion/document";
import { createEditor, type Editor } from "../../src/store/create";
import type { ToolName } from "../../src/store/editor";

let store: Editor;
let said: string[];
let bench: Bench;
let clock: number;

beforeEach(() => {
  store = createEditor(() => clock);
  said = [];
  clock = 0;
  bench = {
    get editor() {
      return store.getState();
    },
    pixels: (screen) => screen,
    announce: (text) => said.push(text),
  };
});

function press(at: XY, more: Partial<Press> = {}): Press {
  clock += 20;
  return { at, time: clock, shift: false, alt: false, mod: false, clicks: 1, coarse: false, ...more };
}
function drag(name: ToolName, points: readonly XY[], more: Partial<Press> = {}): void {
  const [first, ...others] = points as [XY, ...XY[]];
  const gesture = toolOf(name).down(press(first, more), bench);
  for (const point of others) gesture?.move([press(point, more)], bench);
  gesture?.up(press(points[points.length - 1] as XY, more), bench);
}
const click = (name: ToolName, at: XY, more: Partial<Press> = {}) => drag(name, [at], more);
const key = (name: ToolName, which: string) =>
  toolOf(name).key?.(new KeyboardEvent("keydown", { key: which }), bench) ?? false;
const all = () => store.getState().motion.instructions;
const only = <K extends Instruction["kind"]>(kind: K) => {
  expect(all().map((each) => each.kind)).toEqual([kind]);
  return all()[0] as Extract<Instruction, { kind: K }>;
};

describe("every tool", () => {
  it("has its own name and key", () => {
    expect(new Set(TOOLS.map(({ label }) => label)).size).toBe(12);
    expect(TOOLS.map(({ shortcut }) => shortcut).join("")).toBe("VPCSGLRBXOMH");
  });

  it.each(TOOLS.map(({ name }) => name))("%s leaves nothing behind when it is cancelled", (name) => {
    const gesture = toolOf(name).down(press([50, 50]), bench);
    gesture?.move([press([120, 90])], bench);
    gesture?.cancel(bench);
    expect(all()).toEqual([]);
    expect(store.getState()).toMatchObject({ draft: null, canUndo: false });
    expect(stage.getState()).toMatchObject({ sketch: null, ghost: null, readout: null });
  });

  it.each(["circle", "lasso", "rectangle", "brush", "box", "rotate", "camera"] as const)(
    "%s makes one step of one drag, selected, and undo takes it back",
    (name) => {
      drag(name, [
        [100, 100],
        [180, 100],
        [180, 180],
        [120, 180],
      ]);
      expect(all()).toHaveLength(1);
      expect(store.getState().selection).toEqual([all()[0]?.id]);
      expect(said.at(-1)).toMatch(/ added$/);
      store.getState().undo();
      expect(all()).toEqual([]);
      expect(store.getState().canUndo).toBe(false);
    },
  );
});

describe("free path", () => {
  it("keeps the pace of a stroke in the frames of its points", () => {
    const points = Array.from({ length: 26 }, (_, k): XY => [40 + 8 * k, 100]);
    drag("path", points);
    const { points: control, curve } = only("path");
    expect(curve).toBe("catmull-rom");
    expect(control[0]).toMatchObject({ x: 40, y: 100, frame: 0 });
    // 26 moments 20 ms apart at 16 frames a second, and one more for the release.
    expect(control.at(-1)?.frame).toBeCloseTo(0.52 * 16, 1);
    expect(control.at(-1)?.x).toBeCloseTo(240, 0);
  });

  it("is placed point by point, ends with Enter, and takes points back", () => {
    click("path", [10, 10]);
    click("path", [100, 10]);
    click("path", [100, 100]);
    expect(store.getState().draft?.instructions).toHaveLength(1);
    expect(key("path", "Backspace")).toBe(true);
    click("path", [200, 100]);
    expect(key("path", "Enter")).toBe(true);
    expect(only("path").points.map(({ x, y }) => [x, y])).toEqual([
      [10, 10],
      [100, 10],
      [200, 100],
    ]);
    expect(only("path").points.every(({ frame }) => frame === undefined)).toBe(true);
    expect(key("path", "Enter")).toBe(false);
  });

  it("ends with a double click, and with a second click at the same place", () => {
    click("path", [10, 10]);
    click("path", [100, 10]);
    click("path", [100, 10], { clicks: 2 });
    expect(only("path").points).toHaveLength(2);
    store.getState().undo();
    click("path", [10, 10]);
    click("path", [60, 10]);
    click("path", [61, 11]);
    expect(only("path").points).toHaveLength(2);
  });

  it("makes nothing of one point, and finishes when another tool is taken", () => {
    click("path", [10, 10]);
    key("path", "Escape");
    expect(all()).toEqual([]);
    expect(said.at(-1)).toBe("A path needs two points");
    click("path", [10, 10]);
    click("path", [90, 10]);
    toolOf("path").leave?.(bench);
    expect(only("path").points).toHaveLength(2);
  });
});

describe("shapes", () => {
  it("circle: from the middle to the rim, larger in the end", () => {
    drag("circle", [
      [200, 200],
      [230, 240],
    ]);
    expect(only("circle")).toMatchObject({ center: [200, 200], radius: 50, radius_curve: 75, count: 8 });
  });

  it("circle: a click makes one that can be taken hold of", () => {
    click("circle", [200, 200]);
    expect(only("circle").radius).toBeCloseTo(0.12 * 480);
  });

  it("static points join the selected group until Shift is held", () => {
    click("static", [10, 10]);
    click("static", [20, 20]);
    click("static", [30, 30], { shift: true });
    expect(all().map((each) => (each.kind === "static" ? each.points : null))).toEqual([
      [
        [10, 10],
        [20, 20],
      ],
      [[30, 30]],
    ]);
  });

  it("pins the rest once", () => {
    click("pin", [10, 10]);
    click("pin", [60, 10]);
    expect(only("static").grid).toEqual({ spacing: 64 });
  });

  it("lasso: an outline with few corners, then its way by dragging inside", () => {
    const around = Array.from({ length: 60 }, (_, k): XY => {
      const angle = (k * Math.PI) / 30;
      return [200 + 60 * Math.cos(angle), 200 + 60 * Math.sin(angle)];
    });
    drag("lasso", around);
    const corners = only("region").polygon?.length ?? 0;
    expect(corners).toBeGreaterThan(8);
    expect(corners).toBeLessThan(30);
    drag("lasso", [
      [210, 210],
      [230, 214],
      [260, 220],
      [310, 230],
    ]);
    const { path, polygon } = only("region");
    expect(polygon).toHaveLength(corners);
    // The path leads the middle of the region, by as much as it was dragged.
    expect(path?.points[0]?.x).toBeCloseTo(200, 0);
    expect((path?.points.at(-1)?.x ?? 0) - (path?.points[0]?.x ?? 0)).toBeCloseTo(100, 1);
  });

  it("says so when a region is too small", () => {
    drag("rectangle", [
      [10, 10],
      [11, 11],
    ]);
    drag("lasso", [
      [10, 10],
      [11, 11],
      [12, 10],
    ]);
    drag("box", [
      [10, 10],
      [11, 11],
    ]);
    expect(all()).toEqual([]);
    expect(said).toHaveLength(3);
    expect(said.every((text) => text.startsWith("Too small"))).toBe(true);
  });

  it("brush: strokes add to the region, Alt takes away, and nothing left removes it", () => {
    const area = () => {
      const polygon = only("region").polygon ?? [];
      return Math.abs(
        polygon.reduce((sum, [x, y], k) => {
          const [nx, ny] = polygon[(k + 1) % polygon.length] as XY;
          return sum + (x * ny - nx * y) / 2;
        }, 0),
      );
    };
    drag("brush", [
      [100, 100],
      [200, 100],
    ]);
    const first = area();
    expect(first / (40 * 100 + Math.PI * 400)).toBeCloseTo(1, 1);
    drag("brush", [
      [200, 100],
      [300, 100],
    ]);
    expect((area() - first) / (40 * 100)).toBeCloseTo(1, 1);
    drag(
      "brush",
      [
        [280, 60],
        [280, 140],
      ],
      { alt: true },
    );
    expect(area()).toBeLessThan(first + 40 * 100 - 1000);
    drag(
      "brush",
      [
        [60, 100],
        [340, 100],
      ],
      { alt: true },
    );
    drag(
      "brush",
      [
        [60, 90],
        [340, 90],
      ],
      { alt: true },
    );
    drag(
      "brush",
      [
        [60, 110],
        [340, 110],
      ],
      { alt: true },
    );
    expect(all()).toEqual([]);
  });

  it("brush: goes on with a region of another tool only where it touches it", () => {
    drag("rectangle", [
      [100, 100],
      [160, 160],
    ]);
    drag("brush", [
      [300, 100],
      [340, 100],
    ]);
    expect(all().map(({ id }) => id)).toEqual(["region-1", "region-2"]);
    // What it painted itself goes on anywhere.
    drag("brush", [
      [300, 200],
      [340, 200],
    ]);
    expect(all()).toHaveLength(2);
    store.getState().select(["region-1"]);
    const before = all()[0];
    drag("brush", [
      [170, 130],
      [200, 130],
    ]);
    expect(all()).toHaveLength(2);
    expect(all()[0]).not.toEqual(before);
  });

  it("box: drawn, then dragged to its end", () => {
    drag("box", [
      [100, 100],
      [160, 140],
    ]);
    drag("box", [
      [110, 110],
      [150, 130],
      [210, 160],
    ]);
    expect(only("box")).toMatchObject({
      source: { x: 100, y: 100, width: 60, height: 40 },
      target: { x: 200, y: 150, width: 60, height: 40 },
    });
  });

  it("camera: a drag aims it, a second drag aims the same one on", () => {
    drag("camera", [
      [416, 240],
      [446, 240],
    ]);
    const first = only("camera").pan as number;
    expect(first).toBeGreaterThan(1);
    drag("camera", [
      [416, 240],
      [446, 240],
    ]);
    expect(only("camera").pan as number).toBeGreaterThan(first * 1.9);
  });
});

describe("select", () => {
  beforeEach(() => {
    for (const y of [50, 150, 250])
      store.getState().add({
        kind: "path",
        curve: "polyline",
        points: [
          [50, y],
          [200, y],
        ],
      });
    store.getState().select([]);
  });

  it("picks the line under the pointer, Shift adds, nothing lets go", () => {
    click("select", [100, 52]);
    expect(store.getState().selection).toEqual(["path-1"]);
    click("select", [100, 151], { shift: true });
    expect(store.getState().selection).toEqual(["path-1", "path-2"]);
    click("select", [400, 400]);
    expect(store.getState().selection).toEqual([]);
  });

  it("moves all that is selected but what is locked", () => {
    store.getState().select(["path-1", "path-2"]);
    store.getState().setLocked(["path-2"], true);
    drag("select", [
      [100, 50],
      [110, 60],
    ]);
    expect(all().map((each) => each.kind === "path" && each.points[0]?.y)).toEqual([60, 150, 250]);
    expect(store.getState().undoLabel).toBe("Move instructions");
  });

  it("does not pick what is locked or hidden", () => {
    store.getState().setLocked(["path-1"], true);
    store.getState().setHidden(["path-2"], true);
    click("select", [100, 50]);
    expect(store.getState().selection).toEqual([]);
    click("select", [100, 150]);
    expect(store.getState().selection).toEqual([]);
  });

  it("takes in what a frame touches, or points of the one selected path", () => {
    drag("select", [
      [20, 20],
      [80, 170],
    ]);
    expect(store.getState().selection).toEqual(["path-1", "path-2"]);
    store.getState().select(["path-3"]);
    drag("select", [
      [180, 220],
      [230, 280],
    ]);
    expect(store.getState()).toMatchObject({ selection: ["path-3"], points: [1] });
  });

  it("inserts a point where a path is double clicked", () => {
    click("select", [120, 50], { clicks: 2 });
    const first = all()[0];
    expect(first?.kind === "path" && first.points.map(({ x }) => x)).toEqual([50, 120, 200]);
    expect(store.getState().points).toEqual([1]);
  });
});

describe("a handle", () => {
  it("moves all picked points together, and is one step", () => {
    const id = store.getState().add({
      kind: "path",
      points: [
        [0, 0],
        [50, 0],
        [100, 0],
      ],
    });
    store.getState().selectPoints([0, 1]);
    const path = all()[0] as Instruction;
    const handle = handlesIn(path, bench).find((each) => each.key === "point-1");
    const gesture = grip(path, handle as never, press([50, 0]), bench);
    gesture.move([press([55, 10])], bench);
    gesture.move([press([60, 20])], bench);
    gesture.up(press([60, 20]), bench);
    expect(only("path").points.map(({ x, y }) => [x, y])).toEqual([
      [10, 20],
      [60, 20],
      [100, 0],
    ]);
    store.getState().undo();
    expect(only("path").points[0]).toMatchObject({ x: 0, y: 0 });
    expect(all()[0]?.id).toBe(id);
  });

  it("is picked by a click that does not move it", () => {
    store.getState().add({
      kind: "path",
      points: [
        [0, 0],
        [50, 0],
      ],
    });
    const path = all()[0] as Instruction;
    const handle = handlesIn(path, bench)[1];
    const gesture = grip(path, handle as never, press([50, 0]), bench);
    gesture.move([press([51, 1])], bench);
    gesture.up(press([51, 1]), bench);
    expect(store.getState().points).toEqual([1]);
    expect(only("path").points[1]).toMatchObject({ x: 50, y: 0 });
  });

  it("is nudged by the keyboard, says where it is, and quick nudges are one step", () => {
    const id = store.getState().add({
      kind: "path",
      points: [
        [0, 0],
        [50, 0],
      ],
    });
    nudge(id, "point-1", [1, 0], false, bench);
    nudge(id, "point-1", [0, 10], false, bench);
    expect(only("path").points[1]).toMatchObject({ x: 51, y: 10 });
    expect(said.at(-1)).toBe("Path 1 point 2 at 51, 10");
    store.getState().undo();
    expect(only("path").points[1]).toMatchObject({ x: 50, y: 0 });
  });
});
