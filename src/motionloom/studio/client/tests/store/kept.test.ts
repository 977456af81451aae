import { afterEach, expect, test, vi } from "vitest";
import { type Kept, keeper } from "../../src/store/kept";

const kept = (change: Partial<Kept> = {}): Kept => ({
  project: "0123456789abcdef",
  tab: "one",
  name: "Cat",
  base_version: 1,
  motion: { width: 4, height: 3 } as unknown as Kept["motion"],
  settings: {},
  at: "2026-01-01T00:00:00Z",
  ...change,
});

afterEach(() => {
  vi.restoreAllMocks();
  localStorage.clear();
});

test("the newest of all tabs comes back, and one tab forgets its own alone", async () => {
  keeper.keep(kept());
  keeper.keep(kept({ tab: "two", at: "2026-01-02T00:00:00Z" }));
  keeper.keep(kept({ project: "fedcba9876543210", at: "2026-01-03T00:00:00Z" }));
  expect((await keeper.read(kept().project))?.tab).toBe("two");
  keeper.forget(kept({ tab: "two" }));
  expect((await keeper.read(kept().project))?.tab).toBe("one");
});

test("a damaged entry hides no other", async () => {
  localStorage.setItem(`motionloom.unsaved.${kept().project}.broken`, "{");
  keeper.keep(kept());
  expect((await keeper.read(kept().project))?.tab).toBe("one");
});

test("where the storage is full, an older state does not come back for a newer one", async () => {
  keeper.keep(kept());
  vi.spyOn(Storage.prototype, "setItem").mockImplementation(() => {
    throw new DOMException("full", "QuotaExceededError");
  });
  keeper.keep(kept({ at: "2026-01-02T00:00:00Z" }));
  expect(await keeper.read(kept().project)).toBeNull();
});
