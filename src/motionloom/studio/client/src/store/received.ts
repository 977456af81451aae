// What the chosen model will really receive of the motion: asked of the server after edits, while somebody looks at it.

import { useEffect } from "react";
import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { ApiError, api, errorText, isAbort } from "../api/client";
import type { GenerationSettings, Received, ReceivedRequest } from "../api/types";
import type { Motion } from "../motion/document";
import { writeMotion } from "../motion/write";
import { newest } from "./newest";
import { project } from "./project";
import { editor } from "./react";

export interface ReceivedState {
  /** The newest answer; null before the first one, or when nobody looks. */
  received: Received | null;
  /** Whether `received` is of the motion as it is now. */
  fresh: boolean;
  busy: boolean;
  message: string | null;
  /** How many look at it, beside the canvas overlay. */
  watchers: number;
}

const QUIET_MS = 400;
const AGAIN_MS = 3000;

export const received = createStore<ReceivedState>(() => ({
  received: null,
  fresh: false,
  busy: false,
  message: null,
  watchers: 0,
}));

export function useReceived<Value>(selector: (state: ReceivedState) => Value): Value {
  return useStore(received, selector);
}

/** Asks for it as long as the component is there and `on`. */
export function useWatchReceived(on = true): void {
  useEffect(() => {
    if (!on) return;
    received.setState((state) => ({ watchers: state.watchers + 1 }));
    return () => received.setState((state) => ({ watchers: state.watchers - 1 }));
  }, [on]);
}

/** Watches the editor and the settings and asks while it is wanted; returns what ends it. */
export function startReceived(): () => void {
  let motion: Motion | null = null;
  let settings: GenerationSettings | null = null;
  let asked: string | null = null;

  const requests = newest<ReceivedRequest, Received>({
    quiet: QUIET_MS,
    again: AGAIN_MS,
    ask: (question, signal) => api.received(question, signal),
    asking: () => received.setState({ busy: true }),
    answered: (answer) => received.setState({ received: answer, fresh: true, busy: false, message: null }),
    failed: (error) => {
      if (!isAbort(error)) received.setState({ busy: false, message: errorText(error) });
    },
    retryable: (error) => error instanceof ApiError && ["offline", "busy"].includes(error.code),
  });

  function watch(): void {
    const state = editor.getState();
    const { project: summary, settings: chosen } = project.getState();
    const wanted = state.overlay.received || received.getState().watchers > 0;
    if (!wanted || !summary) {
      if (motion !== null) requests.stop();
      motion = null;
      // What is not kept up to date is not shown, nor what belongs to another project.
      if (received.getState().received || received.getState().busy) {
        received.setState({ received: null, fresh: false, busy: false, message: null });
      }
      return;
    }
    // Not while something is dragged: the answer is for what is there when it is let go.
    if (state.motion === motion && chosen === settings && summary.id === asked) return;
    motion = state.motion;
    settings = chosen;
    asked = summary.id;
    received.setState({ fresh: false });
    requests.want({ project: summary.id, motion: writeMotion(motion), settings: chosen });
  }

  const ends = [editor.subscribe(watch), project.subscribe(watch), received.subscribe(watch)];
  watch();
  return () => {
    for (const end of ends) end();
    requests.stop();
  };
}
