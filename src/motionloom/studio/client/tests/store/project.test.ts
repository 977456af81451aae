import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ApiError } from "../../src/api/client";
import type { Event, Project, ProjectSummary, ProjectWrite } from "../../src/api/types";
import { newMotion } from "../../src/motion/read";
import { writeMotion } from "../../src/motion/write";
import { createEditor } from "../../src/store/create";
import type { Keeper, Kept } from "../../src/store/kept";
import { createProjectStore } from "../../src/store/project";

const ID = "0123456789abcdef";

/** A server with one project, as strict about versions as the real one. */
function studio() {
  const motion = writeMotion(newMotion(640, 480));
  const versions: Project[] = [];
  const put = (change: Partial<Project>): Project => {
    const last = versions.at(-1);
    const next: Project = {
      id: ID,
      name: "Cat",
      created: "2026-01-01T00:00:00Z",
      updated: "2026-01-01T00:00:00Z",
      width: 640,
      height: 480,
      num_instructions: 0,
      num_results: 0,
      damaged: false,
      motion,
      settings: {},
      ...last,
      ...change,
      version: (last?.version ?? 0) + 1,
    };
    versions.push(next);
    return next;
  };
  put({});
  const writes: ProjectWrite[] = [];
  const state = { fail: null as ApiError | null, hold: null as Promise<void> | null };
  const newest = () => versions.at(-1) as Project;
  const api = {
    project: async () => newest(),
    async writeProject(_id: string, write: ProjectWrite): Promise<ProjectSummary> {
      writes.push(write);
      await state.hold;
      if (state.fail) throw state.fail;
      if (write.base_version !== newest().version && !write.overwrite)
        throw new ApiError("conflict", 409, "changed elsewhere", { version: newest().version });
      const {
        motion: _m,
        settings: _s,
        ...summary
      } = put({
        motion: write.motion,
        settings: write.settings,
        ...(write.name ? { name: write.name } : {}),
      });
      return summary;
    },
    async restoreProject() {
      if (state.fail?.code === "not_found") state.fail = null;
      return newest();
    },
    async restoreVersion(_id: string, version: number) {
      const old = versions.find((one) => one.version === version) as Project;
      return put({ motion: old.motion, settings: old.settings, name: old.name });
    },
  };
  return { api, writes, versions, newest, put, state };
}

function memoryKeeper() {
  const kept = new Map<string, Kept>();
  const keeper: Keeper = {
    keep: (one) => void kept.set(`${one.project}.${one.tab}`, structuredClone(one)),
    read: async (id) => [...kept.values()].findLast((one) => one.project === id) ?? null,
    forget: ({ project, tab }) => void kept.delete(`${project}.${tab}`),
  };
  return { keeper, kept };
}

const path = { kind: "path" as const, points: [[10, 10] as const, [50, 60] as const] };

let server: ReturnType<typeof studio>;
let memory: ReturnType<typeof memoryKeeper>;
let editor: ReturnType<typeof createEditor>;
let store: ReturnType<typeof createProjectStore>;

const open = async (tab = "mine") => {
  store = createProjectStore({
    editor,
    api: server.api,
    keeper: memory.keeper,
    write: writeMotion,
    tab,
    delay: 400,
  });
  await store.getState().openProject(ID);
};
const draw = () =>
  editor.getState().add({
    kind: "path",
    points: [
      { x: 10, y: 10 },
      { x: 50, y: 60 },
    ],
  });
const wait = (ms: number) => vi.advanceTimersByTimeAsync(ms);

beforeEach(async () => {
  vi.useFakeTimers();
  server = studio();
  memory = memoryKeeper();
  editor = createEditor();
  await open();
});
afterEach(() => vi.useRealTimers());

