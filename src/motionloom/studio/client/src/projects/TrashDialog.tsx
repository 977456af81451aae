import "./TrashDialog.css";
import { useCallback, useEffect, useState } from "react";
import { api, errorText } from "../api/client";
import type { Trash, TrashedThing } from "../api/types";
import { Button, Dialog, Spinner, toast } from "../ui";
import { agoText, bytesText } from "./files";

/** What was deleted: back with it, or away for good. `onChange` hears of every thing that came back. */
export function TrashDialog({ onChange, onClose }: { onChange(): void; onClose(): void }) {
  const [trash, setTrash] = useState<Trash | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [isAsking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);

  const load = useCallback(async () => {
    try {
      setTrash(await api.trash());
    } catch (error) {
      setProblem(errorText(error));
    }
  }, []);
  useEffect(() => void load(), [load]);

  const attempt = async (work: () => Promise<unknown>, said: string) => {
    setBusy(true);
    setProblem(null);
    try {
      await work();
      toast(said, { kind: "good" });
      onChange();
    } catch (error) {
      setProblem(errorText(error));
    }
    await load();
    setBusy(false);
    setAsking(false);
  };
  const count = trash ? trash.projects.length + trash.results.length : 0;

  return (
    <Dialog
      title="Trash"
      open
      onClose={onClose}
      actions={
        isAsking && trash ? (
          <>
            <Button onClick={() => setAsking(false)}>Keep everything</Button>
            <Button
              variant="danger"
              busy={busy}
              onClick={() => void attempt(api.emptyTrash, "The trash is empty.")}
            >
              Delete for good
            </Button>
          </>
        ) : (
          <>
            <Button onClick={onClose}>Close</Button>
            <Button variant="danger" disabled={count === 0 || busy} onClick={() => setAsking(true)}>
              {count > 0 && trash ? `Empty the trash (${bytesText(trash.bytes)})…` : "Empty the trash"}
            </Button>
          </>
        )
      }
    >
      <div className="trash">
        {problem && (
          <p className="trash-problem" role="alert">
            {problem}
          </p>
        )}
        {trash === null && !problem && <Spinner />}
        {isAsking && (
          <p role="alert">
            Everything listed here, {bytesText(trash?.bytes ?? 0)}, will be gone. This cannot be undone.
          </p>
        )}
        {trash && count === 0 && (
          <p className="muted">Nothing here. Deleted projects and videos come here first.</p>
        )}
        {trash && (
          <>
            <Things
              title="Projects"
              things={trash.projects}
              busy={busy}
              onRestore={({ id, name }) => void attempt(() => api.restoreProject(id), `“${name}” is back.`)}
            />
            <Things
              title="Videos"
              things={trash.results}
              busy={busy}
              onRestore={({ id, name }) => void attempt(() => api.restoreResult(id), `“${name}” is back.`)}
            />
          </>
        )}
      </div>
    </Dialog>
  );
}

interface ThingsProps {
  title: string;
  things: readonly TrashedThing[];
  busy: boolean;
  onRestore(thing: TrashedThing): void;
}

function Things({ title, things, busy, onRestore }: ThingsProps) {
  if (things.length === 0) return null;
  return (
    <section aria-label={title}>
      <h3>{title}</h3>
      <ul className="trash-list">
        {things.map((thing) => (
          <li key={`${thing.id} ${thing.deleted}`}>
            <span className="trash-name">
              <span>{thing.name}</span>
              <small>
                {agoText(thing.deleted)} · {bytesText(thing.bytes)}
              </small>
            </span>
            {thing.restorable ? (
              <Button
                size="small"
                icon="undo"
                disabled={busy}
                aria-label={`Bring back ${thing.name}`}
                onClick={() => onRestore(thing)}
              >
                Bring back
              </Button>
            ) : (
              <small className="muted">an earlier copy</small>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}
