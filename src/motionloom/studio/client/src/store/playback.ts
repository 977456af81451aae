// The clock: while `playing`, the playhead moves at the motion's own speed, whatever the screen's rate. Videos that show
// the same motion follow it.

import type { StoreApi } from "zustand/vanilla";
import type { EditorState } from "./editor";

/** What the clock needs of the editor. */
export type Clocked = Pick<
  EditorState,
  "motion" | "playhead" | "playing" | "looping" | "setPlayhead" | "setPlaying"
>;

/** Where `elapsed` milliseconds lead from `frame`; the last frame is shown for as long as every other. */
export function advance(
  frame: number,
  elapsed: number,
  motion: { num_frames: number; fps: number },
  looping: boolean,
): { frame: number; ended: boolean } {
  const next = frame + (elapsed / 1000) * motion.fps;
  if (next < motion.num_frames) return { frame: next, ended: false };
  return looping
    ? { frame: next % motion.num_frames, ended: false }
    : { frame: motion.num_frames - 1, ended: true };
}

/** Drives the playhead; returns what stops it. */
export function startPlayback(store: Pick<StoreApi<Clocked>, "getState" | "subscribe">): () => void {
  let request = 0;
  // The clock runs on to num_frames, the playhead stays on the last frame meanwhile.
  let clock = 0;
  let shown = 0;
  let before = 0;

  function tick(now: number): void {
    const state = store.getState();
    if (!state.playing) return;
    if (state.playhead !== shown) clock = state.playhead; // somebody moved it
    const next = advance(clock, Math.max(0, now - before), state.motion, state.looping);
    before = now;
    clock = next.frame;
    show(state, Math.min(clock, state.motion.num_frames - 1));
    if (next.ended) state.setPlaying(false);
    else request = requestAnimationFrame(tick);
  }
  function show(state: Clocked, frame: number): void {
    state.setPlayhead(frame);
    shown = store.getState().playhead;
  }
  function begin(): void {
    const state = store.getState();
    const last = state.motion.num_frames - 1;
    clock = state.playhead >= last ? 0 : state.playhead;
    before = performance.now();
    show(state, clock);
    cancelAnimationFrame(request);
    request = requestAnimationFrame(tick);
  }

  let playing = false;
  function watch(): void {
    const state = store.getState();
    if (state.playing === playing) return;
    playing = state.playing;
    if (playing) {
      begin();
      return;
    }
    cancelAnimationFrame(request);
    // Standing still there is a whole frame to look at.
    if (!Number.isInteger(state.playhead)) {
      state.setPlayhead(Math.min(Math.floor(state.playhead), state.motion.num_frames - 1));
    }
  }
  const unsubscribe = store.subscribe(watch);
  watch();
  return () => {
    unsubscribe();
    cancelAnimationFrame(request);
  };
}

export interface FollowOptions {
  /** How many frames the video has, where that is not the motion's number; frames of both are evenly spaced. */
  frames?: () => number | null;
}

/** Largest distance in seconds between the video and the playhead while playing, before the video is set anew. */
const DRIFT = 0.06;

/** Keeps a video of the motion at the playhead: plays with it, pauses with it, scrubs with it. Returns what ends it. */
export function followPlayhead(
  video: HTMLVideoElement,
  store: Pick<StoreApi<Clocked>, "getState" | "subscribe">,
  options: FollowOptions = {},
): () => void {
  function wanted(): number | null {
    const { motion, playhead } = store.getState();
    if (!Number.isFinite(video.duration) || video.duration <= 0) return null;
    return timeInVideo(playhead, motion.num_frames, options.frames?.() ?? motion.num_frames, video.duration);
  }
  function follow(): void {
    const time = wanted();
    if (time === null) return;
    const { playing, motion } = store.getState();
    if (playing) {
      if (video.paused) video.play().catch(() => {}); // a video that may not play is scrubbed instead
      const rate = (video.duration * motion.fps) / motion.num_frames;
      const allowed = Math.min(Math.max(rate, 0.0625), 16);
      if (video.playbackRate !== allowed) video.playbackRate = allowed;
      if (Math.abs(video.currentTime - time) > (video.paused ? 0 : DRIFT * allowed) && !video.seeking) {
        video.currentTime = time;
      }
      return;
    }
    if (!video.paused) video.pause();
    // A seek under way is not interrupted, or fast scrubbing would never show a picture; `seeked` calls again.
    if (!video.seeking && Math.abs(video.currentTime - time) > 1e-4) video.currentTime = time;
  }
  video.muted = true;
  const unsubscribe = store.subscribe(follow);
  video.addEventListener("loadedmetadata", follow);
  video.addEventListener("seeked", follow);
  follow();
  return () => {
    unsubscribe();
    video.removeEventListener("loadedmetadata", follow);
    video.removeEventListener("seeked", follow);
    video.pause();
  };
}

/** The middle of the video frame that shows a frame of the motion, in seconds. */
export function timeInVideo(
  playhead: number,
  numFrames: number,
  videoFrames: number,
  duration: number,
): number {
  const share = numFrames > 1 ? playhead / (numFrames - 1) : 0;
  const frame = Math.min(Math.floor(share * (videoFrames - 1) + 1e-6), videoFrames - 1);
  return ((frame + 0.5) / videoFrames) * duration;
}
