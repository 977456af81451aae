import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { newest } from "../../src/store/newest";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

function asker() {
  const log: string[] = [];
  const open = new Map<
    string,
    { resolve(answer: string): void; reject(error: Error): void; signal: AbortSignal }
  >();
  const requests = newest<string, string>({
    quiet: 250,
    again: 3000,
    ask: (question, signal) =>
      new Promise((resolve, reject) => {
        open.set(question, { resolve, reject, signal });
        signal.addEventListener("abort", () => reject(new DOMException("stopped", "AbortError")));
      }),
    asking: (question) => log.push(`asking ${question}`),
    answered: (answer, question) => log.push(`${question}: ${answer}`),
    failed: (error) => log.push(`failed ${(error as Error).message}`),
    retryable: (error) => (error as Error).message === "offline",
  });
  return { log, open, requests };
}

it("waits for quiet and asks the newest alone", async () => {
  const { log, open, requests } = asker();
  requests.want("a");
  await vi.advanceTimersByTimeAsync(200);
  requests.want("b");
  await vi.advanceTimersByTimeAsync(249);
  expect(log).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  open.get("b")?.resolve("yes");
  await vi.advanceTimersByTimeAsync(0);
  expect(log).toEqual(["asking b", "b: yes"]);
  expect([...open.keys()]).toEqual(["b"]);
});

it("cancels what is under way, and hears nothing of it any more", async () => {
  const { log, open, requests } = asker();
  requests.want("a");
  await vi.advanceTimersByTimeAsync(250);
  requests.want("b");
  expect(open.get("a")?.signal.aborted).toBe(true);
  await vi.advanceTimersByTimeAsync(250);
  open.get("b")?.resolve("yes");
  await vi.advanceTimersByTimeAsync(0);
  expect(log).toEqual(["asking a", "asking b", "b: yes"]);
});

it("asks again only what may go better then", async () => {
  const { log, open, requests } = asker();
  requests.want("a");
  await vi.advanceTimersByTimeAsync(250);
  open.get("a")?.reject(new Error("offline"));
  await vi.advanceTimersByTimeAsync(3000);
  open.get("a")?.reject(new Error("wrong"));
  await vi.advanceTimersByTimeAsync(10_000);
  expect(log).toEqual(["asking a", "failed offline", "asking a", "failed wrong"]);
});

it("stops", async () => {
  const { log, open, requests } = asker();
  requests.want("a");
  await vi.advanceTimersByTimeAsync(250);
  requests.stop();
  requests.want("b");
  requests.stop();
  await vi.advanceTimersByTimeAsync(5000);
  expect(open.get("a")?.signal.aborted).toBe(true);
  expect(log).toEqual(["asking a"]);
});
