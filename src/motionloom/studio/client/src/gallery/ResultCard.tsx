import { useRef, useState } from "react";
import { addresses } from "../api/client";
import type { Result } from "../api/types";
import { agoText } from "../projects/files";
import { Icon, IconButton, Menu } from "../ui";
import { deleteResult, downloadEntries, editAgain } from "./actions";
import type { ResultView } from "./Viewer";

export interface ResultCardProps {
  result: Result;
  showProject: boolean;
  picked: boolean;
  onView(view: ResultView): void;
  onPick(): void;
}

/** A finished video: plays while the mouse or the keyboard rests on it. */
export function ResultCard({ result, showProject, picked, onView, onPick }: ResultCardProps) {
  const [alive, setAlive] = useState(false);
  const video = useRef<HTMLVideoElement>(null);
  const epe = result.measures.epe;
  const start = () => {
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) setAlive(true);
  };
  return (
    <li className="result" data-picked={picked || undefined}>
      <button
        type="button"
        aria-label="Play"
        className="result-picture"
        onPointerEnter={(event) => event.pointerType === "mouse" && start()}
        onPointerLeave={() => setAlive(false)}
        onFocus={(event) => event.target.matches(":focus-visible") && start()}
        onBlur={() => setAlive(false)}
        onClick={() => onView("video")}
        style={{ aspectRatio: `${result.width} / ${result.height}` }}
      >
        <img src={addresses.poster(result.id)} alt="" loading="lazy" decoding="async" />
        {alive && (
          <video
            ref={video}
            src={addresses.video(result.id)}
            muted
            loop
            autoPlay
            playsInline
            aria-hidden="true"
            tabIndex={-1}
          />
        )}
        <span className="result-play">
          <Icon name="play" size={16} />
        </span>
      </button>
      <div className="result-text">
        {showProject && <strong>{result.project_name}</strong>}
        <span>
          {result.model}, seed {result.seed}
        </span>
        <span className="muted">
          {result.num_frames} frames · {result.width} × {result.height} · {agoText(result.created)}
        </span>
        <span className="muted">
          {!result.measured
            ? "Measuring…"
            : epe === null || epe === undefined
              ? "Not measured"
              : `${epe.toFixed(1)} px from what was drawn`}
        </span>
      </div>
      <div className="result-actions">
        <IconButton
          label="Overlay"
          hint="Play with the paths drawn on it"
          icon="overlay"
          size="small"
          onClick={() => onView("overlay")}
        />
        <IconButton
          label="Side by side"
          hint="Play beside the preview"
          icon="side-by-side"
          size="small"
          onClick={() => onView("side-by-side")}
        />
        <IconButton
          label="Compare"
          hint="Compare with another result"
          icon="compare"
          size="small"
          pressed={picked}
          onClick={onPick}
        />
        <IconButton label="Edit this again" icon="edit" size="small" onClick={() => void editAgain(result)} />
        <Menu label="Download" icon="download" iconOnly size="small" entries={downloadEntries(result)} />
        <IconButton
          label="Delete result"
          icon="trash"
          size="small"
          onClick={() => void deleteResult(result)}
        />
      </div>
    </li>
  );
}
