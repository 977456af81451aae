import "./notices.css";
import { useState } from "react";
import { errorText } from "../api/client";
import { project, useProject } from "../store/project";
import { useServer } from "../store/server";
import { Button, Dialog, Icon, toast } from "../ui";
import { reconnect } from "./live";

/** The server is gone: work goes on. */
export function OfflineBanner() {
  const connection = useServer((state) => state.connection);
  const saving = useProject((state) => state.saving);
  if (connection !== "lost" && saving !== "offline") return null;
  return (
    <div className="banner" role="status">
      <Icon name="offline" />
      <p>
        The studio's server does not answer. You can go on drawing: this browser keeps your work and saves it
        when the server is back. If it was stopped, start it again with <code>motionloom studio</code>.
      </p>
      <Button size="small" icon="retry" onClick={reconnect}>
        Try again
      </Button>
    </div>
  );
}

/** What could not be saved, and why. */
export function ProblemBanner() {
  const saving = useProject((state) => state.saving);
  const problem = useProject((state) => state.problem);
  const isGone = useProject((state) => state.isGone);
  if (isGone || !problem || saving !== "unsaved") return null;
  return (
    <div className="banner" role="alert">
      <Icon name="warn" />
      <p>Not saved: {problem} This browser keeps your work meanwhile.</p>
      <Button
        size="small"
        icon="retry"
        onClick={() =>
          void project
            .getState()
            .save()
            .catch(() => {})
        }
      >
        Save again
      </Button>
    </div>
  );
}

/** Somebody deleted what is open here. */
export function GoneBanner() {
  const isGone = useProject((state) => state.isGone);
  if (!isGone) return null;
  return (
    <div className="banner" role="alert">
      <Icon name="trash" />
      <p>This project was put into the trash elsewhere. This browser keeps what you change meanwhile.</p>
      <Button
        size="small"
        icon="undo"
        onClick={() => {
          project
            .getState()
            .bringBack()
            .then(
              () => toast("The project is back, with your changes.", { kind: "good" }),
              (error: unknown) => toast(errorText(error), { kind: "error" }),
            );
        }}
      >
        Bring it back
      </Button>
    </div>
  );
}

/** Work of an earlier visit that never reached the server. */
export function KeptBanner() {
  const kept = useProject((state) => state.kept);
  if (!kept) return null;
  const when = new Date(kept.at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return (
    <div className="banner" role="status">
      <Icon name="versions" />
      <p>This browser has changes from {when} that did not reach the server.</p>
      <Button size="small" onClick={() => project.getState().dropKept()}>
        Leave them
      </Button>
      <Button
        size="small"
        variant="primary"
        onClick={() => {
          project.getState().restoreKept();
          toast("Your changes are back. What was there before stays among the versions.", { kind: "good" });
        }}
      >
        Bring them back
      </Button>
    </div>
  );
}

/** Two tabs changed one project. */
export function ConflictDialog() {
  const conflict = useProject((state) => state.conflict);
  const saving = useProject((state) => state.saving);
  const [busy, setBusy] = useState<"mine" | "theirs" | null>(null);
  if (!conflict || (saving !== "conflict" && !busy)) return null;
  const resolve = async (choice: "mine" | "theirs") => {
    setBusy(choice);
    try {
      await project.getState().resolveConflict(choice);
      toast(
        choice === "mine"
          ? "Your state goes on. The other one is among the versions."
          : "The other state goes on. Yours is among the versions.",
        {
          kind: "good",
        },
      );
    } catch (error) {
      toast(errorText(error), { kind: "error" });
    } finally {
      setBusy(null);
    }
  };
  return (
    <Dialog
      title="This project was changed in another tab"
      open
      size="small"
      dismissible={false}
      onClose={() => {}}
      actions={
        <>
          <Button busy={busy === "theirs"} disabled={busy !== null} onClick={() => void resolve("theirs")}>
            Take theirs
          </Button>
          <Button
            variant="primary"
            busy={busy === "mine"}
            disabled={busy !== null}
            onClick={() => void resolve("mine")}
          >
            Keep mine
          </Button>
        </>
      }
    >
      <div className="conflict-choices">
        <p>It was saved elsewhere while you were changing it here. Which state shall go on?</p>
        <p className="muted">Nothing is lost: the other one stays among the versions (More, Versions).</p>
      </div>
    </Dialog>
  );
}
