import "./files.css";
import { useMemo } from "react";
import { addresses } from "../api/client";
import type { Motion } from "../motion/document";
import { type Traced, trace } from "../motion/evaluate";

const MOMENTS = 48;
/** Of a dense instruction only some points are drawn: it is a thumbnail. */
const MAX_POINTS = 24;

/** A motion drawn on its photograph, standing still. */
export function MotionThumbnail({ project, motion }: { project: string; motion: Motion }) {
  const traced = useMemo(() => {
    const count = Math.min(MOMENTS, motion.num_frames);
    const times = Array.from(
      { length: count },
      (_, at) => (at / Math.max(count - 1, 1)) * (motion.num_frames - 1),
    );
    return trace(motion, times);
  }, [motion]);
  const { width, height } = motion.canvas;
  const line = Math.max(width, height) / 260;
  return (
    <div className="motion-thumbnail">
      <img src={addresses.image(project, 1)} alt="" />
      <svg viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
        {traced.map((one) => {
          const paths = pathsOf(one);
          return (
            <g key={one.id} fill="none" strokeLinecap="round" strokeLinejoin="round">
              <path d={paths} stroke="rgb(0 0 0 / 55%)" strokeWidth={line * 2} />
              <path d={paths} stroke={one.instruction.color ?? "#ffffff"} strokeWidth={line} />
            </g>
          );
        })}
      </svg>
    </div>
  );
}

function pathsOf({ points, visible, count, frames }: Traced): string {
  const step = Math.max(1, Math.ceil(count / MAX_POINTS));
  const parts: string[] = [];
  for (let point = 0; point < count; point += step) {
    let pen = "M";
    for (let moment = 0; moment < frames; moment++) {
      const at = moment * count + point;
      if (!visible[at]) {
        pen = "M";
        continue;
      }
      parts.push(`${pen}${(points[2 * at] ?? 0).toFixed(1)} ${(points[2 * at + 1] ?? 0).toFixed(1)}`);
      pen = "L";
    }
    // What stands still shows as a dot: a line of no length with round ends.
    parts.push("h0");
  }
  return parts[0] === "h0" ? "" : parts.join("").replaceAll(/h0(?=h0)/g, "");
}
