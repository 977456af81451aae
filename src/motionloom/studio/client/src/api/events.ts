// The server's events as they happen: one stream for the page, which comes back by itself and asks for what it missed.

import { BASE } from "./client";
import type { Event } from "./types";

const KINDS: readonly Event["kind"][] = [
  "job",
  "job_removed",
  "result",
  "result_removed",
  "project",
  "project_removed",
  "workers",
];

export type Connection = "connecting" | "open" | "lost";

/** What is used of the browser's EventSource. */
export interface Source {
  readyState: number;
  onopen: ((event: globalThis.Event) => void) | null;
  onerror: ((event: globalThis.Event) => void) | null;
  addEventListener(kind: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface StreamOptions {
  onEvent(event: Event): void;
  onConnection(connection: Connection): void;
  /** The stream is there again after it was lost: what is shown may be old. */
  onResumed(): void;
  open?(address: string): Source;
  /** First wait before trying again, in ms; it doubles up to 16 times as much. */
  retryMs?: number;
}

/**
 * Starts listening. Returns `stop`; `again`, which tries at once (as when the browser says it is online); and `pause`,
 * which lets go of the connection until then: browsers open only six to one server, for all tabs together.
 */
export function listen({
  onEvent,
  onConnection,
  onResumed,
  open = openSource,
  retryMs = 1_000,
}: StreamOptions) {
  let source: Source | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let newest: number | null = null;
  let wait = retryMs;
  let wasLost = false;
  let stopped = false;

  const connect = () => {
    clearTimeout(timer);
    if (stopped) return;
    source?.close();
    const mine = open(`${BASE}/events${newest === null ? "" : `?after=${newest}`}`);
    source = mine;
    mine.onopen = () => {
      if (mine !== source) return;
      wait = retryMs;
      onConnection("open");
      if (wasLost) onResumed();
      wasLost = false;
    };
    mine.onerror = () => {
      if (mine !== source) return;
      wasLost = true;
      onConnection("lost");
      // Our own turn even where the browser would try again by itself: it gives up on answers that are not 200, and its
      // wait is not ours to choose.
      mine.close();
      timer = setTimeout(connect, wait);
      wait = Math.min(wait * 2, retryMs * 16);
    };
    for (const kind of KINDS)
      mine.addEventListener(kind, (message) => {
        if (mine !== source) return;
        const event = parse(message.data);
        if (!event) return;
        // The greeting with the workers has the newest number there is, or none.
        if (event.id > (newest ?? -1)) newest = event.id;
        onEvent(event);
      });
  };

  onConnection("connecting");
  connect();
  return {
    stop() {
      stopped = true;
      clearTimeout(timer);
      source?.close();
    },
    pause() {
      clearTimeout(timer);
      source?.close();
      source = null;
      wasLost = true;
    },
    again() {
      if (wasLost) {
        wait = retryMs;
        connect();
      }
    },
  };
}

function openSource(address: string): Source {
  return new EventSource(address);
}

function parse(text: string): Event | null {
  try {
    return JSON.parse(text) as Event;
  } catch {
    return null;
  }
}
