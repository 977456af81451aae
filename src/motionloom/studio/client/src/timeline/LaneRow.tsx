import { type MouseEvent, memo, useMemo } from "react";
import type { Instruction } from "../motion/document";
import { displayName } from "../motion/names";
import { spanOf } from "../motion/timing";
import { editor, useEditor } from "../store/react";
import { Icon } from "../ui";
import { makeChange, snapped, withKeyframeAt } from "./actions";
import { type CurveField, curveOf, isKeyframed, isMoving, valueAt } from "./curves";
import { Moments } from "./Moments";
import type { Lane } from "./rows";
import { type Scale, toFrame } from "./scale";
import { momentsOf } from "./timing";

interface LaneProps {
  instruction: Instruction;
  lane: Lane;
  locked: boolean;
}

/** Name of a lane, its value at the playhead, and a button for a keyframe there. */
export const LaneHeader = memo(function LaneHeader({ instruction, lane, locked }: LaneProps) {
  const { curve } = lane;
  return (
    <div className="tl-header" data-lane>
      <span className="tl-lane-name">{lane.label}</span>
      {curve && <LaneValue instruction={instruction} field={curve} />}
      {curve && (
        <button
          type="button"
          className="tl-switch"
          disabled={locked}
          aria-label={`Add ${lane.label.toLowerCase()} keyframe of ${displayName(instruction)} at the playhead`}
          title="Add a keyframe at the playhead"
          onClick={() => {
            const frame = Math.round(editor.getState().playhead);
            makeChange(
              [instruction.id],
              `Add ${lane.label.toLowerCase()} keyframe of %`,
              withKeyframeAt(curve, frame),
            );
          }}
        >
          <Icon name="diamond" size={14} />
        </button>
      )}
    </div>
  );
});

function LaneValue({ instruction, field }: { instruction: Instruction; field: CurveField }) {
  const playhead = useEditor((state) => state.playhead);
  const lastFrame = useEditor((state) => state.motion.num_frames - 1);
  const value = valueAt(
    curveOf(instruction, field.field),
    playhead,
    field.neutral,
    spanOf(instruction, lastFrame),
    instruction.easing,
  );
  return <output className="tl-value">{`${Number(value.toFixed(2))} ${field.unit}`}</output>;
}

/** The diamonds of one value, or of the control points; a double click adds a keyframe. */
export const LaneTrack = memo(function LaneTrack({
  instruction,
  lane,
  locked,
  scale,
}: LaneProps & { scale: Scale }) {
  const { curve, field } = lane;
  const moments = useMemo(
    () => momentsOf(instruction, scale.lastFrame).filter((moment) => moment.field === field),
    [instruction, scale.lastFrame, field],
  );
  const onDoubleClick = (event: MouseEvent<HTMLElement>) => {
    if (!curve || locked || event.target !== event.currentTarget) return;
    const x = event.clientX - event.currentTarget.getBoundingClientRect().left;
    const frame = snapped(Math.min(Math.max(toFrame(scale, x), 0), scale.lastFrame), event.shiftKey);
    makeChange(
      [instruction.id],
      `Add ${lane.label.toLowerCase()} keyframe of %`,
      withKeyframeAt(curve, frame),
    );
  };
  const still = curve && !isMoving(curveOf(instruction, field), curve.neutral);
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the header's button does the same for the keyboard
    <div
      className="tl-lane"
      data-empty={curve && !isKeyframed(curveOf(instruction, field)) ? true : undefined}
      onDoubleClick={onDoubleClick}
      title={curve ? "Double click: add a keyframe" : undefined}
    >
      {moments.length === 0 && (
        <span className="tl-lane-hint">{still ? "does not change" : "eased from start to end"}</span>
      )}
      <Moments {...{ moments, instruction, scale, locked }} focusable />
    </div>
  );
});
