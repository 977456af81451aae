import type { GenerationSettings, ModelFacts } from "../api/types";
import { useEditor } from "../store/react";
import { NumberField, Select } from "../ui";

export interface FieldsProps {
  settings: GenerationSettings;
  facts: ModelFacts | undefined;
  onChange(change: Partial<GenerationSettings>): void;
}

type Mode = "auto" | "480p" | "720p" | "1080p" | "own";

/** How large the video is. */
export function SizeField({ settings, facts, onChange }: FieldsProps) {
  const { width, height } = useEditor((state) => state.motion.canvas);
  const mode: Mode = settings.size ? "own" : (settings.resolution ?? "auto");
  const usual = facts?.width && facts.height ? `${facts.width} × ${facts.height}` : null;
  const setMode = (next: Mode) => {
    if (next === "own") onChange({ size: fitted(width, height, facts), resolution: null });
    else onChange({ size: null, resolution: next === "auto" ? null : next });
  };
  return (
    <div className="size-field">
      <Select
        label="Size"
        value={mode}
        options={[
          { value: "auto", label: usual ? `As the model was trained (${usual} or alike)` : "As the picture" },
          { value: "480p", label: "480p, in the picture's shape" },
          { value: "720p", label: "720p, in the picture's shape" },
          { value: "1080p", label: "1080p, in the picture's shape" },
          { value: "own", label: "Own width and height" },
        ]}
        onChange={setMode}
      />
      {settings.size && (
        <div className="generate-pair">
          <NumberField
            label="Width"
            unit="px"
            digits={0}
            min={16}
            max={16_384}
            step={16}
            value={settings.size.width}
            onChange={(to) => settings.size && onChange({ size: { ...settings.size, width: to } })}
          />
          <NumberField
            label="Height"
            unit="px"
            digits={0}
            min={16}
            max={16_384}
            step={16}
            value={settings.size.height}
            onChange={(to) => settings.size && onChange({ size: { ...settings.size, height: to } })}
          />
        </div>
      )}
    </div>
  );
}

/** The picture's shape with about as many pixels as the model's usual size, both sides multiples of 16. */
function fitted(
  width: number,
  height: number,
  facts: ModelFacts | undefined,
): { width: number; height: number } {
  const pixels = facts?.width && facts.height ? facts.width * facts.height : width * height;
  const scale = Math.sqrt(pixels / (width * height));
  const round = (side: number) => Math.max(16, Math.round((side * scale) / 16) * 16);
  return { width: round(width), height: round(height) };
}
