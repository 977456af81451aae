import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Connection, listen, type Source } from "../../src/api/events";

class FakeSource implements Source {
  readyState = 0;
  onopen: Source["onopen"] = null;
  onerror: Source["onerror"] = null;
  closed = false;
  listeners = new Map<string, (event: MessageEvent<string>) => void>();
  constructor(readonly address: string) {}
  addEventListener(kind: string, listener: (event: MessageEvent<string>) => void) {
    this.listeners.set(kind, listener);
  }
  close() {
    this.closed = true;
  }
  send(kind: string, id: number) {
    this.listeners.get(kind)?.({ data: JSON.stringify({ id, kind }) } as MessageEvent<string>);
  }
}

let sources: FakeSource[];
let heard: number[];
let states: Connection[];
let resumed: number;
const start = () =>
  listen({
    onEvent: (event) => heard.push(event.id),
    onConnection: (state) => states.push(state),
    onResumed: () => resumed++,
    open: (address) => {
      const source = new FakeSource(address);
      sources.push(source);
      return source;
    },
    retryMs: 1_000,
  });
const last = () => sources.at(-1) as FakeSource;
const open = () => last().onopen?.({} as Event);
const lose = () => last().onerror?.({} as Event);

beforeEach(() => {
  vi.useFakeTimers();
  sources = [];
  heard = [];
  states = [];
  resumed = 0;
});
afterEach(() => vi.useRealTimers());

test("begins with new events alone and hands them on", () => {
  start();
  open();
  last().send("workers", 41);
  last().send("job", 42);
  expect(last().address).toBe("/api/v1/events");
  expect(heard).toEqual([41, 42]);
  expect(states).toEqual(["connecting", "open"]);
  expect(resumed).toBe(0);
});

test("comes back after a loss and asks for what it missed", () => {
  start();
  open();
  last().send("job", 42);
  lose();
  expect(last().closed).toBe(true);
  expect(states.at(-1)).toBe("lost");
  vi.advanceTimersByTime(1_000);
  expect(sources).toHaveLength(2);
  expect(last().address).toBe("/api/v1/events?after=42");
  open();
  expect(states.at(-1)).toBe("open");
  expect(resumed).toBe(1);
});

test("waits longer each time, and not at all when told", () => {
  const stream = start();
  lose();
  vi.advanceTimersByTime(1_000);
  lose();
  vi.advanceTimersByTime(1_999);
  expect(sources).toHaveLength(2);
  vi.advanceTimersByTime(1);
  expect(sources).toHaveLength(3);
  lose();
  stream.again();
  expect(sources).toHaveLength(4);
});

test("a stream that was left says nothing more", () => {
  const stream = start();
  open();
  const old = last();
  lose();
  vi.advanceTimersByTime(1_000);
  old.send("job", 50);
  expect(heard).toEqual([]);
  stream.stop();
  lose();
  vi.advanceTimersByTime(60_000);
  expect(sources).toHaveLength(2);
});

test("a pause lets go of the connection and says nothing; later it goes on where it was", () => {
  const stream = start();
  open();
  last().send("job", 7);
  stream.pause();
  expect(last().closed).toBe(true);
  expect(states.at(-1)).toBe("open");
  vi.advanceTimersByTime(600_000);
  expect(sources).toHaveLength(1);
  stream.again();
  expect(last().address).toBe("/api/v1/events?after=7");
  open();
  expect(resumed).toBe(1);
});
