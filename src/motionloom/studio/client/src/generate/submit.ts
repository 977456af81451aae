// Asking for the videos, from the button and from the keyboard alike.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { errorText } from "../api/client";
import type { ModelFacts } from "../api/types";
import { jobs } from "../store/jobs";
import { project } from "../store/project";
import { editor } from "../store/react";
import { modelFacts, server } from "../store/server";
import { toast } from "../ui";

const state = createStore(() => ({ busy: false }));

/** Whether a request for videos is on its way. */
export function useSubmitting(): boolean {
  return useStore(state, ({ busy }) => busy);
}

/** Whether a model has nothing to make its picture from: no photograph, and no words. */
export function needsPrompt(facts: ModelFacts | undefined, prompt: string | null | undefined): boolean {
  return facts?.takes_image === false && facts.reads_text && !prompt?.trim();
}

/** Saves the project and puts its videos into the queue; says what stands in the way. */
export async function generate(): Promise<void> {
  if (state.getState().busy) return;
  const { settings } = project.getState();
  const facts = modelFacts(server.getState(), settings.model);
  if (server.getState().models && !facts) {
    toast(`There is no model “${settings.model}” here. Pick another one.`, {
      kind: "warn",
      key: "submitted",
    });
    return;
  }
  if (facts && !facts.installed) {
    toast(
      `${facts.title} is not on this computer yet: run “motionloom models fetch ${facts.name}” in a terminal, then try again.`,
      { kind: "warn", key: "submitted" },
    );
    return;
  }
  if (needsPrompt(facts, settings.prompt ?? editor.getState().motion.prompt)) {
    toast(`${facts?.title} makes its picture from the prompt: write one first.`, {
      kind: "warn",
      key: "submitted",
    });
    return;
  }
  state.setState({ busy: true });
  try {
    await project.getState().save();
    const opened = project.getState().project;
    if (!opened) return;
    const made = await jobs.getState().submit(opened.id, project.getState().settings);
    toast(made.length === 1 ? "In the queue." : `${made.length} videos are in the queue.`, {
      kind: "good",
      key: "submitted",
    });
  } catch (error) {
    toast(errorText(error), { kind: "error", key: "submitted" });
  } finally {
    state.setState({ busy: false });
  }
}
