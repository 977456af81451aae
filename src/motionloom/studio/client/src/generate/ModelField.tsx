import type { ModelFacts } from "../api/types";
import { bytesText } from "../projects/files";
import { copyText, Icon, IconButton, Select } from "../ui";

export interface ModelFieldProps {
  models: readonly ModelFacts[] | null;
  facts: ModelFacts | undefined;
  value: string;
  onChange(name: string): void;
  onReload(): void;
}

/** Which model, under which licence, whether it is here, and how to get it. */
export function ModelField({ models, facts, value, onChange, onReload }: ModelFieldProps) {
  const installed = models?.filter((model) => model.installed) ?? [];
  const others = models?.filter((model) => !model.installed) ?? [];
  const options = [
    ...installed.map((model) => ({ value: model.name, label: model.title })),
    ...others.map((model) => ({ value: model.name, label: `${model.title} (not here yet)` })),
  ];
  if (models && !facts) options.unshift({ value, label: `${value} (not known here)` });
  if (!models) options.push({ value, label: value || "Loading…" });
  return (
    <div className="model-field">
      <Select label="Model" value={value} options={options} onChange={onChange} />
      {facts && (
        <>
          <p className="model-description">{facts.description}</p>
          <ul className="model-badges" aria-label="About the model">
            <li title="Licence of the weights">{facts.licence}</li>
            {facts.commercial_use === false && (
              <li data-kind="warn" title="Its licence forbids commercial use of the weights">
                not for commercial use
              </li>
            )}
            {facts.memory !== null && (
              <li title="Memory it needs, at its usual size">{bytesText(facts.memory)} memory</li>
            )}
            {facts.installed ? (
              <li data-kind="good">
                <Icon name="check" size={12} /> here
                {facts.size_on_disk > 0 && `, ${bytesText(facts.size_on_disk)}`}
              </li>
            ) : (
              <li data-kind="warn">not here yet</li>
            )}
          </ul>
          {!facts.installed && <Fetch name={facts.name} onReload={onReload} />}
          {facts.notes.length > 0 && (
            <details className="model-notes">
              <summary>What to know about it</summary>
              {facts.notes.map((note) => (
                <p key={note}>{note}</p>
              ))}
            </details>
          )}
        </>
      )}
    </div>
  );
}

function Fetch({ name, onReload }: { name: string; onReload(): void }) {
  const command = `motionloom models fetch ${name}`;
  return (
    <div className="model-fetch">
      <span>Nothing is downloaded by itself. To get it, run this in a terminal:</span>
      <div>
        <code>{command}</code>
        <IconButton
          label="Copy the command"
          icon="copy"
          size="small"
          onClick={() => void copyText(command, "Command copied.")}
        />
        <IconButton label="Look again whether it is here" icon="retry" size="small" onClick={onReload} />
      </div>
    </div>
  );
}