describe("autosave", () => {
  test("waits 400 ms after the last edit and writes once", async () => {
    draw();
    await wait(300);
    draw();
    await wait(300);
    expect(server.writes).toHaveLength(0);
    expect(store.getState().saving).toBe("unsaved");
    await wait(150);
    expect(server.writes).toHaveLength(1);
    expect(server.writes[0]).toMatchObject({ base_version: 1, tab: "mine" });
    expect(store.getState()).toMatchObject({ saving: "saved", project: { version: 2 } });
    expect((server.newest().motion.instructions as unknown[]).length).toBe(2);
  });

  test("what is drawn while a write is under way is written next, on its version", async () => {
    let release = () => {};
    server.state.hold = new Promise((resolve) => {
      release = resolve;
    });
    draw();
    await wait(450);
    expect(store.getState().saving).toBe("saving");
    draw();
    await wait(2_000);
    expect(server.writes).toHaveLength(1);
    release();
    server.state.hold = null;
    await wait(500);
    expect(server.writes.map((one) => one.base_version)).toEqual([1, 2]);
    expect(store.getState().saving).toBe("saved");
    expect((server.newest().motion.instructions as unknown[]).length).toBe(2);
  });

  test("undone back to what is saved needs no write", async () => {
    draw();
    editor.getState().undo();
    await wait(1_000);
    expect(server.writes).toHaveLength(0);
    expect(store.getState().saving).toBe("saved");
  });

  test("settings and the name are saved, too", async () => {
    store.getState().updateSettings({ seed: 7 });
    store.getState().rename("  Dog ");
    await wait(450);
    expect(server.newest()).toMatchObject({ name: "Dog", settings: { seed: 7 } });
    expect(store.getState().project?.name).toBe("Dog");
  });

  test("save resolves when the newest state is on the server", async () => {
    draw();
    await store.getState().save();
    expect(server.newest().version).toBe(2);
  });

  test("going to another project saves this one first", async () => {
    draw();
    await store.getState().closeProject();
    expect(server.newest().version).toBe(2);
    expect(store.getState().project).toBeNull();
  });
});

describe("without a server", () => {
  test("work is kept in the browser, tried again, and forgotten once it is saved", async () => {
    server.state.fail = new ApiError("offline", 0, "no answer");
    draw();
    await wait(450);
    expect(store.getState()).toMatchObject({ saving: "offline", problem: "no answer" });
    expect(memory.kept.get(`${ID}.mine`)?.base_version).toBe(1);
    draw();
    await wait(1_100);
    expect(server.writes.length).toBeGreaterThan(1);
    expect(memory.kept.get(`${ID}.mine`)?.motion.instructions).toHaveLength(2);
    server.state.fail = null;
    store.getState().reconnected();
    await wait(10);
    expect(store.getState()).toMatchObject({ saving: "saved", problem: null });
    expect(memory.kept.has(`${ID}.mine`)).toBe(false);
  });

  test("after a reload what never reached the server is offered, and comes back", async () => {
    server.state.fail = new ApiError("offline", 0, "no answer");
    draw();
    await wait(450);
    server.state.fail = null;
    editor = createEditor();
    await open("reloaded");
    expect(store.getState().kept?.project).toBe(ID);
    expect(editor.getState().motion.instructions).toHaveLength(0);
    store.getState().restoreKept();
    expect(editor.getState().motion.instructions).toHaveLength(1);
    await wait(450);
    expect((server.newest().motion.instructions as unknown[]).length).toBe(1);
    expect(memory.kept.size).toBe(0);
  });

  test("nothing is offered when the last write did arrive", async () => {
    draw();
    memory.keeper.keep({
      project: ID,
      tab: "mine",
      name: "Cat",
      base_version: 1,
      motion: writeMotion(editor.getState().motion),
      settings: {},
      at: "2026-01-01T00:00:00Z",
    });
    await store.getState().save();
    editor = createEditor();
    await open();
    expect(store.getState().kept).toBeNull();
  });

  test("a full disk is said, kept, and tried again", async () => {
    server.state.fail = new ApiError("disk_full", 507, "The disk is full.");
    draw();
    await wait(450);
    expect(store.getState()).toMatchObject({ saving: "unsaved", problem: "The disk is full." });
    expect(memory.kept.has(`${ID}.mine`)).toBe(true);
    server.state.fail = null;
    await wait(5_000);
    expect(store.getState()).toMatchObject({ saving: "saved", problem: null });
  });

  test("a motion that the server refuses is not sent again and again", async () => {
    server.state.fail = new ApiError("bad_request", 400, "motion: too many points");
    draw();
    await wait(60_000);
    expect(server.writes).toHaveLength(1);
    expect(store.getState()).toMatchObject({ saving: "unsaved", problem: "motion: too many points" });
  });
});

