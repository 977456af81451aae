import type { Result } from "../api/types";
import { durationText } from "../generate/times";
import { bytesText } from "../projects/files";
import { measuredOf } from "./measures";

/** What a result is and how it was made. */
export function Facts({ result }: { result: Result }) {
  return (
    <div className="facts">
      <section aria-label="Measures">
        {!result.measured && <p className="muted">How well it follows the motion is being measured…</p>}
        {measuredOf(result).map(({ name, value, meaning }) => (
          <div key={name} className="measure">
            <span className="muted">{name}</span>
            <strong>{value}</strong>
            <p className="muted">{meaning}</p>
          </div>
        ))}
      </section>
      <dl>
        {factsOf(result).map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </div>
  );
}

/** The facts of two results beside each other; what differs stands out. */
export function FactsBeside({ first, second }: { first: Result; second: Result }) {
  const columns = [first, second].map((result) => {
    const measured = measuredOf(result).map(({ name, value }): [string, string] => [name, value]);
    return new Map([...measured, ...factsOf(result)]);
  });
  const names = [...new Set(columns.flatMap((column) => [...column.keys()]))];
  return (
    <table className="facts-beside">
      <thead>
        <tr>
          <td />
          {[first, second].map((result) => (
            <th key={result.id} scope="col">
              {result.model}, seed {result.seed}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {names.map((name) => {
          const [one, two] = columns.map((column) => column.get(name) ?? "–");
          return (
            <tr key={name} data-differs={one !== two || undefined}>
              <th scope="row">{name}</th>
              <td>{one}</td>
              <td>{two}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}

function factsOf(result: Result): [string, string][] {
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
  return rows.filter((row): row is [string, string] => Boolean(row[1]));
}
