import { useState } from "react";
import type { GenerationSettings } from "../api/types";
import { TextField } from "../ui";

/** Finishing steps, and options of single methods, for those who know them. */
export function OptionsField({
  settings,
  onChange,
}: {
  settings: GenerationSettings;
  onChange(change: Partial<GenerationSettings>): void;
}) {
  const [problem, setProblem] = useState<string | null>(null);
  const options = settings.options ?? {};
  const text = Object.entries(options)
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(" ");
  return (
    <>
      <TextField
        label="Finish"
        hint="Steps after the model, such as: denoise, sharpen=0.5, interpolate=2"
        value={settings.post ?? ""}
        onCommit={(post) => onChange({ post: post.trim() === "" ? null : post.trim() })}
      />
      <TextField
        label="Other options"
        hint="Of the method, as name=value, with spaces between"
        value={text}
        error={problem ?? undefined}
        onCommit={(typed) => {
          const parsed = parseOptions(typed);
          if (typeof parsed === "string") return setProblem(parsed);
          setProblem(null);
          onChange({ options: parsed });
        }}
      />
    </>
  );
}

/** `a=1 b=true c=text`; a sentence for people where it is not so. */
export function parseOptions(text: string): Record<string, unknown> | string {
  const options: Record<string, unknown> = {};
  for (const word of text.trim().split(/\s+/).filter(Boolean)) {
    const at = word.indexOf("=");
    if (at < 1) return `“${word}” is not of the form name=value.`;
    const value = word.slice(at + 1);
    try {
      options[word.slice(0, at)] = JSON.parse(value);
    } catch {
      options[word.slice(0, at)] = value;
    }
  }
  return options;
}
