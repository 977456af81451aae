import { cleanup, fireEvent, render, screen, within } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Job } from "../../src/api/types";
import { Queue } from "../../src/generate/Queue";
import { jobs } from "../../src/store/jobs";
import { server } from "../../src/store/server";

const job = (id: string, change: Partial<Job>): Job => ({
  id,
  project: null,
  project_name: id,
  state: "queued",
  position: 1,
  phase: "waiting",
  model: "nano",
  seed: 3,
  settings: {},
  width: 640,
  height: 480,
  created: "2026-01-01T00:00:00Z",
  started: null,
  finished: null,
  attempts: 0,
  step: 0,
  total: 0,
  seconds_left: null,
  preview: 0,
  cancel_requested: false,
  worker: null,
  error: null,
  notes: [],
  result: null,
  ...change,
});
const move = vi.fn(async () => {});
const cancel = vi.fn(async () => {});
const retry = vi.fn(async () => {});

beforeEach(() => {
  server.setState({ workers: [{ name: "w", device: "cpu", alive: true, job: null }] });
  jobs.setState({
    loaded: true,
    move,
    cancel,
    retry,
    jobs: [
      job("runs", { state: "running", phase: "sampling", step: 10, total: 40, seconds_left: 30 }),
      job("first", { position: 1 }),
      job("second", { position: 2 }),
      job("third", { position: 3 }),
      job("broken", { state: "failed", error: "CUDA is out of memory: choose a smaller size." }),
      job("finished", { state: "done" }),
    ],
  });
});
afterEach(() => {
  cleanup();
  vi.clearAllMocks();
});
const item = (name: string) => within(screen.getByText(name).closest("li") as HTMLElement);

test("what runs shows its step and the time left; what is done is not here", () => {
  render(<Queue />);
  expect(screen.getByRole("list", { name: "Jobs" }).children).toHaveLength(5);
  expect(item("runs").getByRole<HTMLProgressElement>("progressbar").value).toBe(0.25);
  expect(item("runs").getByText("Step 10 of 40, 30 s left")).toBeTruthy();
  expect(screen.queryByText("finished")).toBeNull();
});

test("waiting jobs move to where their neighbours are", () => {
  render(<Queue />);
  fireEvent.click(item("second").getByRole("button", { name: "Move up" }));
  expect(move).toHaveBeenLastCalledWith("second", "first");
  fireEvent.click(item("first").getByRole("button", { name: "Move down" }));
  expect(move).toHaveBeenLastCalledWith("first", "third");
  fireEvent.click(item("second").getByRole("button", { name: "Move down" }));
  expect(move).toHaveBeenLastCalledWith("second", null);
  expect(item("first").getByRole<HTMLButtonElement>("button", { name: "Move up" }).disabled).toBe(true);
  expect(item("third").getByRole<HTMLButtonElement>("button", { name: "Move down" }).disabled).toBe(true);
});

test("dropped on another it takes its place", () => {
  render(<Queue />);
  const data = { types: [], setData: () => {}, effectAllowed: "" };
  const at = (name: string) => screen.getByText(name).closest("li") as HTMLElement;
  fireEvent.dragStart(at("third"), { dataTransfer: data });
  fireEvent.drop(at("first"), { dataTransfer: data });
  expect(move).toHaveBeenLastCalledWith("third", "first");
  fireEvent.dragStart(at("first"), { dataTransfer: data });
  fireEvent.drop(at("third"), { dataTransfer: data });
  expect(move).toHaveBeenLastCalledWith("first", null);
});

test("cancel and retry are where they mean something, and the error can be read", () => {
  render(<Queue />);
  fireEvent.click(item("runs").getByRole("button", { name: "Cancel" }));
  expect(cancel).toHaveBeenCalledWith("runs");
  fireEvent.click(item("broken").getByRole("button", { name: "Retry" }));
  expect(retry).toHaveBeenCalledWith("broken");
  expect(item("broken").getByText(/choose a smaller size/)).toBeTruthy();
  expect(item("broken").queryByRole("button", { name: "Cancel" })).toBeNull();
});

test("without a worker it says why nothing happens", () => {
  server.setState({ workers: [] });
  render(<Queue />);
  expect(screen.getByText(/No worker runs/)).toBeTruthy();
});
