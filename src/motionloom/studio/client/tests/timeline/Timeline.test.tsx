import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Circle, FreePath, Keyframe } from "../../src/motion/document";
import { newMotion } from "../../src/motion/read";
import { writeMotion } from "../../src/motion/write";
import { editor } from "../../src/store/react";
import { speedPlace } from "../../src/timeline/Bar";
import { Timeline } from "../../src/timeline/Timeline";

// A whole panel is laid out in jsdom, on machines that do much else at once.
vi.setConfig({ testTimeout: 30_000 });
const state = () => editor.getState();
// By label: asking for roles computes the accessibility of the whole page each time.
const slider = (name: string) => screen.getByLabelText(name, { selector: "[role=slider]" });
const button = (name: string) => screen.getByLabelText(name, { selector: "button" });
const press = (element: HTMLElement, key: string, more: object = {}) =>
  fireEvent.keyDown(element, { key, ...more });
const path = () => state().motion.instructions[0] as FreePath;

beforeEach(() => {
  state().open({
    ...writeMotion(newMotion(640, 360)),
    instructions: [
      {
        id: "path-1",
        kind: "path",
        curve: "polyline",
        points: [
          [0, 0],
          [100, 0],
          [200, 0],
        ],
      },
      {
        id: "circle-1",
        kind: "circle",
        center: [50, 50],
        radius: 10,
        radius_curve: [
          [0, 10],
          [40, 90],
        ],
      },
    ],
  });
  state().setPlayhead(0);
  // jsdom lays nothing out: a window of a plain size.
  Object.defineProperty(HTMLElement.prototype, "clientWidth", { configurable: true, value: 956 });
  Object.defineProperty(HTMLElement.prototype, "clientHeight", { configurable: true, value: 240 });
});
afterEach(() => {
  cleanup();
  Reflect.deleteProperty(HTMLElement.prototype, "clientWidth");
  Reflect.deleteProperty(HTMLElement.prototype, "clientHeight");
});

describe("the playhead", () => {
  it("is moved by keys and says where it is", () => {
    render(<Timeline />);
    press(slider("Frame"), "ArrowRight");
    press(slider("Frame"), "ArrowRight", { shiftKey: true });
    expect(state().playhead).toBe(11);
    expect(slider("Frame").getAttribute("aria-valuetext")).toBe("frame 11 of 48, 0.69 s");
    press(slider("Frame"), "End");
    press(slider("Frame"), "ArrowRight");
    expect(state().playhead).toBe(48);
  });

  it("steps by buttons and by the editor's keys", () => {
    render(<Timeline />);
    fireEvent.click(button("One frame forward"));
    expect(state().playhead).toBe(1);
    fireEvent.keyDown(document.body, { key: "." });
    fireEvent.keyDown(document.body, { key: "." });
    fireEvent.keyDown(document.body, { key: "," });
    expect(state().playhead).toBe(2);
    fireEvent.keyDown(document.body, { key: " " });
    expect(state().playing).toBe(true);
    fireEvent.click(button("Pause"));
    expect(state().playing).toBe(false);
  });
});

describe("the ends of a bar", () => {
  it("are moved by keys, as one step of the history", () => {
    render(<Timeline />);
    const start = slider("Path 1 start");
    press(start, "ArrowRight");
    press(start, "ArrowRight");
    press(start, "PageUp");
    expect(path().start).toBe(12);
    expect(start.getAttribute("aria-valuenow")).toBe("12");
    press(start, "ArrowLeft", { shiftKey: true });
    expect(path().start).toBe(11.9);
    act(() => state().undo());
    expect(path().start).toBeUndefined();
    expect(state().undoLabel).toBeNull();
  });

  it("stay within each other", () => {
    render(<Timeline />);
    press(slider("Path 1 end"), "PageDown");
    press(slider("Path 1 start"), "End");
    expect([path().start, path().end]).toEqual([38, 38]);
  });

  it("of a locked instruction do not move", () => {
    state().setLocked(["path-1"], true);
    render(<Timeline />);
    press(slider("Path 1 start"), "ArrowRight");
    expect(path().start).toBeUndefined();
    expect(slider("Path 1 start").getAttribute("aria-disabled")).toBe("true");
  });

  it("switch between staying and vanishing outside of them", () => {
    state().setTiming("path-1", { start: 10 });
    render(<Timeline />);
    fireEvent.click(button("Vanish before its start: Path 1"));
    expect(path().before).toBe("vanish");
    fireEvent.click(button("Vanish before its start: Path 1"));
    expect(path().before).toBe("hold");
  });
});

