// A safety net in the browser: motion that is not on the server yet outlives a crash, a reload, a server that is gone.

import type { GenerationSettings } from "../api/types";
import type { MotionDocument } from "../motion/document";

export interface Kept {
  project: string;
  name: string;
  /** Of the project the motion was made from. */
  base_version: number;
  motion: MotionDocument;
  settings: GenerationSettings;
  /** ISO time. */
  at: string;
}

export interface Keeper {
  keep(kept: Kept): void;
  read(project: string): Promise<Kept | null>;
  forget(project: string): void;
}

const PREFIX = "motionloom.unsaved.";

/** localStorage, which is there at once while a page closes; IndexedDB for what is too large for it. */
export const keeper: Keeper = {
  keep(kept) {
    try {
      localStorage.setItem(PREFIX + kept.project, JSON.stringify(kept));
    } catch {
      // An older, smaller state must not be what comes back.
      try {
        localStorage.removeItem(PREFIX + kept.project);
      } catch {
        // No storage at all.
      }
      void inDatabase("readwrite", (store) => store.put(kept, kept.project));
    }
  },
  async read(project) {
    const large = await inDatabase<Kept | undefined>("readonly", (store) => store.get(project));
    let small: Kept | null = null;
    try {
      small = JSON.parse(localStorage.getItem(PREFIX + project) ?? "null") as Kept | null;
    } catch {
      // Damaged: as if nothing were there.
    }
    if (small && large) return small.at >= large.at ? small : large;
    return small ?? large ?? null;
  },
  forget(project) {
    try {
      localStorage.removeItem(PREFIX + project);
    } catch {
      // Nothing was kept.
    }
    void inDatabase("readwrite", (store) => store.delete(project));
  },
};

const DATABASE = "motionloom";
const STORE = "unsaved";

function inDatabase<Value>(
  mode: IDBTransactionMode,
  act: (store: IDBObjectStore) => IDBRequest,
): Promise<Value | undefined> {
  return new Promise((resolve) => {
    if (typeof indexedDB === "undefined") return resolve(undefined);
    const opening = indexedDB.open(DATABASE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    opening.onerror = () => resolve(undefined);
    opening.onsuccess = () => {
      const database = opening.result;
      try {
        const request = act(database.transaction(STORE, mode).objectStore(STORE));
        request.onsuccess = () => resolve(request.result as Value);
        request.onerror = () => resolve(undefined);
        request.transaction?.addEventListener("complete", () => database.close());
      } catch {
        resolve(undefined);
      }
    };
  });
}
