import { memo, useId, useMemo } from "react";
import { type SpeedLimit, type Speeds, speedText, speedWarning } from "./speeds";

export interface SparklineProps {
  speeds: Speeds;
  limit: SpeedLimit | null;
  /** Frames that it is drawn for. */
  from: number;
  to: number;
  perFrame: number;
  /** Where its largest number is written; null: nowhere, since diamonds stand on both places. */
  text: "inside" | "beside" | null;
}

const HEIGHT = 16;

/** Speed over time along a bar: as high as the fastest step, red where a model's limit is passed. */
export const Sparkline = memo(function Sparkline({
  speeds,
  limit,
  from,
  to,
  perFrame,
  text,
}: SparklineProps) {
  const clip = useId();
  const width = Math.max(0, (to - from) * perFrame);
  const top = Math.max(speeds.largest, 1e-6);
  const calm = useMemo(
    () => areaPath(speeds.steps, from, to, perFrame, (speed) => (speed / top) * (HEIGHT - 2)),
    [speeds, from, to, perFrame, top],
  );
  const warning = speedWarning(speeds, limit);
  if (speeds.largest < 1e-6 || width < 4) return null;
  const limitY = limit ? HEIGHT - (limit.perFrame / top) * (HEIGHT - 2) : 0;
  return (
    <>
      <svg
        className="tl-speed"
        viewBox={`0 0 ${width} ${HEIGHT}`}
        width={width}
        height={HEIGHT}
        preserveAspectRatio="none"
        role="img"
        aria-label={warning ?? `Speed up to ${speedText(speeds.largest)}`}
      >
        <path d={calm} />
        {warning && (
          <>
            <clipPath id={clip}>
              <rect x={0} y={0} width={width} height={Math.max(0, limitY)} />
            </clipPath>
            <path className="tl-speed-over" d={calm} clipPath={`url(#${clip})`} />
          </>
        )}
      </svg>
      {text && (
        <span
          className="tl-speed-text"
          data-beside={text === "beside" || undefined}
          data-warns={warning ? true : undefined}
          title={warning ?? undefined}
        >
          {speedText(speeds.largest)}
        </span>
      )}
    </>
  );
});

/** Steps as a filled outline: x from `from`, one step wide each. `height` in pixels of a speed. */
export function areaPath(
  steps: Float64Array,
  from: number,
  to: number,
  perFrame: number,
  height: (speed: number) => number,
  base = HEIGHT,
): string {
  const first = Math.max(0, Math.floor(from));
  const last = Math.min(steps.length, Math.ceil(to));
  if (last <= first) return "";
  const parts = [`M0 ${base}`];
  for (let step = first; step < last; step++) {
    const x = (frame: number) =>
      Math.min(Math.max((frame - from) * perFrame, 0), (to - from) * perFrame).toFixed(1);
    const y = (base - height(steps[step] as number)).toFixed(1);
    // Very long motions: a step narrower than a pixel is one point.
    parts.push(perFrame < 1 ? `L${x(step)} ${y}` : `L${x(step)} ${y}L${x(step + 1)} ${y}`);
  }
  parts.push(`L${((to - from) * perFrame).toFixed(1)} ${base}Z`);
  return parts.join("");
}
