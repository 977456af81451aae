import type { LoraChoice } from "../api/types";
import { useServer } from "../store/server";
import { Checkbox, IconButton, NumberField, Select } from "../ui";

/** LoRA files of the data folder, each with its strength. */
export function LoraList({
  chosen,
  onChange,
}: {
  chosen: readonly LoraChoice[];
  onChange(loras: LoraChoice[]): void;
}) {
  const known = useServer((state) => state.loras);
  const free = known.filter((lora) => !chosen.some((one) => one.name === lora.name));
  const set = (name: string, change: Partial<LoraChoice>) =>
    onChange(chosen.map((one) => (one.name === name ? { ...one, ...change } : one)));
  return (
    <fieldset className="loras">
      <legend>LoRA</legend>
      {known.length === 0 && chosen.length === 0 && (
        <p className="muted">
          Put .safetensors files into the folder <code>loras</code> of the studio's data folder, and they
          appear here.
        </p>
      )}
      {chosen.map((lora) => (
        <div key={lora.name} className="lora">
          <span className="lora-name" title={lora.name}>
            {lora.name}
          </span>
          <NumberField
            label={`Strength of ${lora.name}`}
            hideLabel
            min={-10}
            max={10}
            step={0.05}
            value={lora.strength ?? 1}
            onChange={(strength) => set(lora.name, { strength })}
          />
          <IconButton
            label={`Remove ${lora.name}`}
            icon="close"
            size="small"
            onClick={() => onChange(chosen.filter((one) => one.name !== lora.name))}
          />
          <Checkbox
            label="Few steps"
            checked={lora.few_step ?? false}
            onChange={(few_step) => set(lora.name, { few_step })}
          />
        </div>
      ))}
      {free.length > 0 && (
        <Select
          label="Add a LoRA"
          hideLabel
          value=""
          options={[
            { value: "", label: "Add a LoRA…" },
            ...free.map((lora) => ({ value: lora.name, label: lora.name })),
          ]}
          onChange={(name) => {
            const lora = free.find((one) => one.name === name);
            if (lora) onChange([...chosen, { name, strength: 1, few_step: lora.few_step }]);
          }}
        />
      )}
    </fieldset>
  );
}
