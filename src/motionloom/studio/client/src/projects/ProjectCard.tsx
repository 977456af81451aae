import { useRef, useState } from "react";
import { addresses, api, errorText, projectWrite } from "../api/client";
import type { ProjectSummary } from "../api/types";
import { go } from "../shell/route";
import { Menu, toast } from "../ui";
import { agoText } from "./files";
import { VersionsDialog } from "./VersionsDialog";

/** A project on the home page. */
export function ProjectCard({ project, onChange }: { project: ProjectSummary; onChange(): Promise<void> }) {
  const [naming, setNaming] = useState<string | null>(null);
  const [versions, setVersions] = useState(false);
  const cancelled = useRef(false);
  const card = useRef<HTMLElement>(null);

  const attempt = async (act: () => Promise<unknown>) => {
    try {
      await act();
    } catch (error) {
      toast(errorText(error), { kind: "error" });
    }
    await onChange();
  };
  const rename = async (name: string) => {
    setNaming(null);
    if (!name.trim() || name.trim() === project.name) return;
    await attempt(async () => {
      const { motion, settings, version } = await api.project(project.id);
      await api.writeProject(project.id, projectWrite(version, motion, settings, { name: name.trim() }));
    });
  };
  const remove = () =>
    attempt(async () => {
      await api.deleteProject(project.id);
      toast(`“${project.name}” is in the trash. Its results stay.`, {
        action: { label: "Undo", run: () => void attempt(() => api.restoreProject(project.id)) },
      });
    });

  return (
    <article ref={card} className="card">
      <a className="card-picture" href={`#/project/${project.id}`} aria-label={`Open ${project.name}`}>
        <img src={addresses.thumbnail(project.id, 1)} alt="" loading="lazy" decoding="async" />
      </a>
      <div className="card-foot">
        <div className="card-text">
          {naming === null ? (
            <h3 className="card-name" title={project.name} onDoubleClick={() => setNaming(project.name)}>
              {project.name}
            </h3>
          ) : (
            <input
              className="card-rename"
              aria-label="Project name"
              // biome-ignore lint/a11y/noAutofocus: the person just asked to type here
              autoFocus
              value={naming}
              maxLength={200}
              onFocus={(event) => event.target.select()}
              onChange={(event) => setNaming(event.target.value)}
              onBlur={() => {
                if (cancelled.current) setNaming(null);
                else void rename(naming);
                cancelled.current = false;
              }}
              onKeyDown={(event) => {
                if (event.key !== "Enter" && event.key !== "Escape") return;
                // Not also for the button that has the focus then.
                event.preventDefault();
                cancelled.current = event.key === "Escape";
                // Leaving the field ends the naming; the keyboard goes on where it came from.
                card.current?.querySelector<HTMLElement>("[aria-haspopup]")?.focus();
              }}
            />
          )}
          <p className="muted">
            {project.damaged && (
              <span
                className="card-damaged"
                title="Part of it could not be read; this is the newest version that could. Look at Versions."
              >
                damaged ·{" "}
              </span>
            )}
            {agoText(project.updated)} · {counted(project.num_instructions, "instruction")}
            {project.num_results > 0 && ` · ${counted(project.num_results, "video")}`}
          </p>
        </div>
        <Menu
          label={`More for ${project.name}`}
          icon="more"
          iconOnly
          size="small"
          entries={[
            { label: "Open", icon: "image", run: () => go({ page: "project", id: project.id }) },
            { label: "Rename", icon: "edit", run: () => setNaming(project.name) },
            {
              label: "Duplicate",
              icon: "duplicate",
              run: () => void attempt(() => api.duplicateProject(project.id)),
            },
            { label: "Versions", icon: "versions", run: () => setVersions(true) },
            "line",
            { label: "Delete", icon: "trash", danger: true, run: () => void remove() },
          ]}
        />
      </div>
      {versions && <VersionsDialog id={project.id} onClose={() => setVersions(false)} />}
    </article>
  );
}

export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}
