import { useState } from "react";
import { addresses } from "../api/client";
import type { Job } from "../api/types";
import { copyText, IconButton } from "../ui";
import { jobText } from "./times";

export interface JobItemProps {
  job: Job;
  onCancel(): void;
  onRetry(): void;
  onRemove(): void;
  onUp?: () => void;
  onDown?: () => void;
  drag?: { isDragged: boolean; onStart(): void; onEnd(): void; onDrop(): void };
}

/** One video on its way. */
export function JobItem({ job, onCancel, onRetry, onRemove, onUp, onDown, drag }: JobItemProps) {
  const [over, setOver] = useState(false);
  const isOver = job.state === "failed" || job.state === "cancelled";
  const isRunning = job.state === "running";
  const counts = isRunning && job.phase === "sampling" && job.total > 0;
  return (
    <li
      className="job"
      data-state={job.state}
      data-over={over || undefined}
      data-dragged={drag?.isDragged || undefined}
      draggable={drag !== undefined}
      onDragStart={(event) => {
        event.dataTransfer.effectAllowed = "move";
        event.dataTransfer.setData("text/plain", job.id);
        drag?.onStart();
      }}
      onDragEnd={drag?.onEnd}
      onDragOver={(event) => {
        if (!drag || event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        setOver(false);
        if (!drag || event.dataTransfer.types.includes("Files")) return;
        event.preventDefault();
        drag.onDrop();
      }}
    >
      <Picture job={job} />
      <div className="job-text">
        <strong title={job.project_name}>{job.project_name}</strong>
        <span className="muted">
          {job.model}, seed {job.seed}
        </span>
        <span className="job-state">{jobText(job)}</span>
      </div>
      <div className="job-actions">
        {job.state === "queued" && (
          <>
            <IconButton label="Move up" icon="up" size="small" disabled={!onUp} onClick={onUp} />
            <IconButton label="Move down" icon="down" size="small" disabled={!onDown} onClick={onDown} />
          </>
        )}
        {isOver ? (
          <>
            <IconButton label="Retry" icon="retry" size="small" onClick={onRetry} />
            <IconButton label="Remove from the list" icon="close" size="small" onClick={onRemove} />
          </>
        ) : (
          <IconButton
            label="Cancel"
            icon="close"
            size="small"
            disabled={job.cancel_requested}
            onClick={onCancel}
          />
        )}
      </div>
      {!isOver && (
        // Without a value it says that something goes on, not how far it is.
        <progress
          aria-label={`Progress of ${job.project_name}, seed ${job.seed}`}
          className="job-progress"
          max={1}
          {...(counts ? { value: job.step / job.total } : isRunning ? {} : { value: 0 })}
        />
      )}
      {job.error && (
        <details className="job-error" open={job.state === "failed"}>
          <summary>What went wrong</summary>
          <p>{job.error}</p>
          <IconButton
            label="Copy the error"
            icon="copy"
            size="small"
            onClick={() => void copyText(job.error ?? "")}
          />
        </details>
      )}
      {job.notes.length > 0 && (
        <details className="job-notes">
          <summary>Notes</summary>
          {job.notes.map((note) => (
            <p key={note}>{note}</p>
          ))}
        </details>
      )}
    </li>
  );
}

/** The newest look at what is being made; before it, the photograph. */
function Picture({ job }: { job: Job }) {
  const [broken, setBroken] = useState<string | null>(null);
  const source =
    job.preview > 0
      ? addresses.jobPreview(job.id, job.preview)
      : job.project
        ? addresses.thumbnail(job.project, 1)
        : null;
  return (
    <div className="job-picture" data-preview={job.preview > 0 || undefined}>
      {source && source !== broken && (
        <img
          src={source}
          alt={job.preview > 0 ? "How it looks so far" : ""}
          onError={() => setBroken(source)}
        />
      )}
    </div>
  );
}
