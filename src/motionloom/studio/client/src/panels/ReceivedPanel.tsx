import "./ReceivedPanel.css";
import type { TrackFlag } from "../api/types";
import { displayName } from "../motion/names";
import { editor, useEditor } from "../store/react";
import { useReceived, useWatchReceived } from "../store/received";
import { modelFacts, useServer } from "../store/server";
import { Icon, Spinner } from "../ui";
import { FLAG_TITLES } from "./flags";

/** What the chosen model receives of the motion: size, frames, tracks, and what it will not do well with. */
export function ReceivedPanel() {
  useWatchReceived();
  const { received, fresh, busy, message } = useReceived((state) => state);
  const facts = useServer((state) => (received ? modelFacts(state, received.model) : undefined));
  return (
    <section className="received" aria-label="What the model receives" aria-busy={busy}>
      <header>
        <h3>
          <Icon name="received" size={16} /> What the model receives
        </h3>
        {busy && <Spinner size={13} />}
      </header>
      {message && (
        <p className="received-problem" role="alert">
          <Icon name="warn" size={15} /> {message}
        </p>
      )}
      {!received && !message && <p className="muted">Asking…</p>}
      {received && (
        <div data-stale={!fresh || undefined}>
          <dl className="received-facts">
            <Fact label="Model">
              {facts?.title ?? received.model}
              {received.method && received.method !== received.model && ` (${received.method})`}
            </Fact>
            <Fact label="Size">
              {received.width} × {received.height}
            </Fact>
            <Fact label="Frames">
              {received.num_frames} at {Number(received.fps.toFixed(2))} fps
            </Fact>
            <Fact label="Receives">
              {received.num_tracks} {received.num_tracks === 1 ? "track" : "tracks"}
            </Fact>
            {received.grid && (
              <Fact label="Cells">
                {received.grid.columns} × {received.grid.rows} × {received.grid.frames}, each{" "}
                {received.grid.pixels_per_cell} px and {received.grid.frames_per_cell}{" "}
                {received.grid.frames_per_cell === 1 ? "frame" : "frames"}
              </Fact>
            )}
          </dl>
          <Flags flags={received.flags} />
          {received.notes.map((note) => (
            <p key={note} className="received-note">
              {note}
            </p>
          ))}
        </div>
      )}
    </section>
  );
}

function Fact({ label, children }: { label: string; children: React.ReactNode }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function Flags({ flags }: { flags: readonly TrackFlag[] }) {
  const instructions = useEditor((state) => state.motion.instructions);
  if (flags.length === 0) {
    return (
      <p className="received-fine">
        <Icon name="check" size={15} /> Nothing stands out.
      </p>
    );
  }
  return (
    <ul className="received-flags" aria-label="Flags">
      {flags.map((flag) => {
        const about = instructions.find((each) => each.id === flag.instruction);
        return (
          <li key={`${flag.kind} ${flag.instruction} ${flag.frame} ${flag.message}`}>
            <button
              type="button"
              disabled={!about && flag.frame === null}
              onClick={() => {
                if (about) editor.getState().select([about.id]);
                if (flag.frame !== null) goTo(flag.frame);
              }}
            >
              <Icon name="warn" size={15} />
              <span>
                <b>
                  {about && <i style={{ backgroundColor: about.color }} />}
                  {about
                    ? `${displayName(about)}: ${FLAG_TITLES[flag.kind].toLowerCase()}`
                    : FLAG_TITLES[flag.kind]}
                </b>
                {flag.message}
              </span>
            </button>
          </li>
        );
      })}
    </ul>
  );
}

function goTo(frame: number): void {
  const { motion, setPlayhead, setPlaying } = editor.getState();
  setPlaying(false);
  setPlayhead(Math.min(Math.max(Math.round(frame), 0), motion.num_frames - 1));
}
