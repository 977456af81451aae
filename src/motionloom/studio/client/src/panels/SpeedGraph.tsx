import { useId } from "react";
import { editor, useEditor } from "../store/react";
import { areaPath } from "../timeline/Sparkline";
import { type SpeedLimit, type Speeds, speedText, speedWarning } from "../timeline/speeds";
import { Icon } from "../ui";
import { Section } from "./Section";

const WIDTH = 280;
const HEIGHT = 44;

/** Speed over the whole motion, the model's limit, and a plain word where it is passed. */
export function SpeedGraph({ speeds, limit }: { speeds: Speeds; limit: SpeedLimit | null }) {
  const clip = useId();
  const playhead = useEditor((state) => Math.floor(state.playhead + 1e-6));
  const warning = speedWarning(speeds, limit);
  const { steps, largest, at } = speeds;
  if (steps.length === 0) return null;
  const top = Math.max(largest, limit && largest > limit.perFrame * 0.5 ? limit.perFrame : 0, 1e-6) * 1.08;
  const perFrame = WIDTH / steps.length;
  const path = areaPath(steps, 0, steps.length, perFrame, (speed) => (speed / top) * HEIGHT, HEIGHT);
  const limitY = limit ? HEIGHT - (limit.perFrame / top) * HEIGHT : -1;
  const here = steps[Math.min(playhead, steps.length - 1)] as number;
  return (
    <Section title="Speed" aside={<span className="insp-summary">now {speedText(here)}</span>}>
      <svg
        className="insp-speed"
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Speed over time, up to ${speedText(largest)} at frame ${at}`}
      >
        <path d={path} />
        {limit && limitY >= 0 && (
          <>
            <clipPath id={clip}>
              <rect width={WIDTH} height={limitY} />
            </clipPath>
            <path className="insp-speed-over" d={path} clipPath={`url(#${clip})`} />
            <line className="insp-speed-limit" x1={0} x2={WIDTH} y1={limitY} y2={limitY} />
          </>
        )}
        <line
          className="insp-speed-now"
          x1={(playhead + 0.5) * perFrame}
          x2={(playhead + 0.5) * perFrame}
          y1={0}
          y2={HEIGHT}
        />
      </svg>
      <button
        type="button"
        className="insp-fastest"
        data-warns={warning ? true : undefined}
        onClick={() => editor.getState().setPlayhead(at)}
      >
        {warning && <Icon name="warn" size={15} />}
        <span>{warning ?? `At most ${speedText(largest)}, at frame ${at}`}</span>
      </button>
    </Section>
  );
}
