import "./VersionsDialog.css";
import { useCallback, useEffect, useState } from "react";
import { api, errorText } from "../api/client";
import type { Project, ProjectVersion } from "../api/types";
import { readMotion } from "../motion/read";
import { project as store, useProject } from "../store/project";
import { Button, Dialog, Spinner, toast } from "../ui";
import { agoText } from "./files";
import { MotionThumbnail } from "./MotionThumbnail";
import { counted } from "./ProjectCard";

/** What a project was: a list, a look at each, and the way back. Without `id` it is the open project. */
export function VersionsDialog({ id: other, onClose }: { id?: string; onClose(): void }) {
  const opened = useProject((state) => state.project?.id);
  const id = other ?? opened;
  const [versions, setVersions] = useState<readonly ProjectVersion[] | null>(null);
  const [shown, setShown] = useState<Project | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const isOpen = id !== undefined && id === opened && other === undefined;

  const look = useCallback(
    async (version: number) => {
      if (!id) return;
      try {
        setShown(await api.version(id, version));
        setProblem(null);
      } catch (error) {
        setProblem(errorText(error));
      }
    },
    [id],
  );
  useEffect(() => {
    if (!id) return;
    void (async () => {
      try {
        // What is drawn just now is a version, too.
        if (isOpen) await store.getState().save();
        const list = await api.versions(id);
        setVersions(list);
        if (list[0]) await look(list[0].version);
      } catch (error) {
        setProblem(errorText(error));
      }
    })();
  }, [id, isOpen, look]);

  const restore = async () => {
    if (!id || !shown) return;
    setBusy(true);
    try {
      const restored = await api.restoreVersion(id, shown.version);
      if (isOpen) store.getState().show(restored);
      toast(`Version ${shown.version} is the newest one again. What was there before stays in the list.`, {
        kind: "good",
      });
      onClose();
    } catch (error) {
      setProblem(errorText(error));
      setBusy(false);
    }
  };
  const newest = versions?.[0]?.version;

  return (
    <Dialog
      title="Versions"
      open
      onClose={onClose}
      size="large"
      actions={
        <>
          <Button onClick={onClose}>Close</Button>
          <Button
            variant="primary"
            busy={busy}
            disabled={!shown || shown.version === newest}
            onClick={() => void restore()}
          >
            {shown && shown.version !== newest
              ? `Go back to version ${shown.version}`
              : "Go back to this version"}
          </Button>
        </>
      }
    >
      {problem && (
        <p className="versions-problem" role="alert">
          {problem}
        </p>
      )}
      <div className="versions">
        <ul className="versions-list" aria-label="Versions">
          {versions === null && !problem && <Spinner />}
          {versions?.map((version) => (
            <li key={version.version}>
              <button
                type="button"
                aria-pressed={shown?.version === version.version}
                onClick={() => void look(version.version)}
              >
                <span>{version.version === newest ? "Now" : agoText(version.written)}</span>
                <small>
                  {new Date(version.written).toLocaleString([], { dateStyle: "short", timeStyle: "medium" })}{" "}
                  · {counted(version.num_instructions, "instruction")}
                </small>
              </button>
            </li>
          ))}
        </ul>
        <div className="versions-look">
          {shown && id && <MotionThumbnail project={id} motion={readMotion(shown.motion)} />}
          {shown && <p className="muted">{shown.name}</p>}
        </div>
      </div>
    </Dialog>
  );
}
