// The one stream of events feeds the stores.

import { useEffect } from "react";
import { listen } from "../api/events";
import type { Event } from "../api/types";
import { jobs } from "../store/jobs";
import { project } from "../store/project";
import { server, useServer } from "../store/server";
import { toast } from "../ui";
import { showPanel } from "./panel";

/** A tab that nobody sees lets go of its stream after a minute, unless something is being made. */
const REST_MS = 60_000;

export function useLive(): void {
  const locked = useServer((state) => state.locked);
  useEffect(() => {
    void server.getState().load();
  }, []);
  useEffect(() => {
    if (locked) return;
    const refresh = () => {
      void jobs
        .getState()
        .refresh()
        .catch(() => {});
    };
    const stream = listen({
      onEvent(event) {
        if (event.workers) server.setState({ workers: event.workers });
        announce(event);
        jobs.getState().hear(event);
        project.getState().hear(event);
        if (LISTED.has(event.kind)) for (const listener of listeners) listener();
      },
      onConnection: (connection) => server.setState({ connection }),
      onResumed() {
        // Another server may have come back: its facts, models and queue are read anew.
        void server.getState().load();
        refresh();
        project.getState().reconnected();
        for (const listener of listeners) listener();
      },
    });
    refresh();
    // After the token was given again: what waited for it is saved.
    project.getState().reconnected();
    let resting: number | undefined;
    const again = () => {
      window.clearTimeout(resting);
      if (document.visibilityState === "visible") stream.again();
      else resting = window.setTimeout(rest, REST_MS);
    };
    const rest = () => {
      const isBusy = jobs.getState().jobs.some((job) => job.state === "running" || job.state === "queued");
      if (isBusy) resting = window.setTimeout(rest, REST_MS);
      else stream.pause();
    };
    window.addEventListener("online", again);
    document.addEventListener("visibilitychange", again);
    // An answer to a request that fails for want of a server says so earlier than the stream; a hand on "Try again" too.
    tryAgain = () => {
      stream.again();
      project.getState().reconnected();
    };
    return () => {
      stream.stop();
      window.clearTimeout(resting);
      window.removeEventListener("online", again);
      document.removeEventListener("visibilitychange", again);
    };
  }, [locked]);
}

/** A video that is ready, or will not be, is said wherever one is. */
function announce({ kind, result, job }: Event): void {
  const state = jobs.getState();
  if (kind === "result" && result && state.loaded && !state.results.some((one) => one.id === result.id)) {
    const isHere = project.getState().project?.id === result.project;
    toast(`A video of “${result.project_name}” is ready.`, {
      kind: "good",
      key: "ready",
      ...(isHere && { action: { label: "Look", run: () => showPanel("results") } }),
    });
  }
  if (
    kind === "job" &&
    job?.state === "failed" &&
    state.jobs.some((one) => one.id === job.id && one.state !== "failed")
  )
    toast(`A video of “${job.project_name}” failed: ${job.error ?? "no reason is known."}`, {
      kind: "error",
      key: job.id,
    });
}

let tryAgain = () => {};

/** At once instead of after the wait. */
export function reconnect(): void {
  tryAgain();
}

const listeners = new Set<() => void>();
/** What changes a list of projects; the steps of a job do not. */
const LISTED: ReadonlySet<Event["kind"]> = new Set([
  "project",
  "project_removed",
  "result",
  "result_removed",
]);

/** Called when a list of projects may be old. */
export function onServerChange(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
