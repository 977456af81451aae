// Frames along the timeline: where they lie, how far one may zoom, which of them are labelled.

export interface Scale {
  /** Screen pixels per frame. */
  readonly perFrame: number;
  /** Pixels before frame 0 and after the last one, so that what lies there can be grasped. */
  readonly pad: number;
  readonly lastFrame: number;
}

export const PAD = 14;
const MAX_PER_FRAME = 48;

/** All frames in `width` pixels. */
export function fittedScale(lastFrame: number, width: number): Scale {
  return { perFrame: Math.max((width - 2 * PAD) / Math.max(lastFrame, 1), 0.05), pad: PAD, lastFrame };
}

/** `zoom` times the fitted scale, no closer than frames need to be. */
export function zoomedScale(lastFrame: number, width: number, zoom: number): Scale {
  const fitted = fittedScale(lastFrame, width);
  return { ...fitted, perFrame: fitted.perFrame * clampZoom(zoom, lastFrame, width) };
}

export function clampZoom(zoom: number, lastFrame: number, width: number): number {
  return Math.min(Math.max(zoom, 1), maxZoom(lastFrame, width));
}

export function maxZoom(lastFrame: number, width: number): number {
  return Math.max(1, MAX_PER_FRAME / fittedScale(lastFrame, width).perFrame);
}

export function toX(scale: Scale, frame: number): number {
  return scale.pad + frame * scale.perFrame;
}

/** Frames, fractions included, that may lie outside of the motion. */
export function toFrame(scale: Scale, x: number): number {
  return (x - scale.pad) / scale.perFrame;
}

export function widthOf(scale: Scale): number {
  return 2 * scale.pad + scale.lastFrame * scale.perFrame;
}

/** The distance of labelled frames: 1, 2 or 5 times a power of ten, at least `room` pixels apart. */
export function tickStep(perFrame: number, room: number): number {
  for (let power = 1; ; power *= 10) {
    for (const digit of [1, 2, 5]) {
      if (digit * power * perFrame >= room) return digit * power;
    }
  }
}

/** Seconds between labelled seconds. */
export function secondStep(perSecond: number, room: number): number {
  for (const step of [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600]) {
    if (step * perSecond >= room) return step;
  }
  return 7200;
}

/** A frame as people read it: whole, or with up to two digits. */
export function frameText(frame: number): string {
  return String(Number(frame.toFixed(2)));
}

export function secondsText(frame: number, fps: number): string {
  return `${(frame / fps).toFixed(2)} s`;
}
