import "./notices.css";
import { Dialog, keyText, listShortcuts, type Shortcut } from "../ui";

/** Every shortcut that is registered where the person is. */
export function HelpSheet({ open, onClose }: { open: boolean; onClose(): void }) {
  if (!open) return null;
  const groups = new Map<string, Shortcut[]>();
  for (const shortcut of listShortcuts()) {
    const group = shortcut.group ?? "More";
    groups.set(group, [...(groups.get(group) ?? []), shortcut]);
  }
  return (
    <Dialog title="Keyboard and help" open onClose={onClose} size="large">
      <div className="help-groups">
        {[...groups].map(([group, shortcuts]) => (
          <section key={group}>
            <h3>{group}</h3>
            <dl>
              {shortcuts.map(({ label, keys }) => (
                <div key={label + String(keys)}>
                  <dt>{label}</dt>
                  <dd>
                    {(typeof keys === "string" ? [keys] : keys).map((one) => (
                      <kbd key={one}>{keyText(one)}</kbd>
                    ))}
                  </dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
        <section>
          <h3>How it goes</h3>
          <p className="muted">
            Draw where things should go. Scrub the timeline to see the points move. Switch Preview on to see
            the picture follow at once; Received shows what the model gets of it. Then Generate.
          </p>
        </section>
      </div>
    </Dialog>
  );
}
