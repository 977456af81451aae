import { useMemo } from "react";
import type { Motion } from "../motion/document";
import { useProject } from "../store/project";
import { useEditor, useTraced } from "../store/react";
import { modelFacts, useServer } from "../store/server";
import { type SpeedLimit, type Speeds, speedLimit, speedsOf } from "./speeds";

/** Speeds of each instruction of a motion that has points, by its id. */
export function useSpeeds(motion: Motion): ReadonlyMap<string, Speeds> {
  const traced = useTraced(motion);
  return useMemo(
    () => new Map(traced.filter(({ count }) => count > 0).map((each) => [each.id, speedsOf(each)])),
    [traced],
  );
}

/** Where the chosen model's card says that motion is too fast. */
export function useSpeedLimit(): SpeedLimit | null {
  const settings = useProject((state) => state.settings);
  const facts = useServer((state) => modelFacts(state, settings.model));
  const motion = useEditor((state) => state.motion);
  return speedLimit(facts, settings, motion);
}
