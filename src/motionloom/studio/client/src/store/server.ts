// What the server is and has: its limits, models, LoRAs, formats, workers; and whether it can be reached.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { ApiError, api, errorText, onUnauthorised } from "../api/client";
import type { Connection } from "../api/events";
import type { Lora, ModelFacts, ServerFacts, TrackFormat, Worker } from "../api/types";

export interface ServerState {
  facts: ServerFacts | null;
  models: readonly ModelFacts[] | null;
  loras: readonly Lora[];
  formats: readonly TrackFormat[] | null;
  workers: readonly Worker[];
  /** Of the event stream. */
  connection: Connection;
  /** The server wants its token before anything else. */
  locked: boolean;
  /** Why there are no models or facts, for people. */
  problem: string | null;
  load(): Promise<void>;
  reloadModels(): Promise<void>;
  loadFormats(): Promise<readonly TrackFormat[]>;
  /** Throws an ApiError when the token is not the right one. */
  signIn(token: string): Promise<void>;
}

export const server = createStore<ServerState>((set, get) => ({
  facts: null,
  models: null,
  loras: [],
  formats: null,
  workers: [],
  connection: "connecting",
  locked: false,
  problem: null,

  async load() {
    try {
      const facts = await api.server();
      set({ facts, workers: facts.workers, locked: false });
      await get().reloadModels();
    } catch (error) {
      if (error instanceof ApiError && error.code === "unauthorised") set({ locked: true });
      else set({ problem: errorText(error) });
    }
  },
  async reloadModels() {
    const [models, loras] = await Promise.all([api.models(), api.loras()]);
    set({ models, loras, problem: null });
  },
  async loadFormats() {
    const formats = get().formats ?? (await api.formats());
    set({ formats });
    return formats;
  },
  async signIn(token) {
    await api.signIn(token);
    set({ locked: false });
    await get().load();
  },
}));

onUnauthorised(() => server.setState({ locked: true }));

export function useServer<Value>(selector: (state: ServerState) => Value): Value {
  return useStore(server, selector);
}

/** The facts of a model by its name; undefined while they are not there, or when the server has no such model. */
export function modelFacts(state: ServerState, name: string | undefined): ModelFacts | undefined {
  const wanted = name ?? state.facts?.default_model;
  return state.models?.find((model) => model.name === wanted);
}
