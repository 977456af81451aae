import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newMotion } from "../../src/motion/read";
import { writeMotion } from "../../src/motion/write";
import { followPreview, PREVIEW_MEASURE, preview, startPreviews } from "../../src/store/preview";
import { project } from "../../src/store/project";
import { editor } from "../../src/store/react";
import { received, startReceived } from "../../src/store/received";

interface Asked {
  path: string;
  body: { project: string; motion: { instructions: unknown[] }; key?: string; number?: number };
  signal: AbortSignal;
  answer(response: Response): Promise<void>;
}
let asked: Asked[];
let end: () => void;
const state = () => editor.getState();
const path = { kind: "path" as const, points: [[0, 0]] };
const problem = (code: string, message: string, status: number) =>
  new Response(JSON.stringify({ error: { code, message, details: {} } }), { status });
const clip = () => new Response("clip", { headers: { "X-Motionloom-Frames": "25" } });
const newestAsked = () => asked.at(-1) as Asked;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  asked = [];
  vi.stubGlobal("fetch", (address: string, init: RequestInit) => {
    if (init.method !== "POST") return Promise.reject(new TypeError("nothing else is asked"));
    return new Promise<Response>((resolve, reject) => {
      const signal = init.signal as AbortSignal;
      signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
      asked.push({
        path: address,
        body: JSON.parse(String(init.body)),
        signal,
        answer: async (response) => {
          resolve(response);
          for (let turn = 0; turn < 20; turn++) await Promise.resolve();
          await vi.advanceTimersByTimeAsync(1);
        },
      });
    });
  });
  let made = 0;
  vi.stubGlobal(
    "URL",
    Object.assign(URL, { createObjectURL: () => `blob:${++made}`, revokeObjectURL: () => {} }),
  );
  state().open(writeMotion(newMotion(640, 360)));
  state().setOverlay({ preview: false, received: false });
  project.setState({ project: { id: "0123456789abcdef" } as never, settings: { model: "nano" } });
});
afterEach(() => {
  end();
  project.setState({ project: null });
  vi.unstubAllGlobals();
  vi.useRealTimers();
});

it("asks after a quarter second of quiet, and only while it is on", async () => {
  end = startPreviews();
  state().add(path);
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveLength(0);
  state().setOverlay({ preview: true });
  await vi.advanceTimersByTimeAsync(200);
  state().add(path);
  await vi.advanceTimersByTimeAsync(249);
  expect(asked).toHaveLength(0);
  await vi.advanceTimersByTimeAsync(1);
  expect(asked).toHaveLength(1);
  expect(newestAsked().path).toBe("/api/v1/previews");
  expect(newestAsked().body.motion.instructions).toHaveLength(2);
  await newestAsked().answer(clip());
  expect(preview.getState()).toMatchObject({ status: "shown", url: "blob:1", frames: 25 });
  state().setOverlay({ preview: false });
  expect(preview.getState()).toMatchObject({ status: "off", url: null });
});

it("cancels what is under way when the motion changes, and keeps the old picture until the new one", async () => {
  end = startPreviews();
  state().setOverlay({ preview: true });
  state().add(path);
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(clip());
  state().add(path);
  await vi.advanceTimersByTimeAsync(250);
  const second = newestAsked();
  state().add(path);
  expect(second.signal.aborted).toBe(true);
  expect(preview.getState()).toMatchObject({ status: "waiting", url: "blob:1" });
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(clip());
  expect(asked).toHaveLength(3);
  const numbers = asked.map((each) => each.body.number ?? 0);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  expect(new Set(asked.map((each) => each.body.key)).size).toBe(1);
  expect(preview.getState()).toMatchObject({ status: "shown", url: "blob:2" });
});

it("does not ask for what looks the same: a name, or an edit that was undone", async () => {
  end = startPreviews();
  state().setOverlay({ preview: true });
  const id = state().add(path);
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(clip());
  state().rename(id, "Dog");
  state().move([id], [5, 5]);
  await vi.advanceTimersByTimeAsync(100);
  state().undo();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveLength(1);
  expect(preview.getState().status).toBe("shown");
});

it("says why there is no preview, and tries again only when that may help", async () => {
  end = startPreviews();
  state().setOverlay({ preview: true });
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(problem("bad_request", "instruction 'path-1': too many points", 400));
  expect(preview.getState()).toMatchObject({
    status: "failed",
    message: "instruction 'path-1': too many points",
  });
  await vi.advanceTimersByTimeAsync(10_000);
  expect(asked).toHaveLength(1);
  state().add(path);
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(problem("busy", "The server is busy.", 503));
  expect(preview.getState().status).toBe("failed");
  await vi.advanceTimersByTimeAsync(3000);
  expect(asked).toHaveLength(3);
});

it("measures from the edit to the first picture", async () => {
  end = startPreviews();
  performance.clearMeasures(PREVIEW_MEASURE);
  const video = document.createElement("video");
  Object.defineProperties(video, { pause: { value: () => {} }, paused: { value: true } });
  const unfollow = followPreview(video);
  state().setOverlay({ preview: true });
  await vi.advanceTimersByTimeAsync(250);
  await newestAsked().answer(clip());
  video.src = preview.getState().url as string;
  video.dispatchEvent(new Event("loadeddata"));
  video.dispatchEvent(new Event("loadeddata"));
  expect(performance.getEntriesByName(PREVIEW_MEASURE)).toHaveLength(1);
  expect(preview.getState().milliseconds).toBeGreaterThan(0);
  unfollow();
});

it("asks what the model receives while somebody looks, again when the settings are others", async () => {
  end = startReceived();
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveLength(0);
  received.setState({ watchers: 1 });
  await vi.advanceTimersByTimeAsync(400);
  expect(newestAsked().path).toBe("/api/v1/received");
  await newestAsked().answer(new Response(JSON.stringify({ flags: [], num_tracks: 3 })));
  expect(received.getState()).toMatchObject({ fresh: true, busy: false, received: { num_tracks: 3 } });
  // While something is dragged it waits for the release.
  state().preview((motion) => ({ ...motion, occlusion: false }));
  await vi.advanceTimersByTimeAsync(1000);
  expect(asked).toHaveLength(1);
  state().commit("Switch occlusion off");
  expect(received.getState().fresh).toBe(false);
  await vi.advanceTimersByTimeAsync(400);
  expect(asked).toHaveLength(2);
  project.setState({ settings: { model: "warp" } });
  await vi.advanceTimersByTimeAsync(400);
  expect(asked).toHaveLength(3);
  received.setState({ watchers: 0 });
  expect(received.getState().received).toBeNull();
});
