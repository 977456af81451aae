import type { Result } from "../api/types";
import { durationText } from "../generate/times";
import { bytesText } from "../projects/files";
import { measuredOf } from "./measures";

/** What a result is and how it was made. */
export function Facts({ result, compact }: { result: Result; compact?: boolean }) {
  const { settings } = result;
  const rows: [string, string | null | undefined][] = [
    ["Model", result.model],
    ["Method", result.method],
    ["Seed", String(result.seed)],
    ["Size", `${result.width} × ${result.height}`],
    ["Length", `${result.num_frames} frames at ${Number(result.fps.toFixed(2))} fps`],
    ["Steps", settings.num_inference_steps?.toString()],
    ["Guidance", settings.guidance_scale?.toString()],
    [
      "Strength",
      settings.strength !== undefined && settings.strength !== 1 ? String(settings.strength) : null,
    ],
    [
      "Motion in steps",
      settings.window && (settings.window[0] !== 0 || settings.window[1] !== 1)
        ? settings.window.join(" to ")
        : null,
    ],
    ["LoRA", settings.loras?.map((lora) => `${lora.name} × ${lora.strength ?? 1}`).join(", ")],
    ["Finish", settings.post],
    ["Prompt", settings.prompt],
    ["Negative prompt", settings.negative_prompt],
    ["Took", durationText(result.seconds)],
    ["File", bytesText(result.bytes)],
    ["Made", new Date(result.created).toLocaleString([], { dateStyle: "medium", timeStyle: "short" })],
  ];
  const measured = measuredOf(result);
  return (
    <div className="facts">
      <section aria-label="Measures">
        {!result.measured && <p className="muted">How well it follows the motion is being measured…</p>}
        {measured.map(({ name, value, meaning }) => (
          <div key={name} className="measure">
            <span className="muted">{name}</span>
            <strong>{value}</strong>
            {!compact && <p className="muted">{meaning}</p>}
          </div>
        ))}
      </section>
      <dl>
        {rows
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
    </div>
  );
}
