import type { GenerationSettings } from "../api/types";
import { Checkbox, NumberField, Select } from "../ui";
import { LoraList } from "./LoraList";
import { OptionsField } from "./OptionsField";
import type { FieldsProps } from "./SizeField";

const SOLVERS = [
  { value: "", label: "As the model's program" },
  { value: "unipc", label: "UniPC" },
  { value: "dpm++", label: "DPM++" },
  { value: "euler", label: "Euler" },
  { value: "own", label: "The model's own" },
] as const;
const MEMORY = [
  { value: "auto", label: "What fits" },
  { value: "max-speed", label: "Everything on the device, fastest" },
  { value: "balanced", label: "Balanced" },
  { value: "low", label: "Low" },
  { value: "minimal", label: "Minimal, slowest" },
] as const;
const DENSIFY = [
  { value: "", label: "As the method does" },
  { value: "yes", label: "Yes" },
  { value: "no", label: "No" },
] as const;

/** What most people leave as it is. */
export function AdvancedFields({ settings, facts, onChange }: FieldsProps) {
  const [from, until] = settings.window ?? [0, 1];
  // What a project was saved with stays in sight, so that it can be taken back.
  const solvers = SOLVERS.filter(
    ({ value }) =>
      value === "" || value === settings.solver || (facts?.solvers.some((each) => each === value) ?? true),
  );
  return (
    <div className="generate-more">
      <div className="generate-pair">
        <NumberField
          label="Guidance"
          min={-100}
          max={100}
          step={0.5}
          value={settings.guidance_scale ?? null}
          placeholder={
            facts?.guidance_scale === null || facts === undefined ? "auto" : String(facts.guidance_scale)
          }
          onChange={(guidance_scale) => onChange({ guidance_scale })}
          onClear={() => onChange({ guidance_scale: null })}
        />
        <NumberField
          label="Guidance, late steps"
          min={-100}
          max={100}
          step={0.5}
          value={settings.guidance_scale_2 ?? null}
          placeholder="the same"
          onChange={(guidance_scale_2) => onChange({ guidance_scale_2 })}
          onClear={() => onChange({ guidance_scale_2: null })}
        />
      </div>
      <div className="generate-pair">
        <NumberField
          label="Motion from"
          unit="of the steps"
          min={0}
          max={until}
          step={0.05}
          value={from}
          onChange={(value) => onChange({ window: [value, until] })}
        />
        <NumberField
          label="Motion until"
          unit="of the steps"
          min={from}
          max={1}
          step={0.05}
          value={until}
          onChange={(value) => onChange({ window: [from, value] })}
        />
      </div>
      {(solvers.length > 1 || settings.shift != null) && (
        <div className="generate-pair">
          <Select
            label="Solver"
            value={settings.solver ?? ""}
            options={solvers}
            onChange={(solver) => onChange({ solver: solver === "" ? null : solver })}
          />
          <NumberField
            label="Shift"
            min={0.01}
            max={100}
            step={0.5}
            value={settings.shift ?? null}
            placeholder="auto"
            onChange={(shift) => onChange({ shift })}
            onClear={() => onChange({ shift: null })}
          />
        </div>
      )}
      {facts && facts.methods.length > 1 && (
        <Select
          label="Method"
          value={settings.method ?? ""}
          options={[
            { value: "", label: `As usual (${facts.methods[0]})` },
            ...facts.methods.map((method) => ({ value: method, label: method })),
          ]}
          onChange={(method) => onChange({ method: method === "" ? null : method })}
        />
      )}
      <Select
        label="More tracks between the drawn ones"
        value={settings.densify == null ? "" : settings.densify ? "yes" : "no"}
        options={DENSIFY}
        onChange={(value) => onChange({ densify: value === "" ? null : value === "yes" })}
      />
      <Select
        label="Memory"
        value={settings.memory ?? "auto"}
        options={MEMORY}
        onChange={(memory) => onChange({ memory: memory as GenerationSettings["memory"] })}
      />
      <Checkbox
        label="Fast"
        hint="Few steps with the model's few-step LoRA, where it has one."
        checked={settings.fast ?? false}
        onChange={(fast) => onChange({ fast })}
      />
      <LoraList chosen={settings.loras ?? []} onChange={(loras) => onChange({ loras })} />
      <OptionsField settings={settings} onChange={onChange} />
    </div>
  );
}
