import { describe, expect, test } from "vitest";
import type { Event, Job, Result } from "../../src/api/types";
import { createJobsStore, inOrder, type JobsApi } from "../../src/store/jobs";

const job = (id: string, change: Partial<Job> = {}) =>
  ({ id, state: "queued", position: 1, created: "2026-01-01T00:00:00Z", finished: null, ...change }) as Job;
const event = (change: Partial<Event>): Event => ({
  id: 1,
  kind: "job",
  job: null,
  result: null,
  project: null,
  workers: null,
  removed: null,
  tab: null,
  ...change,
});

test("running first, then the queue in its order, then what ended last", () => {
  const list = [
    job("a", { position: 3 }),
    job("b", { state: "failed", finished: "2026-01-01T10:00:00Z" }),
    job("c", { position: 2 }),
    job("d", { state: "running" }),
    job("e", { state: "cancelled", finished: "2026-01-01T11:00:00Z" }),
  ];
  expect(inOrder(list).map((one) => one.id)).toEqual(["d", "c", "a", "e", "b"]);
});

describe("events", () => {
  test("put, replace and remove", () => {
    const store = createJobsStore({} as JobsApi);
    const { hear } = store.getState();
    hear(event({ job: job("a") }));
    hear(event({ job: job("a", { state: "running", step: 3 }) }));
    expect(store.getState().jobs).toHaveLength(1);
    expect(store.getState().jobs[0]).toMatchObject({ state: "running", step: 3 });
    hear(event({ kind: "result", result: { id: "r", created: "2026", seed: 1 } as Result }));
    hear(event({ kind: "result_removed", removed: "r" }));
    hear(event({ kind: "job_removed", removed: "a" }));
    expect(store.getState()).toMatchObject({ jobs: [], results: [] });
  });

  test("what is heard during a refresh is newer than its answer", async () => {
    let answer = (_: { jobs: Job[] }) => {};
    const store = createJobsStore({
      jobs: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
      results: async () => ({ results: [] }),
    } as unknown as JobsApi);
    const refreshing = store.getState().refresh();
    store.getState().hear(event({ job: job("a", { state: "running", step: 9 }) }));
    answer({ jobs: [job("a", { state: "queued" }), job("b")] });
    await refreshing;
    expect(store.getState().jobs.map((one) => [one.id, one.state])).toEqual([
      ["a", "running"],
      ["b", "queued"],
    ]);
  });
});
