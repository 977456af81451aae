import { cleanup, fireEvent, render, screen } from "@testing-library/react";
import { useState } from "react";
import { afterEach, expect, it } from "vitest";
import type { Easing } from "../../src/motion/document";
import { EasingEditor } from "../../src/timeline/EasingEditor";

afterEach(cleanup);

function show(first: Easing) {
  const seen: Easing[] = [];
  function Holder() {
    const [value, setValue] = useState<Easing>(first);
    return (
      <EasingEditor
        value={value}
        onChange={(next) => {
          seen.push(next);
          setValue(next);
        }}
      />
    );
  }
  render(<Holder />);
  return seen;
}
const handle = (name: string) => screen.getByRole("slider", { name });

it("moves a handle with the arrow keys", () => {
  const seen = show("ease-in");
  fireEvent.keyDown(handle("First handle"), { key: "ArrowRight" });
  fireEvent.keyDown(handle("First handle"), { key: "ArrowUp", shiftKey: true });
  expect(seen).toEqual([
    [0.43, 0, 1, 1],
    [0.43, 0.1, 1, 1],
  ]);
  expect(handle("First handle").getAttribute("aria-valuetext")).toBe("time 0.43, way 0.1");
});

it("keeps time within 0 to 1 and lets the way overshoot", () => {
  const seen = show([0.95, 0, 1, 0.95]);
  fireEvent.keyDown(handle("First handle"), { key: "ArrowRight", shiftKey: true });
  fireEvent.keyDown(handle("Second handle"), { key: "ArrowUp", shiftKey: true });
  expect(seen.at(-1)).toEqual([1, 0, 1, 1.05]);
});

it("leaves other keys to the editor", () => {
  show("linear");
  const event = new KeyboardEvent("keydown", { key: "z", ctrlKey: true, bubbles: true, cancelable: true });
  handle("First handle").dispatchEvent(event);
  expect(event.defaultPrevented).toBe(false);
});

it("has presets, and no handles for a jump", () => {
  const seen = show("linear");
  fireEvent.click(screen.getByRole("button", { name: "Ease in and out" }));
  fireEvent.click(screen.getByRole("button", { name: "Hold, then jump" }));
  expect(seen).toEqual(["ease-in-out", "hold"]);
  expect(screen.queryAllByRole("slider")).toHaveLength(0);
});

it("takes numbers, and gives a curve its name back", () => {
  const seen = show([0.42, 0, 0.5, 1]);
  const x2 = screen.getByRole("spinbutton", { name: "x2" });
  fireEvent.change(x2, { target: { value: "0,58" } });
  fireEvent.keyDown(x2, { key: "Enter" });
  expect(seen).toEqual(["ease-in-out"]);
});
