import { useProject } from "../store/project";
import { useEditor, useTraced } from "../store/react";
import { modelFacts, useServer } from "../store/server";
import { type SpeedLimit, type Speeds, speedLimit, speedsOf } from "./speeds";

/** Speeds of each instruction that has points, by its id. */
export function useSpeeds(): ReadonlyMap<string, Speeds> {
  const traced = useTraced();
  return new Map(traced.filter(({ count }) => count > 0).map((each) => [each.id, speedsOf(each)]));
}

/** Where the chosen model's card says that motion is too fast. */
export function useSpeedLimit(): SpeedLimit | null {
  const settings = useProject((state) => state.settings);
  const facts = useServer((state) => modelFacts(state, settings.model));
  const motion = useEditor((state) => state.motion);
  return speedLimit(facts, settings, motion);
}
