// Made by `python -m motionloom.studio.typescript` from studio/schemas.py; edit that file instead.

import type { MotionDocument } from "../motion/document";

export interface Size {
  width: number;
  height: number;
}

export interface Problem {
  code: "bad_request" | "not_found" | "conflict" | "superseded" | "too_large" | "unsupported" | "ambiguous" | "unauthorised" | "forbidden" | "busy" | "disk_full" | "failed";
  message: string;
  details: Record<string, unknown>;
}

export interface ErrorAnswer {
  error: Problem;
}

export interface LoraChoice {
  name: string;
  strength?: number;
  few_step?: boolean;
}

export interface GenerationSettings {
  model?: string;
  prompt?: string | null;
  negative_prompt?: string | null;
  seed?: number;
  count?: number;
  size?: Size | null;
  resolution?: "480p" | "720p" | "1080p" | null;
  num_frames?: number | null;
  fps?: number | null;
  num_inference_steps?: number | null;
  guidance_scale?: number | null;
  guidance_scale_2?: number | null;
  shift?: number | null;
  solver?: "unipc" | "dpm++" | "euler" | "own" | null;
  strength?: number;
  window?: [number, number];
  densify?: boolean | null;
  method?: string | null;
  loras?: LoraChoice[];
  memory?: "auto" | "max-speed" | "balanced" | "low" | "minimal";
  fast?: boolean;
  options?: Record<string, unknown>;
  post?: string | null;
}

export interface ProjectSummary {
  id: string;
  name: string;
  version: number;
  created: string;
  updated: string;
  width: number;
  height: number;
  num_instructions: number;
  num_results: number;
  damaged: boolean;
}

export interface Project {
  id: string;
  name: string;
  version: number;
  created: string;
  updated: string;
  width: number;
  height: number;
  num_instructions: number;
  num_results: number;
  damaged: boolean;
  motion: MotionDocument;
  settings: GenerationSettings;
}

export interface ProjectWrite {
  base_version: number;
  name?: string | null;
  motion: MotionDocument;
  settings: GenerationSettings;
  overwrite?: boolean;
  tab?: string | null;
}

export interface ProjectVersion {
  version: number;
  written: string;
  name: string;
  num_instructions: number;
}

export interface Example {
  name: string;
  title: string;
  description: string;
  width: number;
  height: number;
}

export interface TrackFormat {
  name: string;
  title: string;
  suffixes: string[];
  units: string;
  frames: string;
  readable: boolean;
  writable: boolean;
  options: Record<string, string>;
}

export interface ImportedMotion {
  format: string;
  title: string;
  motion: MotionDocument;
  num_tracks: number;
  notes: string[];
}

export interface PreviewRequest {
  project: string;
  motion: MotionDocument;
  key: string;
  number?: number | null;
  max_side?: number;
  max_frames?: number;
}

export interface ReceivedRequest {
  project: string;
  motion: MotionDocument;
  settings: GenerationSettings;
}

export interface TrackFlag {
  kind: "leaves_frame" | "starts_outside" | "hidden_at_start" | "too_fast" | "too_slow" | "too_many" | "too_few" | "same_cell" | "sparse" | "too_short";
  instruction: string | null;
  message: string;
  frame: number | null;
  num_tracks: number;
}

export interface LatentGrid {
  frames: number;
  rows: number;
  columns: number;
  pixels_per_cell: number;
  frames_per_cell: number;
  cells: number[][];
  sources: number[];
}

export interface InstructionSpeed {
  instruction: string;
  median: number;
  largest: number;
  largest_frame: number;
  share: number;
}

export interface Received {
  model: string;
  method: string;
  width: number;
  height: number;
  num_frames: number;
  fps: number;
  num_tracks: number;
  grid: LatentGrid | null;
  speeds: InstructionSpeed[];
  flags: TrackFlag[];
  notes: string[];
}

export interface MotionLimits {
  max_step: number | null;
  max_tracks: number | null;
  min_tracks: number | null;
  source: string;
}

export interface ModelFacts {
  name: string;
  title: string;
  description: string;
  licence: string;
  commercial_use: boolean | null;
  methods: string[];
  width: number | null;
  height: number | null;
  num_frames: number | null;
  fps: number | null;
  num_inference_steps: number | null;
  guidance_scale: number | null;
  reads_text: boolean;
  takes_image: boolean;
  takes_last_image: boolean;
  solvers: ("unipc" | "dpm++" | "euler" | "own")[];
  installed: boolean;
  size_on_disk: number;
  memory: number | null;
  limits: MotionLimits;
  notes: string[];
}

export interface Lora {
  name: string;
  size: number;
  few_step: boolean;
}

export interface JobRequest {
  project: string;
  motion?: MotionDocument | null;
  settings?: GenerationSettings | null;
  seeds?: number[] | null;
}

export interface Job {
  id: string;
  project: string | null;
  project_name: string;
  state: "queued" | "running" | "done" | "failed" | "cancelled";
  position: number;
  phase: "waiting" | "loading" | "sampling" | "saving" | "measuring";
  model: string;
  seed: number;
  settings: GenerationSettings;
  width: number;
  height: number;
  created: string;
  started: string | null;
  finished: string | null;
  attempts: number;
  step: number;
  total: number;
  seconds_left: number | null;
  preview: number;
  cancel_requested: boolean;
  worker: string | null;
  error: string | null;
  notes: string[];
  result: string | null;
}

export interface JobMove {
  before?: string | null;
}

export interface Result {
  id: string;
  job: string;
  project: string | null;
  project_name: string;
  created: string;
  model: string;
  method: string;
  seed: number;
  settings: GenerationSettings;
  width: number;
  height: number;
  num_frames: number;
  fps: number;
  seconds: number;
  bytes: number;
  measured: boolean;
  measures: Record<string, number | null>;
  reasons: Record<string, string>;
}

export interface JobList {
  jobs: Job[];
}

export interface ResultList {
  results: Result[];
}

export interface TrashedThing {
  id: string;
  name: string;
  deleted: string;
  bytes: number;
  restorable: boolean;
}

export interface Trash {
  projects: TrashedThing[];
  results: TrashedThing[];
  bytes: number;
}

export interface Worker {
  name: string;
  device: string;
  alive: boolean;
  job: string | null;
}

export interface ServerFacts {
  version: string;
  api: "v1";
  workers: Worker[];
  max_upload_bytes: number;
  max_pixels: number;
  free_bytes: number;
  default_model: string;
}

export interface SessionRequest {
  token: string;
}

export interface Event {
  id: number;
  kind: "job" | "job_removed" | "result" | "result_removed" | "project" | "project_removed" | "workers" | "reset";
  job: Job | null;
  result: Result | null;
  project: ProjectSummary | null;
  workers: Worker[] | null;
  removed: string | null;
  tab: string | null;
}