describe("moments", () => {
  it("get a time of their own by keys, and lose it by Delete", () => {
    render(<Timeline />);
    const point = slider("Path 1 point 2 time");
    expect(point.getAttribute("aria-valuetext")).toBe("frame 24, on the way");
    press(point, "ArrowRight");
    expect(path().points[1]?.frame).toBe(25);
    press(slider("Path 1 point 2 time"), "Delete");
    expect(path().points[1]?.frame).toBeUndefined();
  });

  it("of a curve are keyframes, added at the playhead and removed", () => {
    render(<Timeline />);
    const keys = () => (state().motion.instructions[1] as Circle).radius_curve;
    fireEvent.click(button("Open lanes of Circle 1"));
    act(() => state().setPlayhead(20));
    expect(screen.getByText("50 px")).toBeTruthy();
    fireEvent.click(button("Add radius keyframe of Circle 1 at the playhead"));
    expect(keys()).toHaveLength(3);
    const [, inLane] = screen.getAllByLabelText("Circle 1 radius keyframe 2");
    press(inLane as HTMLElement, "ArrowLeft");
    expect(keys()).toMatchObject([{ frame: 0 }, { frame: 19, value: 50 }, { frame: 40 }]);
    press(inLane as HTMLElement, "Delete");
    expect(keys()).toHaveLength(2);
  });
});

describe("rows", () => {
  const names = () => screen.getAllByLabelText(/^Row of/).map((row) => row.textContent);

  it("lie from front to back and change places with Alt and the arrows", () => {
    render(<Timeline />);
    expect(names()).toEqual(["Circle 1", "Path 1"]);
    press(button("Row of Path 1"), "ArrowUp", { altKey: true });
    expect(names()).toEqual(["Path 1", "Circle 1"]);
    expect(state().motion.instructions.map((each) => each.id)).toEqual(["circle-1", "path-1"]);
  });

  it("select what the canvas selects, and the other way round", () => {
    render(<Timeline />);
    press(button("Row of Circle 1"), "Enter");
    expect(state().selection).toEqual(["circle-1"]);
    press(button("Row of Circle 1"), "ArrowDown");
    expect(state().selection).toEqual(["path-1"]);
    expect(button("Row of Path 1").getAttribute("aria-pressed")).toBe("true");
  });

  it("hide and lock", () => {
    render(<Timeline />);
    fireEvent.click(button("Path 1: hidden"));
    fireEvent.click(button("Path 1: locked"));
    expect(path().hidden).toBe(true);
    expect(state().locked.has("path-1")).toBe(true);
  });

  it("of hundreds are made only where they are seen", () => {
    const one = { kind: "path" as const, points: [[0, 0]] };
    state().addAll(
      Array.from({ length: 300 }, () => one),
      "Import",
    );
    const { container } = render(<Timeline />);
    expect(container.querySelectorAll(".tl-row").length).toBeLessThan(40);
    expect((container.querySelector(".tl-content") as HTMLElement).style.height).toBe(`${36 + 302 * 28}px`);
  });
});

describe("the length", () => {
  const type = (name: string, text: string) => {
    const field = screen.getByLabelText(name, { selector: "input" });
    fireEvent.change(field, { target: { value: text } });
    press(field, "Enter");
  };

  it("stretches the movement, or keeps its times", () => {
    render(<Timeline />);
    const last = () =>
      ((state().motion.instructions[1] as Circle).radius_curve as readonly Keyframe[])[1]?.frame;
    type("Frames", "97");
    expect(state().motion.num_frames).toBe(97);
    expect(last()).toBe(80);
    fireEvent.click(screen.getByText("Keep times"));
    type("Frames", "49");
    expect(last()).toBe(80);
    type("Frames per second", "24");
    expect(state().motion.fps).toBe(24);
  });
});

describe("the number of a bar's speed", () => {
  it("stands beside it, else on its end, and never under diamonds", () => {
    expect(speedPlace(0, 400, 700, [390])).toBe("beside");
    expect(speedPlace(0, 650, 700, [300])).toBe("inside");
    expect(speedPlace(0, 650, 700, [600])).toBeNull();
    expect(speedPlace(600, 650, 700, [])).toBeNull();
  });
});
