import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useRef } from "react";
import { afterEach, beforeEach, expect, it } from "vitest";
import { stage } from "../../src/canvas/stageStore";
import { useSpace } from "../../src/canvas/useKeys";
import { editor } from "../../src/store/react";

function Page() {
  const surface = useRef<HTMLDivElement>(null);
  useSpace(surface);
  return (
    <>
      <button type="button">Select</button>
      <div ref={surface} data-testid="surface" />
    </>
  );
}

let time = 0;
const key = (type: "keydown" | "keyup", target: Element = document.body) => {
  const event = new KeyboardEvent(type, { key: " ", bubbles: true, cancelable: true });
  Object.defineProperty(event, "timeStamp", { value: time });
  target.dispatchEvent(event);
  return event;
};
const playing = () => editor.getState().playing;

beforeEach(() => {
  render(<Page />);
  fireEvent.pointerEnter(screen.getByTestId("surface"));
});
afterEach(() => {
  cleanup();
  editor.getState().setPlaying(false);
  stage.setState({ dragging: false, grabbing: false });
});

it("plays when Space is tapped, and is the hand while it is held", () => {
  key("keydown");
  expect(stage.getState().grabbing).toBe(true);
  time += 100;
  key("keyup");
  expect([stage.getState().grabbing, playing()]).toEqual([false, true]);
  key("keydown");
  time += 800;
  key("keyup");
  expect([stage.getState().grabbing, playing()]).toEqual([false, true]);
});

it("does not play after something was dragged meanwhile", () => {
  key("keydown");
  editor.getState().setView({ scale: 2, x: 10, y: 10 });
  time += 100;
  key("keyup");
  expect(playing()).toBe(false);
});

it("is neither in the middle of a stroke", () => {
  stage.setState({ dragging: true });
  expect(key("keydown").defaultPrevented).toBe(true);
  key("keyup");
  expect([stage.getState().grabbing, playing()]).toEqual([false, false]);
});

it("leaves a button its Space that the keyboard brought into focus, not one that was clicked", () => {
  const button = screen.getByText("Select");
  fireEvent.keyDown(document.body, { key: "Tab" });
  button.focus();
  expect(key("keydown", button).defaultPrevented).toBe(false);
  button.blur();
  fireEvent.pointerDown(button);
  button.focus();
  expect(key("keydown", button).defaultPrevented).toBe(true);
});
