import { act, cleanup, fireEvent, render, screen } from "@testing-library/react";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { GenerationSettings, ModelFacts } from "../../src/api/types";
import { GeneratePanel } from "../../src/generate/GeneratePanel";
import { generate } from "../../src/generate/submit";
import { jobs } from "../../src/store/jobs";
import { preferences } from "../../src/store/preferences";
import { project } from "../../src/store/project";
import { editor } from "../../src/store/react";
import { server } from "../../src/store/server";
import { Toasts } from "../../src/ui";

const model = (name: string, change: Partial<ModelFacts>): ModelFacts => ({
  name,
  title: name,
  description: "",
  licence: "Apache-2.0",
  commercial_use: true,
  methods: ["ati"],
  width: null,
  height: null,
  num_frames: 49,
  fps: 8,
  num_inference_steps: 50,
  guidance_scale: 6,
  reads_text: true,
  takes_image: true,
  takes_last_image: false,
  solvers: ["unipc", "dpm++", "euler"],
  installed: true,
  size_on_disk: 0,
  memory: null,
  limits: { max_step: null, max_tracks: null, min_tracks: null, source: "" },
  notes: [],
  ...change,
});
const submit = vi.fn(async () => []);
const choose = (settings: GenerationSettings) => project.setState({ settings });

beforeEach(() => {
  vi.stubGlobal("fetch", () => new Promise(() => {}));
  preferences.setState({ advanced: true });
  jobs.setState({ submit });
  server.setState({
    models: [
      model("nano", { reads_text: false, solvers: ["unipc", "dpm++"] }),
      model("wan", {}),
      model("tora-t2v", { takes_image: false, methods: ["tora"], solvers: [] }),
      model("wordless", { takes_image: false, reads_text: false, solvers: [] }),
    ],
  });
});
afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
  vi.clearAllMocks();
});
const solvers = () =>
  [...screen.getByLabelText<HTMLSelectElement>("Solver").options].map((option) => option.value);
const note = () => screen.queryByText(/Makes its own picture from the prompt; the photograph is only where/);

test("a model is offered the solvers it takes", () => {
  choose({ model: "nano" });
  render(<GeneratePanel />);
  expect(solvers()).toEqual(["", "unipc", "dpm++"]);
  cleanup();
  choose({ model: "wan" });
  render(<GeneratePanel />);
  expect(solvers()).toEqual(["", "unipc", "dpm++", "euler"]);
  cleanup();
  choose({ model: "tora-t2v" });
  render(<GeneratePanel />);
  expect(screen.queryByLabelText("Solver")).toBeNull();
  expect(screen.queryByLabelText("Shift")).toBeNull();
});

test("what a project was saved with can be seen and taken back", () => {
  choose({ model: "nano", solver: "euler" });
  render(<GeneratePanel />);
  expect(solvers()).toEqual(["", "unipc", "dpm++", "euler"]);
  fireEvent.change(screen.getByLabelText("Solver"), { target: { value: "" } });
  expect(project.getState().settings.solver).toBeNull();
  expect(solvers()).toEqual(["", "unipc", "dpm++"]);
});

test("a model that makes its own picture says so, and asks for words", () => {
  choose({ model: "wan" });
  const { rerender } = render(<GeneratePanel />);
  expect(note()).toBeNull();
  expect(screen.getByLabelText<HTMLTextAreaElement>("Prompt").required).toBe(false);
  choose({ model: "tora-t2v" });
  rerender(<GeneratePanel />);
  expect(note()).not.toBeNull();
  expect(screen.getByLabelText<HTMLTextAreaElement>("Prompt").required).toBe(true);
  expect(screen.getByText(/This model needs one/)).toBeTruthy();
  fireEvent.change(screen.getByLabelText("Prompt"), { target: { value: "a paper boat drifts" } });
  expect(screen.queryByText(/This model needs one/)).toBeNull();
});

test("a model that takes neither words nor a photograph leaves both out", () => {
  choose({ model: "wordless" });
  render(<GeneratePanel />);
  expect(screen.getByText(/Makes its own picture; the photograph is only where/)).toBeTruthy();
  expect(screen.getByText(/reads no text: the motion says everything/)).toBeTruthy();
  expect(screen.queryByLabelText("Prompt")).toBeNull();
});

test("without words nothing is asked of it", async () => {
  const save = vi.fn(async () => {});
  project.setState({ save, project: null });
  render(<Toasts />);
  choose({ model: "tora-t2v", prompt: "  " });
  await act(generate);
  expect(save).not.toHaveBeenCalled();
  expect(screen.getByText("tora-t2v makes its picture from the prompt: write one first.")).toBeTruthy();
  choose({ model: "tora-t2v", prompt: "a paper boat drifts" });
  await generate();
  expect(save).toHaveBeenCalledOnce();
  // The motion's own words are as good.
  choose({ model: "tora-t2v" });
  editor.getState().edit("Prompt", (motion) => ({ ...motion, prompt: "a leaf falls" }));
  await generate();
  expect(save).toHaveBeenCalledTimes(2);
});
