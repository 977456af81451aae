import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newMotion } from "../../src/motion/read";
import { writeMotion } from "../../src/motion/write";
import { InstructionList } from "../../src/panels/InstructionList";
import { editor } from "../../src/store/react";
import { received } from "../../src/store/received";

// A whole panel is laid out in jsdom, on machines that do much else at once.
vi.setConfig({ testTimeout: 30_000 });
const state = () => editor.getState();
const option = (name: string) => screen.getByLabelText(name, { selector: "[role=option]" });
const button = (name: string | RegExp) => screen.getByLabelText(name, { selector: "button" });
const order = () =>
  [...document.querySelectorAll("[role=option]")].map((each) => each.getAttribute("aria-label"));
const press = (key: string, more: object = {}) =>
  fireEvent.keyDown(document.activeElement as Element, { key, ...more });

beforeEach(() => {
  vi.stubGlobal("requestAnimationFrame", (call: () => void) => call());
  const path = (id: string, name = "") => ({ id, kind: "path", name, points: [[0, 0]] });
  state().open({
    ...writeMotion(newMotion(640, 360)),
    instructions: [path("path-1"), path("path-2", "Dog"), path("path-3", "Door"), path("path-4", "Cat")],
  });
});
afterEach(() => {
  cleanup();
  received.setState({ received: null });
  vi.unstubAllGlobals();
});

describe("the keyboard", () => {
  it("goes through the list from front to back", () => {
    render(<InstructionList />);
    expect(order()).toEqual(["Cat", "Door", "Dog", "Path 1"]);
    expect(option("Cat").tabIndex).toBe(0);
    expect(option("Dog").tabIndex).toBe(-1);
    option("Cat").focus();
    press("ArrowDown");
    expect(state().selection).toEqual(["path-3"]);
    expect(document.activeElement).toBe(option("Door"));
    press("End");
    expect(state().selection).toEqual(["path-1"]);
    press("ArrowDown");
    expect(document.activeElement).toBe(option("Path 1"));
  });

  it("reaches the end of a long list, of which only what is in sight is there", () => {
    const paths = Array.from({ length: 200 }, (_, k) => ({
      id: `path-${k + 1}`,
      kind: "path",
      points: [[0, 0]],
    }));
    state().open({ ...writeMotion(newMotion(640, 360)), instructions: paths });
    render(<InstructionList />);
    expect(order().length).toBeLessThan(80);
    option("Path 200").focus();
    press("End");
    fireEvent.scroll(document.querySelector(".ilist-body") as Element);
    expect(document.activeElement).toBe(option("Path 1"));
    expect(option("Path 1").getAttribute("aria-posinset")).toBe("200");
    expect(option("Path 1").getAttribute("aria-setsize")).toBe("200");
    press("Home");
    fireEvent.scroll(document.querySelector(".ilist-body") as Element);
    expect(document.activeElement).toBe(option("Path 200"));
  });

  it("selects ranges with Shift and toggles with Ctrl", () => {
    render(<InstructionList />);
    option("Cat").focus();
    press("ArrowDown");
    press("ArrowDown", { shiftKey: true });
    press("ArrowDown", { shiftKey: true });
    expect([...state().selection].sort()).toEqual(["path-1", "path-2", "path-3"]);
    press("ArrowUp", { shiftKey: true });
    expect([...state().selection].sort()).toEqual(["path-2", "path-3"]);
    press("Home", { ctrlKey: true });
    press(" ", { ctrlKey: true });
    expect([...state().selection].sort()).toEqual(["path-2", "path-3", "path-4"]);
  });

  it("finds names by their first letters", () => {
    render(<InstructionList />);
    option("Cat").focus();
    press("d");
    expect(document.activeElement).toBe(option("Door"));
    press("o");
    press("g");
    expect(document.activeElement).toBe(option("Dog"));
  });

  it("renames with F2, and Escape leaves the name", () => {
    render(<InstructionList />);
    option("Dog").focus();
    press("F2");
    const input = screen.getByLabelText("Name of Dog");
    fireEvent.change(input, { target: { value: "Wolf" } });
    fireEvent.keyDown(input, { key: "Enter" });
    expect(order()).toContain("Wolf");
    expect(document.activeElement).toBe(option("Wolf"));
    press("F2");
    fireEvent.change(screen.getByLabelText("Name of Wolf"), { target: { value: "Fox" } });
    fireEvent.keyDown(screen.getByLabelText("Name of Wolf"), { key: "Escape" });
    expect(order()).toContain("Wolf");
    expect(state().undoLabel).toMatch(/Rename/);
  });

  it("deletes, and stays where it was", () => {
    render(<InstructionList />);
    option("Door").focus();
    act(() => state().select(["path-3"]));
    press("Delete");
    expect(order()).toEqual(["Cat", "Dog", "Path 1"]);
    expect(document.activeElement).toBe(option("Dog"));
  });

  it("changes the order with Alt", () => {
    render(<InstructionList />);
    option("Dog").focus();
    press("ArrowUp", { altKey: true });
    expect(order()).toEqual(["Cat", "Dog", "Door", "Path 1"]);
    press("ArrowDown", { altKey: true });
    press("ArrowDown", { altKey: true });
    expect(order()).toEqual(["Cat", "Door", "Path 1", "Dog"]);
    expect(state().motion.instructions[0]?.id).toBe("path-2");
  });
});

it("hides and locks what is selected together", () => {
  state().select(["path-2", "path-3"]);
  render(<InstructionList />);
  fireEvent.click(button("Hide Dog"));
  expect(state().motion.instructions.map((each) => each.hidden)).toEqual([false, true, true, false]);
  fireEvent.click(button("Lock Cat"));
  expect([...state().locked]).toEqual(["path-4"]);
});

it("shows what the model will not do well with, and leads there", () => {
  received.setState({
    received: {
      flags: [
        {
          kind: "leaves_frame",
          instruction: "path-2",
          message: "It leaves the picture.",
          frame: 12,
          num_tracks: 1,
        },
      ],
    } as never,
  });
  render(<InstructionList />);
  expect(option("Dog").getAttribute("aria-description")).toContain("It leaves the picture.");
  fireEvent.click(button("Warning about Dog: It leaves the picture."));
  expect(state().selection).toEqual(["path-2"]);
  expect(state().playhead).toBe(12);
});

it("teaches while there is nothing", () => {
  state().open(writeMotion(newMotion(640, 360)));
  render(<InstructionList />);
  expect(screen.getByText("Nothing moves yet")).toBeTruthy();
  expect(screen.getByText("Free path")).toBeTruthy();
});
