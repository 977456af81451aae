import "./files.css";
import { useEffect, useMemo, useState } from "react";
import { addresses, type ExportFields, errorText, saveFile } from "../api/client";
import type { TrackFormat } from "../api/types";
import { project, useProject } from "../store/project";
import { editor } from "../store/react";
import { server, useServer } from "../store/server";
import { Button, copyText, Dialog, Icon, NumberField, Select, Spinner, TextField, toast } from "../ui";

let lastFormat = "motion";

/** The motion as a file of any tool, and the command that makes the same file. */
export function ExportDialog({ onClose }: { onClose(): void }) {
  const formats = useServer((state) => state.formats);
  const id = useProject((state) => state.project?.id) ?? "";
  const projectName = useProject((state) => state.project?.name) ?? "motion";
  const { canvas, num_frames, fps, instructions } = editor.getState().motion;
  const [name, setName] = useState(lastFormat);
  const [size, setSize] = useState<{ width: number; height: number } | null>(null);
  const [frames, setFrames] = useState<number | null>(null);
  const [rate, setRate] = useState<number | null>(null);
  const [options, setOptions] = useState<Record<string, string>>({});
  const [problem, setProblem] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);

  useEffect(() => {
    server
      .getState()
      .loadFormats()
      .catch((error: unknown) => setProblem(errorText(error)));
  }, []);
  const writable = useMemo(() => formats?.filter((one) => one.writable) ?? [], [formats]);
  const format = writable.find((one) => one.name === name) ?? writable[0];
  const isMotion = format?.name === "motion";

  const fields: ExportFields = {
    format: format?.name ?? name,
    width: size?.width,
    height: size?.height,
    num_frames: frames ?? undefined,
    fps: rate ?? undefined,
    options: Object.fromEntries(Object.entries(options).filter(([, value]) => value.trim() !== "")),
  };
  const command = format ? commandFor(projectName, format, fields) : "";

  const save = async () => {
    setBusy(true);
    setProblem(null);
    try {
      await project.getState().save();
      const file = await saveFile(addresses.export(id, fields));
      toast(`Saved as ${file}.`, { kind: "good", key: "exported" });
      onClose();
    } catch (error) {
      setProblem(errorText(error));
      setBusy(false);
    }
  };

  return (
    <Dialog
      title="Export the motion"
      open
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          <Button
            variant="primary"
            icon="download"
            busy={busy}
            disabled={!format}
            onClick={() => void save()}
          >
            Save the file
          </Button>
        </>
      }
    >
      {!formats && !problem && <Spinner />}
      <div className="file-dialog">
        {format && (
          <>
            <Select
              label="Format"
              value={format.name}
              options={writable.map((one) => ({
                value: one.name,
                label: `${one.title} (${one.suffixes.join(", ")})`,
              }))}
              onChange={(value) => {
                lastFormat = value;
                setName(value);
                setOptions({});
                setProblem(null);
              }}
              hint={
                isMotion
                  ? "Everything, to be edited again: the studio's own format."
                  : `Positions: ${format.units}. Frames: ${format.frames}.`
              }
            />
            <div className="file-fields">
              <NumberField
                label="Width"
                unit="px"
                digits={0}
                min={1}
                max={16_384}
                value={size?.width ?? null}
                placeholder={String(canvas.width)}
                onChange={(width) =>
                  setSize({ width, height: Math.max(1, Math.round((width * canvas.height) / canvas.width)) })
                }
                onClear={() => setSize(null)}
              />
              <NumberField
                label="Height"
                unit="px"
                digits={0}
                min={1}
                max={16_384}
                value={size?.height ?? null}
                placeholder={String(canvas.height)}
                onChange={(height) =>
                  setSize({
                    width: size?.width ?? Math.max(1, Math.round((height * canvas.width) / canvas.height)),
                    height,
                  })
                }
                onClear={() => setSize(null)}
              />
              <NumberField
                label="Number of frames"
                digits={0}
                min={1}
                max={2_000}
                value={frames}
                placeholder={String(num_frames)}
                onChange={setFrames}
                onClear={() => setFrames(null)}
              />
              <NumberField
                label="Frames a second"
                unit="fps"
                min={0.1}
                max={240}
                value={rate}
                placeholder={String(Number(fps.toFixed(3)))}
                onChange={setRate}
                onClear={() => setRate(null)}
              />
            </div>
            {Object.keys(format.options).length > 0 && (
              <details
                className="import-more"
                open={Object.keys(fields.options ?? {}).length > 0 || undefined}
              >
                <summary>Options of this format</summary>
                <div className="file-options">
                  {Object.entries(format.options).map(([option, meaning]) => (
                    <TextField
                      key={option}
                      label={option}
                      hint={meaning}
                      value={options[option] ?? ""}
                      onChange={(value) => setOptions({ ...options, [option]: value })}
                    />
                  ))}
                </div>
              </details>
            )}
            {instructions.length === 0 && (
              <p className="import-question">
                <Icon name="info" size={16} />
                <span>Nothing is drawn yet: the file will hold no tracks.</span>
              </p>
            )}
            {problem && (
              <p className="import-problem" role="alert">
                <Icon name="error" size={16} />
                <span>{problem}</span>
              </p>
            )}
            {!isMotion && (
              <div className="export-command">
                <span className="muted">The same on the command line, from the exported motion file</span>
                <code>{command}</code>
                <Button size="small" icon="copy" onClick={() => void copyText(command, "Command copied.")}>
                  Copy command
                </Button>
              </div>
            )}
          </>
        )}
        {!format && problem && (
          <p className="import-problem" role="alert">
            {problem}
          </p>
        )}
      </div>
    </Dialog>
  );
}

/** Exported for tests. */
export function commandFor(
  project: string,
  format: Pick<TrackFormat, "name" | "suffixes">,
  fields: ExportFields,
): string {
  const stem = project.replace(/[^\p{L}\p{N}._-]+/gu, "-").replace(/^-+|-+$/g, "") || "motion";
  const words = [
    "motionloom tracks convert",
    quoted(`${stem}.motion.json`),
    quoted(`${stem}${format.suffixes[0] ?? ""}`),
    `--to ${format.name}`,
  ];
  if (fields.width && fields.height) words.push(`--to-size ${fields.width}x${fields.height}`);
  if (fields.num_frames) words.push(`--to-frames ${fields.num_frames}`);
  if (fields.fps) words.push(`--to-fps ${fields.fps}`);
  for (const [name, value] of Object.entries(fields.options ?? {}))
    words.push(`--to-option ${quoted(`${name}=${value}`)}`);
  return words.join(" ");
}

function quoted(word: string): string {
  return /^[\w./=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
