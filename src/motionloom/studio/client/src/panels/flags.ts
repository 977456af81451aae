// Everything worth a warning about one instruction: what the server flags of what the model receives, and speed.

import type { TrackFlag } from "../api/types";
import type { SpeedLimit, Speeds } from "../timeline/speeds";
import { speedWarning } from "../timeline/speeds";

export interface Warning {
  readonly message: string;
  /** Where to look; undefined: everywhere. */
  readonly frame?: number;
}

export function warningsOf(
  flags: readonly TrackFlag[],
  speeds: Speeds | undefined,
  limit: SpeedLimit | null,
): readonly Warning[] {
  const tooFast = speeds ? speedWarning(speeds, limit) : null;
  const found: Warning[] = flags
    // Speed is known here at once, and without asking.
    .filter((flag) => !(flag.kind === "too_fast" && tooFast))
    .map(({ message, frame }) => (frame === null ? { message } : { message, frame }));
  return tooFast && speeds ? [{ message: tooFast, frame: speeds.at }, ...found] : found;
}

/** What a kind of flag is called. */
export const FLAG_TITLES: Readonly<Record<TrackFlag["kind"], string>> = {
  leaves_frame: "Leaves the picture",
  starts_outside: "Starts outside of the picture",
  hidden_at_start: "Hidden at the start",
  too_fast: "Too fast",
  too_slow: "Hardly moves",
  too_many: "Too many tracks",
  too_few: "Too few tracks",
  same_cell: "Tracks in the same cell",
  sparse: "Sparse",
  too_short: "Not every frame counts",
};
