// Times and states of jobs in words.

import type { Job } from "../api/types";

/** "40 s", "3 min", "1 h 20 min": as exact as anybody needs it. */
export function durationText(seconds: number): string {
  if (seconds < 1) return "under 1 s";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  const rest = minutes % 60;
  return `${Math.floor(minutes / 60)} h${rest ? ` ${rest} min` : ""}`;
}

/** What a job is doing, in a line. */
export function jobText(job: Job): string {
  switch (job.state) {
    case "queued":
      return job.attempts > 0 ? "Waits; it was interrupted and starts again" : "Waits";
    case "failed":
      return "Failed";
    case "cancelled":
      return "Cancelled";
    case "done":
      return "Done";
    case "running":
      if (job.cancel_requested) return "Ends after this step…";
      if (job.phase === "loading") return "Loading the model";
      if (job.phase === "saving") return "Saving the video";
      if (job.phase === "measuring") return "Measuring";
      if (job.phase === "sampling" && job.total > 0) {
        const left = job.seconds_left === null ? "" : `, ${durationText(job.seconds_left)} left`;
        return `Step ${job.step} of ${job.total}${left}`;
      }
      return "Starts";
  }
}
