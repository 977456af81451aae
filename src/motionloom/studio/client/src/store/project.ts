// The open project: which one it is, how its videos are made, and that nothing drawn is ever lost.
//
// Every edit is saved 400 ms after the last one, one write at a time. What is not on the server yet is kept in the browser
// as well. Two tabs on one project: the later write is refused by the server (409); the person chooses which state goes
// on, and the other one stays among the versions.

import { useStore } from "zustand";
import { createStore, type StoreApi } from "zustand/vanilla";
import { ApiError, api, errorText, projectWrite } from "../api/client";
import type { Event, GenerationSettings, Project, ProjectSummary, ProjectWrite } from "../api/types";
import type { Motion, MotionDocument } from "../motion/document";
import { writeMotion } from "../motion/write";
import type { EditorState } from "./editor";
import { type Keeper, type Kept, keeper } from "./kept";
import { editor } from "./react";

/** unsaved: waits for its turn, or for what `problem` says. */
export type Saving = "saved" | "saving" | "unsaved" | "conflict" | "offline";

export interface ProjectState {
  project: ProjectSummary | null;
  settings: GenerationSettings;
  saving: Saving;
  /** Why it is not saved, for people. */
  problem: string | null;
  /** It was put into the trash elsewhere while it is open here. */
  isGone: boolean;
  /** The version on the server that another tab wrote. */
  conflict: { version: number } | null;
  /** Motion of an earlier visit that never reached the server; `restoreKept` or `dropKept`. */
  kept: Kept | null;

  openProject(id: string): Promise<void>;
  /** Saves what is not saved and puts the project away. */
  closeProject(): Promise<void>;
  updateSettings(change: Partial<GenerationSettings>): void;
  rename(name: string): void;
  /** Saves now; resolves when the state of the call is on the server, throws an ApiError when it cannot be. */
  save(): Promise<void>;
  /** mine: this tab's state goes on; theirs: the server's does. The other one stays among the versions. */
  resolveConflict(choice: "mine" | "theirs"): Promise<void>;
  /** Takes it out of the trash again, with what is drawn here. Throws an ApiError. */
  bringBack(): Promise<void>;
  /** Shows a project that was read anew, as after restoring a version. */
  show(project: Project): void;
  restoreKept(): void;
  dropKept(): void;
  /** What happened on the server, from the event stream. */
  hear(event: Event): void;
  /** The server can be reached again. */
  reconnected(): void;
}

export interface ProjectParts {
  editor: StoreApi<EditorState>;
  api: Pick<typeof api, "project" | "writeProject" | "restoreVersion" | "restoreProject">;
  keeper: Keeper;
  write(motion: Motion): MotionDocument;
  /** Who writes, so that a tab does not take its own writes for another's. */
  tab: string;
  delay: number;
}

const SETTINGS: GenerationSettings = {};
const GONE = "It was put into the trash elsewhere.";
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];
/** What browsers let outlive a page. */
const KEEPALIVE_BYTES = 60_000;

