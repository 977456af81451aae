import "./queue.css";
import { useState } from "react";
import { errorText } from "../api/client";
import type { Job } from "../api/types";
import { jobs, useJobs } from "../store/jobs";
import { prefer } from "../store/preferences";
import { useServer } from "../store/server";
import { Button, toast } from "../ui";
import { JobItem } from "./JobItem";

/** Everything that is being made or waits for it, also for other projects; and what went wrong. */
export function Queue() {
  const all = useJobs((state) => state.jobs);
  const workers = useServer((state) => state.workers);
  const [dragged, setDragged] = useState<string | null>(null);
  const shown = all.filter((job) => job.state !== "done");
  const queued = shown.filter((job) => job.state === "queued");
  const done = all.length - shown.length;
  const over = shown.filter((job) => job.state === "failed" || job.state === "cancelled");
  const hasWorker = workers.some((worker) => worker.alive);

  const attempt = async (act: Promise<unknown>) => {
    try {
      await act;
    } catch (error) {
      toast(errorText(error), { kind: "error" });
      void jobs
        .getState()
        .refresh()
        .catch(() => {});
    }
  };
  const moveTo = (job: Job, place: number) => {
    const others = queued.filter((one) => one.id !== job.id);
    void attempt(jobs.getState().move(job.id, others[place]?.id ?? null));
  };

  return (
    <section className="queue" aria-label="Queue">
      <header>
        <h3>Queue</h3>
        {over.length > 1 && (
          <Button
            size="small"
            variant="quiet"
            onClick={() => void attempt(Promise.all(over.map((job) => jobs.getState().remove(job.id))))}
          >
            Clear what ended
          </Button>
        )}
      </header>
      {!hasWorker && queued.length > 0 && (
        <p className="queue-note">
          No worker runs: start the studio without --no-worker. What waits here stays in the queue meanwhile.
        </p>
      )}
      {shown.length === 0 ? (
        <p className="muted">
          Nothing waits. Videos go on being made when this page is closed.
          {done > 0 && (
            <>
              {" "}
              <button type="button" className="link" onClick={() => prefer({ panelTab: "results" })}>
                See the finished ones
              </button>
            </>
          )}
        </p>
      ) : (
        <ul aria-label="Jobs" className="queue-list">
          {shown.map((job) => {
            const place = queued.indexOf(job);
            return (
              <JobItem
                key={job.id}
                job={job}
                onCancel={() => void attempt(jobs.getState().cancel(job.id))}
                onRetry={() => void attempt(jobs.getState().retry(job.id))}
                onRemove={() => void attempt(jobs.getState().remove(job.id))}
                onUp={place > 0 ? () => moveTo(job, place - 1) : undefined}
                onDown={place >= 0 && place < queued.length - 1 ? () => moveTo(job, place + 1) : undefined}
                drag={
                  place >= 0 && queued.length > 1
                    ? {
                        isDragged: dragged === job.id,
                        onStart: () => setDragged(job.id),
                        onEnd: () => setDragged(null),
                        onDrop: () => {
                          const moved = queued.find((one) => one.id === dragged);
                          setDragged(null);
                          if (moved && moved.id !== job.id) moveTo(moved, place);
                        },
                      }
                    : undefined
                }
              />
            );
          })}
        </ul>
      )}
    </section>
  );
}
