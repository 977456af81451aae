// The queue and the finished videos, kept up to date by the server's events.

import { useStore } from "zustand";
import { createStore, type StoreApi } from "zustand/vanilla";
import { api } from "../api/client";
import type { Event, GenerationSettings, Job, Result } from "../api/types";
import type { MotionDocument } from "../motion/document";

export interface JobsState {
  jobs: readonly Job[];
  results: readonly Result[];
  loaded: boolean;
  refresh(): Promise<void>;
  hear(event: Event): void;

  /** `motion` in place of the project's. */
  submit(
    project: string,
    settings: GenerationSettings,
    seeds?: readonly number[],
    motion?: MotionDocument,
  ): Promise<readonly Job[]>;
  cancel(id: string): Promise<void>;
  retry(id: string): Promise<void>;
  /** Before another queued job; null: to the end. */
  move(id: string, before: string | null): Promise<void>;
  remove(id: string): Promise<void>;
  deleteResult(id: string): Promise<void>;
  restoreResult(id: string): Promise<void>;
}

export type JobsApi = Pick<
  typeof api,
  | "jobs"
  | "results"
  | "submit"
  | "cancelJob"
  | "retryJob"
  | "moveJob"
  | "removeJob"
  | "deleteResult"
  | "restoreResult"
>;

export function createJobsStore(api: JobsApi): StoreApi<JobsState> {
  let refreshing = 0;
  /** What was heard while a refresh was under way: its answer may be older. */
  let heard: Event[] | null = null;
  return createStore<JobsState>((set, get) => {
    const putJob = (job: Job) =>
      set({ jobs: inOrder([...get().jobs.filter((one) => one.id !== job.id), job]) });
    const putResult = (result: Result) =>
      set({ results: newestFirst([...get().results.filter((one) => one.id !== result.id), result]) });
    return {
      jobs: [],
      results: [],
      loaded: false,
      async refresh() {
        const turn = ++refreshing;
        heard = [];
        const [{ jobs }, { results }] = await Promise.all([api.jobs(), api.results()]).catch(
          (error: unknown) => {
            if (turn === refreshing) heard = null;
            throw error;
          },
        );
        if (turn !== refreshing) return;
        const missed = heard ?? [];
        heard = null;
        set({ jobs: inOrder(jobs), results: newestFirst(results), loaded: true });
        for (const event of missed) get().hear(event);
      },
      hear(event) {
        heard?.push(event);
        const { kind, job, result, removed } = event;
        if (kind === "job" && job) putJob(job);
        else if (kind === "result" && result) putResult(result);
        else if (kind === "job_removed" && removed)
          set({ jobs: get().jobs.filter((one) => one.id !== removed) });
        else if (kind === "result_removed" && removed)
          set({ results: get().results.filter((one) => one.id !== removed) });
      },
      async submit(project, settings, seeds, motion) {
        const { jobs } = await api.submit({
          project,
          settings,
          seeds: seeds ? [...seeds] : null,
          motion: motion ?? null,
        });
        for (const job of jobs) if (!get().jobs.some((one) => one.id === job.id)) putJob(job);
        return jobs;
      },
      async cancel(id) {
        putJob(await api.cancelJob(id));
      },
      async retry(id) {
        putJob(await api.retryJob(id));
      },
      async move(id, before) {
        putJob(await api.moveJob(id, before));
      },
      async remove(id) {
        await api.removeJob(id);
        set({ jobs: get().jobs.filter((one) => one.id !== id) });
      },
      async deleteResult(id) {
        await api.deleteResult(id);
        set({ results: get().results.filter((one) => one.id !== id) });
      },
      async restoreResult(id) {
        putResult(await api.restoreResult(id));
      },
    };
  });
}

export const jobs = createJobsStore(api);

export function useJobs<Value>(selector: (state: JobsState) => Value): Value {
  return useStore(jobs, selector);
}

/** Running first, then waiting in their order, then what ended, newest first. */
export function inOrder(list: readonly Job[]): Job[] {
  const rank = (job: Job) => (job.state === "running" ? 0 : job.state === "queued" ? 1 : 2);
  return [...list].sort((a, b) => {
    const byRank = rank(a) - rank(b);
    if (byRank !== 0) return byRank;
    if (rank(a) === 2) return (b.finished ?? b.created).localeCompare(a.finished ?? a.created);
    return a.position - b.position || a.created.localeCompare(b.created);
  });
}

export function newestFirst(list: readonly Result[]): Result[] {
  return [...list].sort((a, b) => b.created.localeCompare(a.created) || b.seed - a.seed);
}
