import { memo } from "react";
import { type Scale, secondStep, tickStep, toX, widthOf } from "./scale";

/** Frames above, seconds below. */
export const Ruler = memo(function Ruler({ scale, fps }: { scale: Scale; fps: number }) {
  const { lastFrame, perFrame } = scale;
  const step = tickStep(perFrame, 38);
  const small = tickStep(perFrame, 5);
  const seconds = secondStep(perFrame * fps, 56);
  const digits = seconds < 1 ? 1 : 0;
  const frames: number[] = [];
  for (let frame = 0; frame <= lastFrame; frame += step) frames.push(frame);
  const last = frames.at(-1) ?? 0;
  // The last frame is always named; a label that would touch it gives way.
  if (last !== lastFrame) {
    if ((lastFrame - last) * perFrame < 30 && frames.length > 1) frames.pop();
    frames.push(lastFrame);
  }
  const ticks: string[] = [];
  for (let frame = 0; frame <= lastFrame; frame += small) {
    const x = Math.round(toX(scale, frame)) + 0.5;
    ticks.push(`M${x} ${frame % step === 0 ? 14 : 17}V21`);
  }
  const times: number[] = [];
  for (let k = 0; k * seconds * fps <= lastFrame; k++) times.push(k * seconds);
  return (
    <div className="tl-ruler" aria-hidden="true" style={{ width: widthOf(scale) }}>
      <svg width={widthOf(scale)} height={22} aria-hidden="true">
        <path d={ticks.join("")} />
      </svg>
      {frames.map((frame) => (
        <span key={frame} className="tl-frame" style={{ left: toX(scale, frame) }}>
          {frame}
        </span>
      ))}
      {times.map((time) => (
        <span key={time} className="tl-second" style={{ left: toX(scale, time * fps) }}>
          {time.toFixed(digits)} s
        </span>
      ))}
    </div>
  );
});
