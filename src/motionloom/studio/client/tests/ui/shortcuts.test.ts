import { afterEach, expect, test, vi } from "vitest";
import { keyText, listShortcuts, matches, registerShortcuts } from "../../src/ui/shortcuts";

const key = (init: KeyboardEventInit) =>
  new KeyboardEvent("keydown", { bubbles: true, cancelable: true, ...init });
let ends: (() => void)[] = [];
const register = (...args: Parameters<typeof registerShortcuts>) => ends.push(registerShortcuts(...args));
afterEach(() => {
  for (const end of ends) end();
  ends = [];
  document.body.replaceChildren();
});

test("letters mind Shift, signs leave it to the keyboard", () => {
  expect(matches("v", key({ key: "v" }))).toBe(true);
  expect(matches("v", key({ key: "V", shiftKey: true }))).toBe(false);
  expect(matches("Shift+P", key({ key: "P", shiftKey: true }))).toBe(true);
  expect(matches("?", key({ key: "?", shiftKey: true }))).toBe(true);
  expect(matches("+", key({ key: "+", shiftKey: true }))).toBe(true);
  expect(matches("Mod+Z", key({ key: "z", metaKey: true }))).toBe(true);
  expect(matches("Mod+Z", key({ key: "Z", ctrlKey: true, shiftKey: true }))).toBe(false);
  expect(matches("Shift+ArrowLeft", key({ key: "ArrowLeft" }))).toBe(false);
});

test("on a keyboard without Latin letters the place counts", () => {
  expect(matches("Mod+Z", key({ key: "я", code: "KeyZ", ctrlKey: true }))).toBe(true);
});

test("not while typing, unless it is meant to; not what the focused button needs", () => {
  const letter = vi.fn();
  const space = vi.fn();
  const submit = vi.fn();
  register([
    { keys: "v", label: "Select", run: letter },
    { keys: "Space", label: "Play", run: space },
    { keys: "Mod+Enter", label: "Generate", run: submit, inFields: true },
  ]);
  document.body.innerHTML = '<input id="text"><input id="box" type="checkbox"><button id="button"></button>';
  const at = (id: string, init: KeyboardEventInit) => document.getElementById(id)?.dispatchEvent(key(init));
  at("text", { key: "v" });
  at("text", { key: " " });
  expect(letter).not.toHaveBeenCalled();
  at("text", { key: "Enter", ctrlKey: true });
  expect(submit).toHaveBeenCalledTimes(1);
  at("box", { key: "v" });
  expect(letter).toHaveBeenCalledTimes(1);
  at("button", { key: " " });
  expect(space).not.toHaveBeenCalled();
  document.body.dispatchEvent(key({ key: " " }));
  expect(space).toHaveBeenCalledTimes(1);
});

test("the last registered goes first and lets others have what it does not want", () => {
  const first = vi.fn();
  const second = vi.fn();
  let wants = true;
  register([{ keys: "Escape", label: "Close", run: first }]);
  register([{ keys: "Escape", label: "Cancel", run: second, when: () => wants }]);
  document.body.dispatchEvent(key({ key: "Escape" }));
  wants = false;
  document.body.dispatchEvent(key({ key: "Escape" }));
  expect([first.mock.calls.length, second.mock.calls.length]).toEqual([1, 1]);
  expect(listShortcuts().map((one) => one.label)).toEqual(["Close", "Cancel"]);
});

test("keys are written as people read them", () => {
  expect(keyText("Mod+Shift+ArrowLeft")).toBe("Ctrl+Shift+←");
  expect(keyText("+")).toBe("+");
  expect(keyText("Escape")).toBe("Esc");
});
