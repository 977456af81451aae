// What the measures of a result say, in words.

import type { Result } from "../api/types";

export interface Measured {
  name: string;
  value: string;
  meaning: string;
}

/** End-point errors as people read them; empty while the result is being measured. */
export function measuredOf(result: Pick<Result, "measures" | "reasons" | "width">): Measured[] {
  const rows: Measured[] = [];
  for (const [key, name, of] of ROWS) {
    if (!(key in result.measures)) continue;
    const value = result.measures[key];
    if (value === null || value === undefined) {
      rows.push({ name, value: "not known", meaning: result.reasons[key] ?? "It could not be measured." });
      continue;
    }
    const share = (100 * value) / result.width;
    rows.push({
      name,
      value: `${value < 10 ? value.toFixed(1) : Math.round(value)} px`,
      meaning: `${of} ended up ${share < 0.1 ? "less than 0.1" : share.toFixed(1)} % of the width away from where it was asked to be, on average.`,
    });
  }
  return rows;
}

const ROWS = [
  ["epe", "Follows the motion", "A point"],
  ["epe_trackable", "Where it can be seen", "A point that can be followed in the video"],
] as const;
