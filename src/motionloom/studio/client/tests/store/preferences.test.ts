import { beforeEach, expect, test, vi } from "vitest";

const read = async (kept: unknown) => {
  localStorage.setItem("motionloom.preferences", JSON.stringify(kept));
  vi.resetModules();
  return (await import("../../src/store/preferences")).preferences.getState();
};

beforeEach(() => localStorage.clear());

test("what was preferred is there again", async () => {
  const wanted = { theme: "dark", panelWidth: 400, timelineHeight: 150, panelTab: "results", advanced: true };
  expect(await read(wanted)).toEqual(wanted);
  expect(document.documentElement.dataset.theme).toBe("dark");
});

test("what no one can have meant is left out", async () => {
  const odd = {
    theme: "blue",
    panelWidth: 5_000,
    timelineHeight: "tall",
    panelTab: "x",
    advanced: 1,
    other: 2,
  };
  const defaults = await read({});
  expect(await read(odd)).toEqual(defaults);
  expect(await read("text")).toEqual(defaults);
  expect(document.documentElement.dataset.theme).toBeUndefined();
});