test("put into the trash elsewhere: said, kept, and brought back with what was drawn", async () => {
  server.state.fail = new ApiError("not_found", 404, "There is no project");
  draw();
  await wait(450);
  expect(store.getState()).toMatchObject({ saving: "unsaved", isGone: true });
  expect(memory.kept.size).toBe(1);
  await store.getState().bringBack();
  expect(store.getState()).toMatchObject({ saving: "saved", isGone: false, problem: null });
  expect(server.newest().motion.instructions).toHaveLength(1);
  expect(memory.kept.size).toBe(0);
});

describe("two tabs", () => {
  const theirs = () => ({
    ...writeMotion(newMotion(640, 480)),
    instructions: [{ ...path, id: "their-path" }],
  });
  const event = (tab: string): Event => {
    const { motion: _m, settings: _s, ...summary } = server.newest();
    return {
      id: 1,
      kind: "project",
      job: null,
      result: null,
      project: summary,
      workers: null,
      removed: null,
      tab,
    };
  };
  const ids = (project: Project) => (project.motion.instructions as { id: string }[]).map((one) => one.id);

  test("a tab without changes follows the other one", async () => {
    server.put({ motion: theirs() });
    store.getState().hear(event("other"));
    await wait(10);
    expect(editor.getState().motion.instructions.map((one) => one.id)).toEqual(["their-path"]);
    expect(store.getState().project?.version).toBe(2);
  });

  test("its own writes do not make it load", async () => {
    draw();
    await store.getState().save();
    const before = editor.getState().motion;
    store.getState().hear(event("mine"));
    await wait(10);
    expect(editor.getState().motion).toBe(before);
    expect(editor.getState().canUndo).toBe(true);
  });

  test("both changed: asks, and writes nothing over the other", async () => {
    server.put({ motion: theirs() });
    draw();
    await wait(450);
    expect(store.getState()).toMatchObject({ saving: "conflict", conflict: { version: 2 } });
    draw();
    await wait(60_000);
    expect(server.writes).toHaveLength(1);
    await expect(store.getState().save()).rejects.toThrow(/Another tab/);
  });

  test("keep mine: mine goes on, theirs is an older version", async () => {
    server.put({ motion: theirs() });
    draw();
    await wait(450);
    await store.getState().resolveConflict("mine");
    expect(store.getState().saving).toBe("saved");
    expect(ids(server.newest())).toEqual(["path-1"]);
    expect(server.versions.map(ids)).toContainEqual(["their-path"]);
  });

  test("take theirs: theirs goes on, mine is an older version", async () => {
    server.put({ motion: theirs() });
    draw();
    await wait(450);
    await store.getState().resolveConflict("theirs");
    expect(store.getState().saving).toBe("saved");
    expect(ids(server.newest())).toEqual(["their-path"]);
    expect(server.versions.map(ids)).toContainEqual(["path-1"]);
    expect(editor.getState().motion.instructions.map((one) => one.id)).toEqual(["their-path"]);
  });

  test("take theirs: the newest of theirs, also what was written while the question stood", async () => {
    server.put({ motion: theirs() });
    draw();
    await wait(450);
    server.put({ motion: { ...theirs(), instructions: [{ ...path, id: "their-second" }] } });
    store.getState().hear(event("other"));
    await store.getState().resolveConflict("theirs");
    expect(ids(server.newest())).toEqual(["their-second"]);
  });

  test("what the other wrote while a save was under way is followed after it", async () => {
    const write = server.api.writeProject;
    server.api.writeProject = async (id, body) => {
      const answer = await write(id, body);
      // Theirs came right after ours, and its news before our answer.
      server.put({ motion: theirs() });
      store.getState().hear(event("other"));
      return answer;
    };
    draw();
    await wait(500);
    expect(editor.getState().motion.instructions.map((one) => one.id)).toEqual(["their-path"]);
    expect(store.getState()).toMatchObject({ saving: "saved", project: { version: 3 } });
  });

  test("what one tab keeps in the browser another one's saving leaves alone", async () => {
    server.put({ motion: theirs() });
    draw();
    await wait(450);
    expect(store.getState().saving).toBe("conflict");
    const other = createEditor();
    editor = other;
    await open("other");
    draw();
    await store.getState().save();
    expect([...memory.kept.keys()]).toEqual([`${ID}.mine`]);
  });
});
