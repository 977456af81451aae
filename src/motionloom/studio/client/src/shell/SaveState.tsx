import "./SaveState.css";
import { useEffect, useState } from "react";
import { type Saving, useProject } from "../store/project";
import { Icon, type IconName, Spinner, Tooltip } from "../ui";

const TEXT: Record<Saving, string> = {
  saved: "Saved",
  saving: "Saving…",
  unsaved: "Not saved yet",
  conflict: "Changed in another tab",
  offline: "Offline: kept here",
};
const ICON: Record<Saving, IconName> = {
  saved: "saved",
  saving: "saved",
  unsaved: "edit",
  conflict: "warn",
  offline: "offline",
};

/** Whether what was drawn is on the disk. */
export function SaveState() {
  const saving = useProject((state) => state.saving);
  const problem = useProject((state) => state.problem);
  const state = useCalm(saving);
  const isTrouble = state === "conflict" || state === "offline" || problem !== null;
  return (
    <Tooltip text={problem ?? "Every change is saved in the studio's data folder as you draw."}>
      <span className="save-state" role="status" data-trouble={isTrouble || undefined} data-state={saving}>
        {state === "saving" ? (
          <Spinner size={14} />
        ) : (
          <Icon name={problem ? "warn" : ICON[state]} size={16} />
        )}
        <span className="save-text">{problem && state === "unsaved" ? "Not saved" : TEXT[state]}</span>
      </span>
    </Tooltip>
  );
}

/** Short savings do not flicker: a state that lasts under 300 ms is not shown. */
function useCalm(saving: Saving): Saving {
  const [shown, setShown] = useState(saving);
  useEffect(() => {
    const wait = saving === "saving" || saving === "unsaved" ? 300 : 0;
    const timer = window.setTimeout(() => setShown(saving), wait);
    return () => window.clearTimeout(timer);
  }, [saving]);
  return shown;
}
