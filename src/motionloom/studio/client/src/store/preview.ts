// The instant preview: while it is on, every pause in editing brings a new warp clip of the motion from the server. The
// old picture stays until the new one is there.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { ApiError, errorText, isAbort, send } from "../api/client";
import type { PreviewRequest } from "../api/types";
import type { Motion } from "../motion/document";
import { writeMotion } from "../motion/write";
import { newest } from "./newest";
import { followPlayhead } from "./playback";
import { project } from "./project";
import { editor } from "./react";

export interface PreviewState {
  status: "off" | "waiting" | "busy" | "shown" | "failed";
  /** The newest clip, as a blob URL; it may be of an older motion while `status` is not "shown". */
  url: string | null;
  /** Frames of that clip, evenly spaced over the motion; null: as many as the motion has. */
  frames: number | null;
  /** What went wrong, when `status` is "failed". */
  message: string | null;
  /** From the edit to the picture on the screen, of the newest clip. */
  milliseconds: number | null;
}

/** Each clip leaves one `performance` measure of this name, from the edit to its first picture. */
export const PREVIEW_MEASURE = "motionloom:edit-to-preview";

const QUIET_MS = 250;
const AGAIN_MS = 3000;
const OFF: PreviewState = { status: "off", url: null, frames: null, message: null, milliseconds: null };

export const preview = createStore<PreviewState>(() => OFF);

export function usePreview<Value>(selector: (state: PreviewState) => Value): Value {
  return useStore(preview, selector);
}

/** Watches the editor and asks for previews while they are wanted; returns what ends it. */
export function startPreviews(): () => void {
  const key = crypto.randomUUID?.() ?? String(Math.random());
  let wanted: Motion | null = null;
  let edited = 0;
  let shownDocument = "";
  let count = 0;

  const requests = newest<PreviewRequest, { clip: Blob; frames: number | null }>({
    quiet: QUIET_MS,
    again: AGAIN_MS,
    ask: async (question, signal) => {
      const answer = await send("/previews", { method: "POST", json: question, signal });
      return { clip: await answer.blob(), frames: Number(answer.headers.get("X-Motionloom-Frames")) || null };
    },
    asking: () => preview.setState({ status: "busy" }),
    answered: ({ clip, frames }, question) => {
      shownDocument = question.project + visible(question.motion);
      showClip(URL.createObjectURL(clip), frames, edited);
    },
    failed: (error) => {
      // Superseded or aborted: another request is on its way.
      if (isAbort(error) || (error instanceof ApiError && error.code === "superseded")) return;
      preview.setState({ status: "failed", message: errorText(error) });
    },
    retryable: (error) => error instanceof ApiError && ["offline", "busy"].includes(error.code),
  });

  function watch(): void {
    const { overlay, draft, motion } = editor.getState();
    const id = project.getState().project?.id;
    if (!overlay.preview || id === undefined) {
      if (wanted === null) return;
      wanted = null;
      shownDocument = "";
      requests.stop();
      showNothing();
      return;
    }
    const now = draft ?? motion;
    if (now === wanted) return;
    wanted = now;
    edited = performance.now();
    const document = writeMotion(now);
    if (id + visible(document) === shownDocument) {
      requests.stop();
      preview.setState({ status: "shown", message: null });
      return;
    }
    preview.setState({ status: "waiting" });
    // Requests can overtake each other on their way: the server goes by the number.
    requests.want({ project: id, motion: document, key, number: ++count });
  }

  const ends = [editor.subscribe(watch), project.subscribe(watch)];
  watch();
  return () => {
    for (const end of ends) end();
    requests.stop();
    showNothing();
  };
}

/** What a picture depends on: names and colours are not part of it. */
function visible(document: object): string {
  return JSON.stringify(document, (key, value) =>
    key === "name" || key === "color" || key === "prompt" ? undefined : value,
  );
}

/** When the edit was made that the clip at `url` shows, as long as its first picture is awaited. */
let awaited: { url: string; edited: number } | null = null;

function showClip(url: string, frames: number | null, edited: number): void {
  const old = preview.getState().url;
  awaited = { url, edited };
  preview.setState({ status: "shown", url, frames, message: null });
  // Whoever still shows the old clip gets the new one with the next render.
  if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
}

function showNothing(): void {
  const old = preview.getState().url;
  awaited = null;
  preview.setState(OFF);
  if (old) setTimeout(() => URL.revokeObjectURL(old), 1000);
}

/** Keeps a video element that shows `url` of the preview at the playhead; returns what ends it. */
export function followPreview(video: HTMLVideoElement): () => void {
  const pictured = () => {
    if (!awaited || video.src !== awaited.url) return;
    const end = performance.now();
    performance.measure(PREVIEW_MEASURE, { start: awaited.edited, end });
    preview.setState({ milliseconds: end - awaited.edited });
    awaited = null;
  };
  video.addEventListener("loadeddata", pictured);
  const unfollow = followPlayhead(video, editor, { frames: () => preview.getState().frames });
  return () => {
    video.removeEventListener("loadeddata", pictured);
    unfollow();
  };
}
