// A safety net in the browser: motion that is not on the server yet outlives a crash, a reload, a server that is gone.

import type { GenerationSettings } from "../api/types";
import type { MotionDocument } from "../motion/document";

export interface Kept {
  project: string;
  /** Whose work it is: every tab keeps its own. */
  tab: string;
  name: string;
  /** Of the project the motion was made from. */
  base_version: number;
  motion: MotionDocument;
  settings: GenerationSettings;
  /** ISO time. */
  at: string;
}

export interface Keeper {
  /** In place of what this tab kept of this project before. */
  keep(kept: Kept): void;
  /** The newest of all tabs. */
  read(project: string): Promise<Kept | null>;
  forget(kept: Pick<Kept, "project" | "tab">): void;
}

const PREFIX = "motionloom.unsaved.";

/** localStorage, which is there at once while a page closes; IndexedDB for what is too large for it. */
export const keeper: Keeper = {
  keep(kept) {
    const key = keyOf(kept);
    try {
      localStorage.setItem(PREFIX + key, JSON.stringify(kept));
    } catch {
      // An older, smaller state must not be what comes back.
      try {
        localStorage.removeItem(PREFIX + key);
      } catch {
        // No storage at all.
      }
      void inDatabase("readwrite", (store) => store.put(kept, key));
    }
  },
  async read(project) {
    const large = await inDatabase<Kept[]>("readonly", (store) =>
      store.getAll(IDBKeyRange.bound(`${project}.`, `${project}/`)),
    );
    const found = [...(large ?? []), ...inStorage(project)];
    return found.reduce<Kept | null>((newest, one) => (newest && newest.at >= one.at ? newest : one), null);
  },
  forget(kept) {
    const key = keyOf(kept);
    try {
      localStorage.removeItem(PREFIX + key);
    } catch {
      // Nothing was kept.
    }
    void inDatabase("readwrite", (store) => store.delete(key));
  },
};

function keyOf({ project, tab }: Pick<Kept, "project" | "tab">): string {
  return `${project}.${tab}`;
}

function inStorage(project: string): Kept[] {
  const found: Kept[] = [];
  try {
    for (const [key, text] of Object.entries({ ...localStorage })) {
      if (!key.startsWith(`${PREFIX}${project}.`)) continue;
      try {
        found.push(JSON.parse(text) as Kept);
      } catch {
        // Damaged: as if it were not there.
      }
    }
  } catch {
    // No storage.
  }
  return found;
}

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
