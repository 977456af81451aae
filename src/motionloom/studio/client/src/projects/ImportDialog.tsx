import "./files.css";
import { useCallback, useEffect, useMemo, useRef, useState } from "react";
import { ApiError, api, errorText, type ImportFields } from "../api/client";
import type { ImportedMotion } from "../api/types";
import { withColors } from "../motion/colors";
import { readMotion } from "../motion/read";
import { go } from "../shell/route";
import { useProject } from "../store/project";
import { editor } from "../store/react";
import { server, useServer } from "../store/server";
import { Button, Dialog, Icon, NumberField, Select, Spinner, toast } from "../ui";
import { bytesText, isPicture } from "./files";
import { MotionThumbnail } from "./MotionThumbnail";
import { counted } from "./ProjectCard";

type Need = "size" | "fps" | "units" | "num_frames";
/** What the person said about files that do not say enough. */
type Said = Partial<
  Pick<ImportFields, "file_width" | "file_height" | "file_fps" | "units" | "num_frames" | "format">
>;

/** Track files of any tool onto this picture. Asks only what the files do not say. */
export function ImportDialog({ files: given, onClose }: { files: readonly File[]; onClose(): void }) {
  const [files, setFiles] = useState(given);
  const [said, setSaid] = useState<Said>({});
  const [answer, setAnswer] = useState<ImportedMotion | null>(null);
  const [needs, setNeeds] = useState<readonly Need[]>([]);
  const [problem, setProblem] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const id = useProject((state) => state.project?.id) ?? "";
  const formats = useServer((state) => state.formats);
  const picker = useRef<HTMLInputElement>(null);
  const { canvas, num_frames, fps, instructions } = editor.getState().motion;
  const isEmpty = instructions.length === 0;
  const [length, setLength] = useState<"file" | "project">(isEmpty ? "file" : "project");

  useEffect(() => {
    void server
      .getState()
      .loadFormats()
      .catch(() => {});
  }, []);

  const read = useCallback(
    async (from: readonly File[], what: Said, fit: "file" | "project") => {
      if (!from.length) return;
      const limit = server.getState().facts?.max_upload_bytes ?? Number.POSITIVE_INFINITY;
      const total = from.reduce((sum, file) => sum + file.size, 0);
      if (total > limit) {
        setProblem(
          new ApiError(
            "too_large",
            413,
            `The files have ${bytesText(total)}; the studio takes at most ${bytesText(limit)} at once.`,
          ),
        );
        return;
      }
      setBusy(true);
      setProblem(null);
      try {
        const length = fit === "project" ? { num_frames, fps } : {};
        const found = await api.importMotion(from, { ...canvas, ...length, ...what });
        setAnswer(found);
      } catch (error) {
        setAnswer(null);
        const refused = error instanceof ApiError ? error : new ApiError("failed", 0, errorText(error));
        setProblem(refused);
        const need = refused.code === "ambiguous" ? (refused.details.needs as Need | undefined) : undefined;
        if (need) {
          setNeeds((before) => (before.includes(need) ? before : [...before, need]));
          setSaid((before) => ({ ...suggestion(need, refused.details.suggested, canvas), ...before }));
        }
      } finally {
        setBusy(false);
      }
    },
    [canvas, num_frames, fps],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, with the files that were dropped
  useEffect(() => {
    void read(files, {}, length);
  }, []);

  const again = (change: { files?: readonly File[]; said?: Said; length?: "file" | "project" }) => {
    const next = { files: change.files ?? files, said: change.said ?? said, length: change.length ?? length };
    setFiles(next.files);
    setSaid(next.said);
    setLength(next.length);
    void read(next.files, next.said, next.length);
  };
  const motion = useMemo(() => (answer ? readMotion(answer.motion) : null), [answer]);

  const add = (mode: "add" | "replace") => {
    if (!motion || !answer) return;
    const state = editor.getState();
    const label = `Import ${answer.title}`;
    if (mode === "replace") {
      state.edit(label, ({ image, canvas }) => ({ ...withColors(motion), image, canvas }));
    } else {
      state.addAll(
        motion.instructions.map((one) => ({ ...one })),
        label,
        motion.pan,
      );
    }
    const imported = editor.getState().motion;
    toast(`${answer.title}: ${counted(answer.num_tracks, "track")} imported.`, {
      kind: "good",
      key: "imported",
      action: {
        label: "Undo",
        run: () => {
          if (editor.getState().motion !== imported)
            toast("Something was changed since; Undo at the top goes back step by step.", { kind: "warn" });
          else editor.getState().undo();
        },
      },
    });
    onClose();
  };
  const picture = files.length === 1 && files[0] && isPicture(files[0]) ? files[0] : null;

  return (
    <Dialog
      title="Import motion"
      open
      onClose={onClose}
      actions={
        <>
          <Button onClick={onClose}>Cancel</Button>
          {motion && !isEmpty && (
            <Button disabled={busy} onClick={() => add("replace")}>
              Replace the motion
            </Button>
          )}
          {motion ? (
            <Button variant="primary" busy={busy} onClick={() => add(isEmpty ? "replace" : "add")}>
              Add to the picture
            </Button>
          ) : (
            needs.length > 0 && (
              <Button variant="primary" busy={busy} onClick={() => again({})}>
                Read the file
              </Button>
            )
          )}
        </>
      }
    >
      <div className="file-dialog">
        <div className="import-files">
          {files.length > 0 && (
            <ul>
              {files.map((file) => (
                <li key={file.name}>
                  <Icon name="film" size={16} /> <span>{file.name}</span>{" "}
                  <small className="muted">{bytesText(file.size)}</small>
                </li>
              ))}
            </ul>
          )}
          <Button icon="plus" onClick={() => picker.current?.click()}>
            {files.length ? "Other files" : "Choose files"}
          </Button>
          <input
            ref={picker}
            type="file"
            multiple
            hidden
            aria-label="Motion files"
            onChange={(event) => {
              const chosen = [...(event.target.files ?? [])];
              event.target.value = "";
              setNeeds([]);
              if (chosen.length) again({ files: chosen, said: {} });
            }}
          />
        </div>
        {files.length === 0 && (
          <p className="muted">
            Motion files of this studio, track files of ATI, Wan-Move, KJNodes, Tora, AnyI2V, Wan2GP,
            CoTracker, TAP-Vid, After Effects, Blender and others, or a video that motionloom made: its motion
            is inside. Several files that belong together are read together. You can also drop them on the
            picture.
          </p>
        )}
        {busy && (
          <p className="import-state">
            <Spinner /> Reading…
          </p>
        )}
        {problem && (
          <p className={problem.code === "ambiguous" ? "import-question" : "import-problem"} role="alert">
            <Icon name={problem.code === "ambiguous" ? "help" : "error"} size={16} />
            <span>{problem.message}</span>
          </p>
        )}
        {problem && picture && problem.code !== "ambiguous" && (
          <Button
            icon="image"
            onClick={() => {
              api.createProject(picture).then(
                (made) => go({ page: "project", id: made.id }),
                (error: unknown) => toast(errorText(error), { kind: "error" }),
              );
              onClose();
            }}
          >
            New project from this picture
          </Button>
        )}
        {needs.length > 0 && (
          <div className="file-fields">
            {needs.includes("size") && (
              <>
                <NumberField
                  label="Width the file refers to"
                  unit="px"
                  digits={0}
                  min={1}
                  max={16_384}
                  value={said.file_width ?? null}
                  onChange={(file_width) => setSaid({ ...said, file_width })}
                />
                <NumberField
                  label="Height the file refers to"
                  unit="px"
                  digits={0}
                  min={1}
                  max={16_384}
                  value={said.file_height ?? null}
                  onChange={(file_height) => setSaid({ ...said, file_height })}
                />
              </>
            )}
            {needs.includes("fps") && (
              <NumberField
                label="Frames per second of the file"
                unit="fps"
                min={0.1}
                max={1_000}
                value={said.file_fps ?? null}
                onChange={(file_fps) => setSaid({ ...said, file_fps })}
              />
            )}
            {needs.includes("num_frames") && (
              <NumberField
                label="Frames of the motion"
                digits={0}
                min={1}
                max={2_000}
                value={said.num_frames ?? null}
                onChange={(frames) => setSaid({ ...said, num_frames: frames })}
              />
            )}
            {needs.includes("units") && (
              <Select
                label="Positions are"
                value={said.units ?? "pixels"}
                options={[
                  { value: "pixels", label: "pixels" },
                  { value: "normalised", label: "shares of the picture, 0 to 1" },
                ]}
                onChange={(units) => setSaid({ ...said, units })}
              />
            )}
          </div>
        )}
        {answer && motion && (
          <div className="import-found">
            <MotionThumbnail project={id} motion={motion} />
            <div>
              <h3>{answer.title}</h3>
              <p className="muted">
                {counted(answer.num_tracks, "track")} as {counted(motion.instructions.length, "instruction")},{" "}
                {motion.num_frames} frames at {Number(motion.fps.toFixed(2))} fps
              </p>
              {answer.notes.length > 0 && (
                <ul className="import-notes">
                  {answer.notes.map((note) => (
                    <li key={note}>{note}</li>
                  ))}
                </ul>
              )}
            </div>
          </div>
        )}
        {files.length > 0 && (
          <details
            className="import-more"
            open={
              (problem !== null && problem.code !== "ambiguous") || said.format !== undefined || undefined
            }
          >
            <summary>More</summary>
            <div className="file-fields">
              <Select
                label="Length"
                value={length}
                options={[
                  { value: "file", label: "As in the file" },
                  {
                    value: "project",
                    label: `Fitted to this project: ${num_frames} frames at ${Number(fps.toFixed(2))} fps`,
                  },
                ]}
                onChange={(value) => again({ length: value })}
              />
              <Select
                label="Format"
                value={said.format ?? ""}
                options={[
                  { value: "", label: "Found by its content" },
                  ...(formats ?? [])
                    .filter((one) => one.readable)
                    .map((one) => ({ value: one.name, label: one.title })),
                ]}
                onChange={(format) => again({ said: { ...said, format: format || undefined } })}
              />
            </div>
          </details>
        )}
      </div>
    </Dialog>
  );
}

/** What the question's field holds at first. */
function suggestion(need: Need, suggested: unknown, canvas: { width: number; height: number }): Said {
  if (need === "size") {
    const size = (suggested ?? canvas) as { width: number; height: number };
    return { file_width: size.width, file_height: size.height };
  }
  if (need === "fps") return { file_fps: Number(suggested ?? 16) };
  if (need === "num_frames") return { num_frames: Number(suggested ?? 49) };
  return { units: "pixels" };
}
