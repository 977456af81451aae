import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Camera, FreePath, Instruction, Keyframe, Region } from "../../src/motion/document";
import { newMotion } from "../../src/motion/read";
import { writeMotion } from "../../src/motion/write";
import { Inspector } from "../../src/panels/Inspector";
import { editor } from "../../src/store/react";

// A whole panel is laid out in jsdom, on machines that do much else at once.
vi.setConfig({ testTimeout: 30_000 });
const state = () => editor.getState();
const find = <Kind extends Instruction>(id: string) =>
  state().motion.instructions.find((each) => each.id === id) as Kind;
const field = (label: string) => screen.getByLabelText(label, { selector: "input, select, textarea" });
const button = (label: string) => screen.getByLabelText(label, { selector: "button" });
function type(label: string, text: string): void {
  fireEvent.change(field(label), { target: { value: text } });
  fireEvent.keyDown(field(label), { key: "Enter" });
}
function open(title: string): void {
  const fold = screen.getByText(title).closest("details") as HTMLDetailsElement;
  act(() => {
    fold.open = true;
    fold.dispatchEvent(new Event("toggle"));
  });
}

beforeEach(() => {
  const base = writeMotion(newMotion(640, 360));
  const square = [
    [0, 0],
    [90, 0],
    [90, 90],
    [0, 90],
  ];
  state().open({
    ...base,
    instructions: [
      {
        id: "path-1",
        kind: "path",
        points: [
          [0, 0],
          [50, 0],
          [100, 0],
        ],
      },
      { id: "region-1", kind: "region", polygon: square, rotation: 90 },
      { id: "camera-1", kind: "camera", zoom: 2 },
    ],
  });
});
afterEach(cleanup);

describe("one instruction", () => {
  it("has its points as numbers, with times of their own or on the way", () => {
    state().select(["path-1"]);
    render(<Inspector />);
    open("Points");
    type("Point 2 x", "60.5");
    type("Point 2 frame", "10");
    expect(find<FreePath>("path-1").points[1]).toEqual({ x: 60.5, y: 0, frame: 10 });
    type("Point 2 frame", "");
    expect(find<FreePath>("path-1").points[1]).toEqual({ x: 60.5, y: 0 });
    expect((field("Point 2 frame") as HTMLInputElement).placeholder).toBe("29");
    fireEvent.click(button("Remove point 3"));
    expect(find<FreePath>("path-1").points).toHaveLength(2);
  });

  it("turns a value into keyframes and back", () => {
    state().select(["region-1"]);
    render(<Inspector />);
    fireEvent.click(button("Keyframes for rotation"));
    act(() => state().setPlayhead(24));
    fireEvent.click(button("Add rotation keyframe"));
    type("Rotation keyframe 2 value", "10");
    const keys = () => find<Region>("region-1").rotation as Keyframe[];
    expect(keys().map(({ frame, value }) => [frame, value])).toEqual([
      [0, 0],
      [24, 10],
      [48, 90],
    ]);
    type("Rotation keyframe 2 frame", "70");
    expect(keys()[1]?.frame).toBe(47);
    fireEvent.click(button("Rotation keyframe 1 easing: Linear"));
    fireEvent.click(button("Ease in"));
    expect(keys()[0]?.easing).toBe("ease-in");
    fireEvent.click(button("One value for rotation"));
    expect(find<Region>("region-1").rotation).toBe(90);
  });

  it("keeps field of view and focal length apart, as the format wants it", () => {
    state().select(["camera-1"]);
    render(<Inspector />);
    open("Lens and scene");
    type("Field of view", "65");
    type("Focal length", "500");
    expect(find<Camera>("camera-1")).toMatchObject({ focal: 500 });
    expect("fov" in find<Camera>("camera-1")).toBe(false);
    expect(state().notice).toBeNull();
  });

  it("is steps of the history, repeats of a key one of them", () => {
    state().select(["region-1"]);
    render(<Inspector />);
    fireEvent.keyDown(field("Rotation"), { key: "ArrowUp" });
    fireEvent.keyDown(field("Rotation"), { key: "ArrowUp" });
    expect(find<Region>("region-1").rotation).toBe(92);
    act(() => state().undo());
    expect(find<Region>("region-1").rotation).toBe(90);
  });

  it("begins, ends, and vanishes when told", () => {
    state().select(["path-1"]);
    render(<Inspector />);
    type("Start", "8");
    fireEvent.change(field("After the end"), { target: { value: "vanish" } });
    expect(find("path-1")).toMatchObject({ start: 8, after: "vanish" });
    type("Start", "");
    expect(find("path-1").start).toBeUndefined();
  });
});

describe("several", () => {
  it("show what they share and change together", () => {
    state().setTiming("path-1", { start: 5 });
    state().select(["path-1", "region-1"]);
    render(<Inspector />);
    expect(screen.getByText("2 selected")).toBeTruthy();
    expect((field("Start") as HTMLInputElement).placeholder).toBe("mixed");
    type("End", "30");
    expect([find("path-1").end, find("region-1").end]).toEqual([30, 30]);
    type("Pan selected x", "2");
    expect(state().motion.pan).toEqual([{ velocity: [2, 0], instructions: ["path-1", "region-1"] }]);
  });
});

describe("nothing selected", () => {
  it("is about the motion, and drifts of everything", () => {
    render(<Inspector />);
    type("Length", "25");
    expect(state().motion.num_frames).toBe(25);
    fireEvent.click(field("Occlusion"));
    expect(state().motion.occlusion).toBe(false);
    type("Pan all y", "-1.5");
    expect(state().motion.pan).toEqual([{ velocity: [0, -1.5] }]);
    fireEvent.click(button("Remove pan of Everything"));
    expect(state().motion.pan).toEqual([]);
  });
});