export function createProjectStore(parts: ProjectParts): StoreApi<ProjectState> {
  const { editor, api, keeper, write, tab, delay } = parts;
  let savedMotion: Motion | null = null;
  let savedSettings: GenerationSettings = SETTINGS;
  let savedName = "";
  let timer: ReturnType<typeof setTimeout> | undefined;
  let running: Promise<void> | null = null;
  let failures = 0;
  let opening = 0;
  /** The newest version that another tab is known to have written. */
  let heard = 0;
  let broughtBack: Kept | null = null;

  const store = createStore<ProjectState>((set, get) => {
    const name = () => get().project?.name ?? "";
    const isDirty = () =>
      get().project !== null &&
      (editor.getState().motion !== savedMotion || get().settings !== savedSettings || name() !== savedName);

    const keep = () => {
      const project = get().project;
      if (!project || !isDirty()) return;
      keeper.keep({
        project: project.id,
        tab,
        name: project.name,
        base_version: project.version,
        motion: write(editor.getState().motion),
        settings: get().settings,
        at: new Date().toISOString(),
      });
    };

    /** What this tab kept is on the server, and so is what it brought back. */
    const forget = () => {
      const project = get().project;
      if (project) keeper.forget({ project: project.id, tab });
      if (broughtBack && broughtBack.project === project?.id) keeper.forget(broughtBack);
      broughtBack = null;
    };

    const show = (project: Project) => {
      const { motion, settings, ...summary } = project;
      clearTimeout(timer);
      failures = 0;
      heard = 0;
      editor.getState().open(motion, project.id);
      savedMotion = editor.getState().motion;
      savedSettings = settings;
      savedName = project.name;
      set({ project: summary, settings, saving: "saved", problem: null, isGone: false, conflict: null });
    };

    const changed = () => {
      if (!isDirty()) {
        // Undone back to what is saved.
        if (get().saving === "unsaved") {
          clearTimeout(timer);
          set({ saving: "saved", problem: null });
          forget();
        }
        return;
      }
      if (get().saving === "conflict") return keep();
      if (get().saving !== "offline" && !running) set({ saving: "unsaved" });
      later(get().saving === "offline" ? Math.max(delay, 1_000) : delay);
    };

    const later = (wait: number) => {
      clearTimeout(timer);
      timer = setTimeout(() => void flush().catch(() => {}), wait);
    };

    const flush = async (extra: Partial<ProjectWrite> = {}): Promise<void> => {
      clearTimeout(timer);
      while (running) await running.catch(() => {});
      running = once(extra).finally(() => {
        running = null;
        if (get().saving === "saved" && isDirty()) changed();
      });
      return running;
    };

    const once = async (extra: Partial<ProjectWrite>): Promise<void> => {
      const project = get().project;
      if (!project || (!isDirty() && !extra.overwrite)) return;
      if (get().saving === "conflict" && !extra.overwrite)
        throw new ApiError(
          "conflict",
          409,
          "Another tab changed this project. Choose which state goes on, then try again.",
        );
      const motion = editor.getState().motion;
      const settings = get().settings;
      const written = project.name;
      keep();
      set({ saving: "saving" });
      try {
        const summary = await api.writeProject(
          project.id,
          projectWrite(project.version, write(motion), settings, { name: written, tab, ...extra }),
        );
        failures = 0;
        if (get().project?.id !== project.id) return;
        savedMotion = motion;
        savedSettings = settings;
        savedName = written;
        // A name typed meanwhile stays; it is saved next.
        set({ project: { ...summary, name: name() }, saving: "saved", problem: null, conflict: null });
        if (!isDirty()) forget();
        if (heard > summary.version) follow();
      } catch (error) {
        if (get().project?.id === project.id) failed(error);
        throw error;
      }
    };

    const failed = (error: unknown) => {
      const wait = RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)] ?? 15_000;
      if (!(error instanceof ApiError)) {
        set({ saving: "unsaved", problem: errorText(error) });
      } else if (error.code === "conflict") {
        const version = Number(error.details.version ?? 0);
        set({ saving: "conflict", problem: error.message, conflict: { version } });
      } else if (error.code === "not_found") {
        set({ saving: "unsaved", problem: GONE, isGone: true });
      } else if (error.code === "offline") {
        set({ saving: "offline", problem: error.message });
        later(wait);
      } else {
        set({ saving: "unsaved", problem: error.message });
        // The disk may have room again, the token may have been given: worth trying. A motion that the server refuses
        // is not, until it is changed.
        if (["disk_full", "busy", "failed", "unauthorised"].includes(error.code))
          later(Math.max(wait, 4_000));
      }
    };

    /** Shows what another tab wrote, where this one has nothing of its own. */
    const follow = () => {
      const project = get().project;
      if (!project || isDirty()) return;
      const turn = ++opening;
      void api
        .project(project.id)
        .then((fresh) => {
          if (turn === opening && !isDirty() && fresh.version > (get().project?.version ?? 0)) show(fresh);
        })
        .catch(() => {});
    };

    editor.subscribe((state, before) => {
      if (state.motion !== before.motion) changed();
    });

    if (typeof window !== "undefined") {
      const leave = () => {
        keep();
        const project = get().project;
        if (!project || !isDirty() || running || get().saving === "conflict") return;
        const body = projectWrite(project.version, write(editor.getState().motion), get().settings, {
          name: name(),
          tab,
        });
        // Too large to outlive the page: the browser keeps it, and it is offered when the page is there again.
        if (JSON.stringify(body).length < KEEPALIVE_BYTES)
          void api.writeProject(project.id, body, true).catch(() => {});
      };
      window.addEventListener("pagehide", leave);
      document.addEventListener("visibilitychange", () => {
        if (document.visibilityState === "hidden") {
          keep();
          void flush().catch(() => {});
        }
      });
      window.addEventListener("beforeunload", (event) => {
        if (!isDirty()) return;
        keep();
        // Otherwise it is saved while the page closes; here it waits in the browser, which is worth a word.
        if (get().saving === "offline" || get().saving === "conflict") event.preventDefault();
      });
    }

    return {
      project: null,
      settings: SETTINGS,
      saving: "saved",
      problem: null,
      isGone: false,
      conflict: null,
      kept: null,

      async openProject(id) {
        const turn = ++opening;
        if (get().project && get().project?.id !== id) await flush().catch(() => {});
        const [project, kept] = await Promise.all([api.project(id), keeper.read(id).catch(() => null)]);
        if (turn !== opening) return;
        show(project);
        set({ kept: kept && !isSame(kept, project) ? kept : null });
        if (kept && isSame(kept, project)) keeper.forget(kept);
      },
      async closeProject() {
        const turn = ++opening;
        await flush().catch(() => {});
        // Another one was opened meanwhile; it has taken this one's place.
        if (turn !== opening) return;
        clearTimeout(timer);
        set({ project: null, kept: null, conflict: null, saving: "saved", problem: null, isGone: false });
      },
      updateSettings(change) {
        set({ settings: { ...get().settings, ...change } });
        changed();
      },
      rename(to) {
        const project = get().project;
        const name = to.trim().slice(0, 200);
        if (!project || !name || name === project.name) return;
        set({ project: { ...project, name } });
        changed();
      },
      save: () => flush(),
      async resolveConflict(choice) {
        const { project, conflict } = get();
        if (!project || !conflict) return;
        // Either way this tab's state is written, over theirs: the server keeps both among the versions.
        await flush({ overwrite: true, base_version: conflict.version });
        if (choice === "theirs") show(await api.restoreVersion(project.id, conflict.version));
      },
      async bringBack() {
        const { project } = get();
        if (!project) return;
        const { version } = await api.restoreProject(project.id);
        set({ project: { ...project, version }, isGone: false, problem: null });
        await flush();
      },
      show,
      restoreKept() {
        const { kept, project } = get();
        if (!kept || kept.project !== project?.id) return;
        broughtBack = kept;
        editor.getState().open(kept.motion, project.id);
        set({ kept: null, settings: kept.settings });
        changed();
      },
      dropKept() {
        const { kept } = get();
        if (kept) keeper.forget(kept);
        set({ kept: null });
      },
      hear(event) {
        const { project, saving } = get();
        if (!project) return;
        if (event.kind === "project_removed" && event.removed === project.id) set({ isGone: true });
        if (event.kind !== "project" || event.project?.id !== project.id) return;
        if (get().isGone) set({ isGone: false, problem: null });
        if (event.tab === tab || event.project.version <= project.version) return;
        heard = Math.max(heard, event.project.version);
        if (saving === "conflict") set({ conflict: { version: heard } });
        else if (saving === "saving") return;
        else if (isDirty()) void flush().catch(() => {});
        else follow();
      },
      reconnected() {
        failures = 0;
        if (isDirty() && get().saving !== "conflict") void flush().catch(() => {});
      },
    };
  });
  return store;
}

export const project = createProjectStore({
  editor,
  api,
  keeper,
  write: writeMotion,
  tab: makeTab(),
  delay: 400,
});

export function useProject<Value>(selector: (state: ProjectState) => Value): Value {
  return useStore(project, selector);
}

function makeTab(): string {
  return typeof crypto?.randomUUID === "function" ? crypto.randomUUID() : Math.random().toString(36).slice(2);
}

/** Whether what was kept did reach the server: its motion and settings are those of the project. */
function isSame(kept: Kept, project: Project): boolean {
  return (
    JSON.stringify(sorted(kept.motion)) === JSON.stringify(sorted(project.motion)) &&
    JSON.stringify(sorted(withoutDefaults(kept.settings))) ===
      JSON.stringify(sorted(withoutDefaults(project.settings)))
  );
}

function withoutDefaults(settings: GenerationSettings): Record<string, unknown> {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null));
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
