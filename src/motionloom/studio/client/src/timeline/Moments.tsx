import { type KeyboardEvent, memo } from "react";
import type { Instruction } from "../motion/document";
import { displayName } from "../motion/names";
import { editor } from "../store/react";
import { labelOf, makeChange, momentAt, removeMoment, showChange, snapped } from "./actions";
import { useDrag } from "./drag";
import { frameText, type Scale, toX } from "./scale";
import type { Moment } from "./timing";

export interface MomentsProps {
  moments: readonly Moment[];
  instruction: Instruction;
  scale: Scale;
  focusable: boolean;
  locked: boolean;
}

/** Below this distance in pixels diamonds would hide each other: ticks are drawn instead. */
const MIN_DISTANCE = 8;

/** The control points and keyframes of an instruction, as diamonds that can be dragged between their neighbours. */
export const Moments = memo(function Moments({
  moments,
  instruction,
  scale,
  focusable,
  locked,
}: MomentsProps) {
  const shown = moments.filter((moment) => moment.frame <= scale.lastFrame + 0.5);
  if (isCrowded(shown, scale)) {
    const ticks = shown.map(({ frame }) => `M${toX(scale, frame).toFixed(1)} 9v10`).join("");
    return (
      <svg className="tl-ticks" aria-hidden="true">
        <path d={ticks} />
      </svg>
    );
  }
  return shown.map((moment) => (
    <Diamond
      key={`${moment.field} ${moment.index}`}
      {...{ moment, instruction, scale, locked }}
      focusable={focusable}
    />
  ));
});

function isCrowded(moments: readonly Moment[], scale: Scale): boolean {
  if (moments.length < 24) return false;
  const frames = moments.map((moment) => moment.frame);
  return ((Math.max(...frames) - Math.min(...frames)) * scale.perFrame) / moments.length < MIN_DISTANCE;
}

interface DiamondProps {
  moment: Moment;
  instruction: Instruction;
  scale: Scale;
  focusable: boolean;
  locked: boolean;
}

function Diamond({ moment, instruction, scale, focusable, locked }: DiamondProps) {
  const { id } = instruction;
  const isPoint = moment.field === "points";
  const verb = `Change ${moment.label} of %`;
  const drag = useDrag({
    begin: () => {
      editor.getState().select([id]);
      if (isPoint) editor.getState().selectPoints([moment.index]);
      return !locked;
    },
    move: (dx, _, event) => {
      const frame = snapped(moment.frame + dx / scale.perFrame, event.shiftKey);
      showChange([id], momentAt(moment, frame));
    },
    drop: () => editor.getState().commit(labelOf([id], verb)),
    cancel: () => editor.getState().cancel(),
    click: () => editor.getState().setPlayhead(moment.frame),
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const by = event.shiftKey ? 0.1 : 1;
    if (event.key === "Delete" || event.key === "Backspace") {
      const what = isPoint ? "Free % of a time" : "Remove keyframe of %";
      makeChange([id], what, removeMoment(moment));
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      const next = moment.frame + (event.key === "ArrowLeft" ? -by : by);
      makeChange(
        [id],
        verb,
        momentAt(moment, snapped(next, !moment.fixed || event.shiftKey)),
        `moment ${moment.field} ${moment.index}`,
      );
    } else if (event.key === "Enter") {
      editor.getState().setPlayhead(moment.frame);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div
      className="tl-diamond"
      data-fixed={moment.fixed || undefined}
      role="slider"
      tabIndex={focusable ? 0 : -1}
      aria-label={`${displayName(instruction)} ${moment.label}`}
      aria-valuenow={moment.frame}
      aria-valuemin={0}
      aria-valuemax={Math.max(scale.lastFrame, moment.frame)}
      aria-valuetext={`frame ${frameText(moment.frame)}${moment.fixed ? "" : ", on the way"}`}
      aria-disabled={locked || undefined}
      title={title(moment)}
      style={{ left: toX(scale, moment.frame) }}
      onKeyDown={onKeyDown}
      {...drag}
    />
  );
}

function title({ label, frame, fixed, field }: Moment): string {
  const what = label.charAt(0).toUpperCase() + label.slice(1).replace(/ time$/, "");
  if (field !== "points") return `${what} at frame ${frameText(frame)} (Del removes it)`;
  return fixed
    ? `${what} at frame ${frameText(frame)} (Del: passed on the way again)`
    : `${what} is passed at frame ${frameText(frame)}; drag to give it a time`;
}
