// The HTTP API as functions. Everything that goes wrong is an ApiError whose message is for the person who reads it.

import type { MotionDocument } from "../motion/document";
import type {
  Example,
  GenerationSettings,
  ImportedMotion,
  Job,
  JobList,
  JobRequest,
  Lora,
  ModelFacts,
  Problem,
  Project,
  ProjectSummary,
  ProjectVersion,
  ProjectWrite,
  Received,
  ReceivedRequest,
  Result,
  ResultList,
  ServerFacts,
  TrackFormat,
  Trash,
} from "./types";

export const BASE = "/api/v1";

export type ErrorCode = Problem["code"] | "offline";

/** `code` is "offline" when no answer came at all. */
export class ApiError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly details: Record<string, unknown>;

  constructor(code: ErrorCode, status: number, message: string, details: Record<string, unknown> = {}) {
    super(message);
    this.name = "ApiError";
    this.code = code;
    this.status = status;
    this.details = details;
  }
}

export interface RequestOptions {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  json?: unknown;
  form?: FormData;
  query?: Record<string, string | number | undefined | null>;
  signal?: AbortSignal;
  /** Outlives the page, for a last save; bodies of 60 KB at most. */
  keepalive?: boolean;
}

/** The answer itself; not 2xx throws an ApiError, an aborted request the AbortError of fetch. */
export async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = "GET", json, form, signal, keepalive } = options;
  let answer: Response;
  try {
    answer = await fetch(url(path, options.query), {
      method,
      signal,
      keepalive,
      credentials: "same-origin",
      headers: json === undefined ? undefined : { "Content-Type": "application/json" },
      body: json === undefined ? form : JSON.stringify(json),
    });
  } catch (error) {
    if (signal?.aborted || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new ApiError("offline", 0, "The studio's server does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  const problem = await problemOf(answer);
  if (answer.status === 401) for (const listener of unauthorised) listener();
  throw problem;
}

export async function request<Answer>(path: string, options: RequestOptions = {}): Promise<Answer> {
  const answer = await send(path, options);
  return answer.status === 204 ? (undefined as Answer) : ((await answer.json()) as Answer);
}

/** Called when the server asks for its token. */
export function onUnauthorised(listener: () => void): () => void {
  unauthorised.add(listener);
  return () => unauthorised.delete(listener);
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** What went wrong, for people. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export interface ImportFields {
  width: number;
  height: number;
  num_frames?: number;
  fps?: number;
  format?: string;
  units?: string;
  file_width?: number;
  file_height?: number;
  file_fps?: number;
}

export interface ExportFields {
  format: string;
  width?: number;
  height?: number;
  num_frames?: number;
  fps?: number;
  /** Options of the format's writer. */
  options?: Record<string, string>;
}

export type DownloadKind = "video" | "overlay" | "side_by_side";
export type DownloadFormat = "mp4" | "webm" | "gif" | "webp";

export const api = {
  server: () => request<ServerFacts>("/server"),
  signIn: (token: string) => request<void>("/session", { method: "POST", json: { token } }),

  projects: (signal?: AbortSignal) => request<ProjectSummary[]>("/projects", { signal }),
  createProject: (image: File, name?: string, motion?: File) =>
    request<Project>("/projects", { method: "POST", form: formOf({ image, name, motion }) }),
  project: (id: string, signal?: AbortSignal) => request<Project>(`/projects/${id}`, { signal }),
  writeProject: (id: string, write: ProjectWrite, keepalive = false) =>
    request<ProjectSummary>(`/projects/${id}`, { method: "PUT", json: write, keepalive }),
  deleteProject: (id: string) => request<void>(`/projects/${id}`, { method: "DELETE" }),
  restoreProject: (id: string) => request<Project>(`/projects/${id}/restore`, { method: "POST" }),
  duplicateProject: (id: string) => request<Project>(`/projects/${id}/duplicate`, { method: "POST" }),
  versions: (id: string) => request<ProjectVersion[]>(`/projects/${id}/versions`),
  version: (id: string, version: number) => request<Project>(`/projects/${id}/versions/${version}`),
  restoreVersion: (id: string, version: number) =>
    request<Project>(`/projects/${id}/versions/${version}/restore`, { method: "POST" }),

  examples: () => request<Example[]>("/examples"),
  startExample: (name: string) =>
    request<Project>(`/examples/${encodeURIComponent(name)}`, { method: "POST" }),
  models: () => request<ModelFacts[]>("/models"),
  loras: () => request<Lora[]>("/loras"),
  formats: () => request<TrackFormat[]>("/formats"),

  importMotion: (files: readonly File[], fields: ImportFields) =>
    request<ImportedMotion>("/imports", { method: "POST", form: formOf({ files, ...fields }) }),
  received: (body: ReceivedRequest, signal?: AbortSignal) =>
    request<Received>("/received", { method: "POST", json: body, signal }),

  jobs: (project?: string) => request<JobList>("/jobs", { query: { project } }),
  submit: (body: JobRequest) => request<JobList>("/jobs", { method: "POST", json: body }),
  cancelJob: (id: string) => request<Job>(`/jobs/${id}/cancel`, { method: "POST" }),
  retryJob: (id: string) => request<Job>(`/jobs/${id}/retry`, { method: "POST" }),
  moveJob: (id: string, before: string | null) =>
    request<Job>(`/jobs/${id}/move`, { method: "POST", json: { before } }),
  removeJob: (id: string) => request<void>(`/jobs/${id}`, { method: "DELETE" }),

  results: (project?: string) => request<ResultList>("/results", { query: { project } }),
  deleteResult: (id: string) => request<void>(`/results/${id}`, { method: "DELETE" }),
  trash: () => request<Trash>("/trash"),
  emptyTrash: () => request<void>("/trash", { method: "DELETE" }),
  restoreResult: (id: string) => request<Result>(`/results/${id}/restore`, { method: "POST" }),
  editResult: (id: string) => request<Project>(`/results/${id}/edit`, { method: "POST" }),
};

/** Addresses for <img>, <video> and links. `version` makes a changed thing another address. */
export const addresses = {
  image: (project: string, version?: number) => url(`/projects/${project}/image`, { v: version }),
  thumbnail: (project: string, version?: number) => url(`/projects/${project}/thumbnail`, { v: version }),
  example: (name: string) => url(`/examples/${encodeURIComponent(name)}/thumbnail`),
  export: (project: string, { options, ...fields }: ExportFields) => {
    const address = url(`/projects/${project}/export`, { ...fields });
    const extra = Object.entries(options ?? {}).map(
      ([name, value]) => `option=${encodeURIComponent(`${name}=${value}`)}`,
    );
    return [address, ...extra].join("&");
  },
  jobPreview: (job: string, n: number) => url(`/jobs/${job}/preview`, { n }),
  video: (result: string) => url(`/results/${result}/video`),
  poster: (result: string) => url(`/results/${result}/poster`),
  overlay: (result: string) => url(`/results/${result}/overlay`),
  resultPreview: (result: string) => url(`/results/${result}/preview`),
  download: (result: string, kind: DownloadKind, format: DownloadFormat) =>
    url(`/results/${result}/download`, { kind, format }),
};

/** The body of a project's save. */
export function projectWrite(
  base_version: number,
  motion: MotionDocument,
  settings: GenerationSettings,
  extra: Partial<ProjectWrite> = {},
): ProjectWrite {
  return { base_version, motion, settings, ...extra };
}

/** Saves an answer with its name from Content-Disposition as a file of the person's. Throws an ApiError. */
export async function saveFile(address: string, signal?: AbortSignal): Promise<string> {
  const answer = await send(address.startsWith(BASE) ? address.slice(BASE.length) : address, { signal });
  const name = fileName(answer.headers.get("Content-Disposition")) ?? "motionloom";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await answer.blob());
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}

const unauthorised = new Set<() => void>();

function url(path: string, query: RequestOptions["query"] = {}): string {
  const known = Object.entries(query).filter(
    ([, value]) => value !== undefined && value !== null && value !== "",
  );
  const text = new URLSearchParams(known.map(([name, value]) => [name, String(value)])).toString();
  return BASE + path + (text ? `?${text}` : "");
}

function formOf(fields: Record<string, File | readonly File[] | string | number | undefined>): FormData {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined) continue;
    if (Array.isArray(value)) for (const file of value) form.append(name, file);
    else if (value instanceof File) form.append(name, value);
    else form.append(name, String(value));
  }
  return form;
}

async function problemOf(answer: Response): Promise<ApiError> {
  try {
    const { error } = (await answer.json()) as { error?: Problem };
    if (error?.message) return new ApiError(error.code, answer.status, error.message, error.details);
  } catch {
    // Not ours: a proxy's page, say.
  }
  const code =
    answer.status === 401
      ? "unauthorised"
      : answer.status >= 502 && answer.status <= 504
        ? "offline"
        : "failed";
  return new ApiError(
    code,
    answer.status,
    `The server answered ${answer.status} ${answer.statusText}.`.replace(" .", "."),
  );
}

function fileName(disposition: string | null): string | null {
  const encoded = disposition?.match(/filename\*=UTF-8''([^;]+)/i)?.[1];
  if (encoded) return decodeURIComponent(encoded);
  return disposition?.match(/filename="?([^";]+)"?/i)?.[1] ?? null;
}
