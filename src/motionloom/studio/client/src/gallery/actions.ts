// What can be done with a result.

import {
  addresses,
  api,
  type DownloadFormat,
  type DownloadKind,
  errorText,
  request,
  saveFile,
} from "../api/client";
import type { Result } from "../api/types";
import type { MotionDocument } from "../motion/document";
import { showPanel } from "../shell/panel";
import { go } from "../shell/route";
import { jobs } from "../store/jobs";
import { type MenuEntry, toast } from "../ui";

const KINDS: readonly [DownloadKind, string][] = [
  ["video", "Video"],
  ["overlay", "With the paths drawn on it"],
  ["side_by_side", "Side by side with the preview"],
];
const FORMATS: readonly DownloadFormat[] = ["mp4", "webm", "gif", "webp"];

export function downloadEntries(result: Result): MenuEntry[] {
  return KINDS.flatMap(([kind, title]) => [
    { heading: title },
    ...FORMATS.map((format) => ({
      // The names have to differ: they are told apart by them.
      label:
        kind === "video"
          ? format.toUpperCase()
          : `${format.toUpperCase()} ${kind === "overlay" ? "overlay" : "side by side"}`,
      run: () => void download(result, kind, format),
    })),
  ]);
}

export async function download(result: Result, kind: DownloadKind, format: DownloadFormat): Promise<void> {
  // Other than the video itself, they are made when they are asked for first.
  const done =
    kind === "video" && format === "mp4"
      ? () => {}
      : toast("Making the file…", { lasts: 120_000, key: "download" });
  try {
    const name = await saveFile(addresses.download(result.id, kind, format));
    done();
    toast(`Saved as ${name}.`, { kind: "good", key: "download" });
  } catch (error) {
    done();
    toast(errorText(error), { kind: "error" });
  }
}

export async function deleteResult(result: Result): Promise<void> {
  try {
    await jobs.getState().deleteResult(result.id);
    toast("The video is in the trash.", {
      action: {
        label: "Undo",
        run: () =>
          void jobs
            .getState()
            .restoreResult(result.id)
            .catch((error: unknown) => toast(errorText(error), { kind: "error" })),
      },
    });
  } catch (error) {
    toast(errorText(error), { kind: "error" });
  }
}

/** A new project with the picture, the motion and the settings the video was made of. */
export async function editAgain(result: Result): Promise<void> {
  try {
    const made = await api.editResult(result.id);
    toast("A new project with what this video was made of.", { kind: "good" });
    go({ page: "project", id: made.id });
  } catch (error) {
    toast(errorText(error), { kind: "error" });
  }
}

/** The same once more with the next seed that was not made yet. */
export async function another(result: Result): Promise<void> {
  const { project } = result;
  if (!project) {
    toast("The project of this video is gone. “Edit this again” makes a new one of it.", { kind: "warn" });
    return;
  }
  const state = jobs.getState();
  const seeds = [...state.results, ...state.jobs]
    .filter((one) => one.project === project)
    .map((one) => one.seed);
  const seed = Math.max(result.seed, ...seeds) + 1;
  try {
    const motion = await request<MotionDocument>(`/results/${result.id}/motion`);
    await state.submit(project, { ...result.settings, seed, count: 1 }, [seed], motion);
    showPanel("generate");
    toast(`In the queue with seed ${seed}.`, { kind: "good" });
  } catch (error) {
    toast(errorText(error), { kind: "error" });
  }
}
