import { beforeEach, describe, expect, it } from "vitest";
import { type PointerLike, Pointers } from "../../src/canvas/pointers";
import type { XY } from "../../src/motion/document";

let heard: unknown[][];
let hand: boolean;
let pointers: Pointers<PointerLike>;

beforeEach(() => {
  heard = [];
  hand = false;
  const say =
    (name: string) =>
    (...rest: unknown[]) =>
      heard.push([name, ...rest.filter((each) => typeof each === "number" || Array.isArray(each))]);
  pointers = new Pointers<PointerLike>(
    {
      press: say("press"),
      drag: say("drag"),
      release: say("release"),
      cancel: say("cancel"),
      pan: say("pan"),
      pinch: say("pinch"),
      hover: say("hover"),
    },
    () => hand,
  );
});

const event = (pointerType: string, pointerId = 1, button = 0, buttons = 1): PointerLike => ({
  pointerType,
  pointerId,
  button,
  buttons,
});
const names = () => heard.map(([name]) => name);
const finger = (id: number) => event("touch", id);

describe("pointers", () => {
  it("draws with one finger", () => {
    expect(pointers.pressed(finger(1), [10, 10])).toBe(true);
    pointers.moved(finger(1), [20, 10]);
    pointers.released(finger(1), [30, 10]);
    expect(heard).toEqual([
      ["press", [10, 10]],
      ["drag", [20, 10]],
      ["release", [30, 10]],
    ]);
    expect(pointers.busy).toBe(false);
  });

  it("takes the stroke back and zooms when a second finger comes, about the middle of both", () => {
    pointers.pressed(finger(1), [0, 0]);
    pointers.pressed(finger(2), [100, 0]);
    expect(names()).toEqual(["press", "cancel"]);
    pointers.moved(finger(2), [200, 0]);
    expect(heard[2]).toEqual(["pinch", 2, [100, 0], [50, 0]]);
  });

  it("draws nothing with the finger left over from a pinch until all are lifted", () => {
    pointers.pressed(finger(1), [0, 0]);
    pointers.pressed(finger(2), [100, 0]);
    pointers.released(finger(2), [100, 0]);
    pointers.moved(finger(1), [50, 50]);
    pointers.released(finger(1), [50, 50]);
    expect(names()).toEqual(["press", "cancel"]);
    pointers.pressed(finger(3), [5, 5]);
    expect(names()).toEqual(["press", "cancel", "press"]);
  });

  it("lets the pen draw while the hand rests on the screen", () => {
    pointers.pressed(finger(1), [0, 0]);
    pointers.pressed(event("pen", 9), [50, 50]);
    expect(pointers.pressed(finger(2), [80, 80])).toBe(false);
    pointers.moved(finger(1), [3, 3]);
    pointers.moved(event("pen", 9), [60, 60]);
    pointers.released(finger(1), [3, 3]);
    pointers.released(event("pen", 9), [60, 60]);
    expect(names()).toEqual(["press", "cancel", "press", "drag", "release"]);
  });

  it("moves the view with the middle button and with the hand", () => {
    pointers.pressed(event("mouse", 1, 1, 4), [0, 0]);
    pointers.moved(event("mouse", 1, -1, 4), [10, 5]);
    pointers.moved(event("mouse", 1, -1, 4), [10, 9]);
    pointers.released(event("mouse", 1, 1, 0), [10, 9]);
    hand = true;
    pointers.pressed(event("mouse"), [0, 0]);
    pointers.moved(event("mouse"), [-4, 0]);
    expect(heard).toEqual([
      ["pan", [10, 5]],
      ["pan", [0, 4]],
      ["pan", [-4, 0]],
    ]);
  });

  it("leaves the right button to others", () => {
    expect(pointers.pressed(event("mouse", 1, 2, 2), [0, 0])).toBe(false);
    expect(heard).toEqual([]);
    pointers.moved(event("mouse", 1, -1, 2), [1, 1]);
    expect(names()).toEqual(["hover"]);
  });

  it("finishes a stroke whose release was not heard", () => {
    pointers.pressed(event("mouse"), [0, 0]);
    pointers.moved(event("mouse", 1, -1, 0), [8, 8]);
    expect(heard[1]).toEqual(["release", [8, 8]]);
    expect(pointers.busy).toBe(false);
  });

  it("takes everything back on Escape, once", () => {
    pointers.pressed(event("mouse"), [0, 0]);
    pointers.cancelled();
    pointers.moved(event("mouse"), [8, 8]);
    pointers.released(event("mouse"), [8, 8]);
    expect(names()).toEqual(["press", "cancel"]);
    pointers.pressed(event("mouse"), [1, 1] as XY);
    expect(names()).toEqual(["press", "cancel", "press"]);
  });

  it("takes back what the system takes the pointer from", () => {
    pointers.pressed(finger(1), [0, 0]);
    pointers.cancelled(finger(1));
    expect(names()).toEqual(["press", "cancel"]);
    expect(pointers.busy).toBe(false);
  });
});
