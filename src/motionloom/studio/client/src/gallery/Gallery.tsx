import "./gallery.css";
import { useState } from "react";
import type { Result } from "../api/types";
import { counted } from "../projects/ProjectCard";
import { useJobs } from "../store/jobs";
import { prefer } from "../store/preferences";
import { useProject } from "../store/project";
import { Button, Icon, Select } from "../ui";
import { Compare } from "./Compare";
import { ResultCard } from "./ResultCard";
import { type ResultView, Viewer } from "./Viewer";

/** Finished videos of the project, or of all. */
export function Gallery() {
  const results = useJobs((state) => state.results);
  const loaded = useJobs((state) => state.loaded);
  const id = useProject((state) => state.project?.id);
  const underway = useJobs(
    (state) =>
      state.jobs.filter((job) => job.project === id && (job.state === "running" || job.state === "queued"))
        .length,
  );
  const [scope, setScope] = useState<"project" | "all">("project");
  const [viewed, setViewed] = useState<{ id: string; view: ResultView } | null>(null);
  const [picked, setPicked] = useState<readonly string[]>([]);
  const [comparing, setComparing] = useState(false);

  const shown = scope === "all" ? results : results.filter((result) => result.project === id);
  const find = (wanted: string) => results.find((result) => result.id === wanted);
  const open = viewed ? find(viewed.id) : undefined;
  const pair = picked.map(find).filter((result): result is Result => result !== undefined);

  const pick = (result: Result) => {
    const without = picked.filter((one) => one !== result.id);
    const next = without.length < picked.length ? without : [...picked.slice(-1), result.id];
    setPicked(next);
    if (next.length === 2 && without.length === picked.length) setComparing(true);
  };

  return (
    <section className="gallery" aria-label="Results">
      <header>
        <Select<"project" | "all">
          label="Show"
          hideLabel
          value={scope}
          options={[
            { value: "project", label: "This project" },
            { value: "all", label: "All projects" },
          ]}
          onChange={(value) => setScope(value)}
        />
        {pair.length > 0 && (
          <span className="gallery-picked">
            {pair.length === 1 ? "Pick another one to compare" : "2 picked"}
            {pair.length === 2 && (
              <Button size="small" icon="compare" onClick={() => setComparing(true)}>
                Look
              </Button>
            )}
            <Button size="small" variant="quiet" onClick={() => setPicked([])}>
              Clear
            </Button>
          </span>
        )}
      </header>
      {shown.length === 0 ? (
        <div className="gallery-empty">
          <Icon name="film" size={28} />
          <p>
            {!loaded
              ? "Loading…"
              : underway > 0
                ? `${counted(underway, "video")} on the way.`
                : "No videos yet."}
          </p>
          {loaded && (
            <>
              <p className="muted">
                {underway > 0
                  ? "What is finished appears here."
                  : "Draw motion on the picture, then press Generate. What is finished appears here."}
              </p>
              <Button icon="generate" onClick={() => prefer({ panelTab: "generate" })}>
                To Generate
              </Button>
            </>
          )}
        </div>
      ) : (
        <ul aria-label="Results" className="gallery-list">
          {shown.map((result) => (
            <ResultCard
              key={result.id}
              result={result}
              showProject={scope === "all"}
              picked={picked.includes(result.id)}
              onView={(view) => setViewed({ id: result.id, view })}
              onPick={() => pick(result)}
            />
          ))}
        </ul>
      )}
      {open && viewed && (
        <Viewer
          result={open}
          view={viewed.view}
          onView={(view) => setViewed({ id: open.id, view })}
          onClose={() => setViewed(null)}
          onPrevious={neighbour(shown, open, -1, (other) => setViewed({ id: other.id, view: viewed.view }))}
          onNext={neighbour(shown, open, 1, (other) => setViewed({ id: other.id, view: viewed.view }))}
        />
      )}
      {comparing && pair[0] && pair[1] && (
        <Compare first={pair[0]} second={pair[1]} onClose={() => setComparing(false)} />
      )}
    </section>
  );
}

function neighbour(
  all: readonly Result[],
  from: Result,
  by: number,
  show: (result: Result) => void,
): (() => void) | undefined {
  const at = all.findIndex((one) => one.id === from.id);
  const other = at < 0 ? undefined : all[at + by];
  return other && (() => show(other));
}
