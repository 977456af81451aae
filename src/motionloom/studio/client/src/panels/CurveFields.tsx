import { useState } from "react";
import type { Easing, Instruction, Keyframe } from "../motion/document";
import { spanOf } from "../motion/timing";
import { editor, useEditor } from "../store/react";
import { applyChange, withKeyframeAt } from "../timeline/actions";
import {
  type CurveField,
  curveOf,
  isKeyframed,
  removeKeyframe,
  setKeyframe,
  toKeyframes,
  withCurve,
} from "../timeline/curves";
import { EasingEditor, EasingIcon } from "../timeline/EasingEditor";
import { describe } from "../timeline/easings";
import { Icon, IconButton, NumberField } from "../ui";

export interface CurveFieldsProps {
  instruction: Instruction;
  field: CurveField;
}

/** A value over time: the one it ends with, or its keyframes. */
export function CurveFields({ instruction, field }: CurveFieldsProps) {
  const { id } = instruction;
  const curve = curveOf(instruction, field.field);
  const lower = field.label.toLowerCase();
  const lastFrame = useEditor((state) => state.motion.num_frames - 1);
  const set = (verb: string, change: (each: Instruction) => Instruction, key?: string) =>
    applyChange([id], verb, change, key && `${key} ${field.field}`);

  if (!isKeyframed(curve)) {
    return (
      <div className="insp-curve">
        <NumberField
          label={field.label}
          layout="row"
          value={curve}
          unit={field.unit}
          min={field.min}
          step={field.step}
          digits={3}
          onChange={(value) =>
            set(`Change ${lower} of %`, (each) => withCurve(each, field.field, value), "value")
          }
        />
        <IconButton
          label={`Keyframes for ${lower}`}
          hint="Use keyframes: several values over time"
          icon="diamond"
          size="small"
          onClick={() =>
            set(`Use keyframes for ${lower} of %`, (each) =>
              withCurve(
                each,
                field.field,
                toKeyframes(curve, field.neutral, spanOf(each, lastFrame), each.easing),
              ),
            )
          }
        />
      </div>
    );
  }
  const keys = curve;
  const setKeys = (verb: string, next: readonly Keyframe[] | number, key?: string) =>
    set(verb, (each) => withCurve(each, field.field, next), key);
  return (
    <fieldset className="insp-keys" aria-label={`${field.label} keyframes`}>
      <div className="insp-keys-head">
        <span>{field.label}</span>
        <IconButton
          label={`Add ${lower} keyframe`}
          hint="Add a keyframe at the playhead"
          icon="plus"
          size="small"
          onClick={() => {
            const frame = Math.round(editor.getState().playhead);
            applyChange([id], `Add ${lower} keyframe of %`, withKeyframeAt(field, frame));
          }}
        />
        <IconButton
          label={`One value for ${lower}`}
          hint="Without keyframes: only the value at the end"
          icon="close"
          size="small"
          onClick={() => setKeys(`Remove keyframes of ${lower} of %`, keys.at(-1)?.value ?? field.neutral)}
        />
      </div>
      {keys.map((_, index) => (
        <KeyRow
          // biome-ignore lint/suspicious/noArrayIndexKey: keyframes have nothing but their order
          key={index}
          {...{ keys, index, field }}
          isLast={index === keys.length - 1}
          onChange={(change, name) =>
            setKeys(
              `Change ${lower} keyframe of %`,
              setKeyframe(keys, index, change),
              name && `key ${index} ${name}`,
            )
          }
          onPreview={(easing) =>
            easing === null
              ? editor.getState().cancel()
              : editor.getState().preview((motion) => ({
                  ...motion,
                  instructions: motion.instructions.map((each) =>
                    each.id === id
                      ? withCurve(each, field.field, setKeyframe(keys, index, { easing }))
                      : each,
                  ),
                }))
          }
          onRemove={() => setKeys(`Remove ${lower} keyframe of %`, removeKeyframe(keys, index))}
        />
      ))}
    </fieldset>
  );
}

interface KeyRowProps {
  keys: readonly Keyframe[];
  index: number;
  field: CurveField;
  isLast: boolean;
  onChange(change: Partial<Keyframe>, name?: string): void;
  onPreview(easing: Easing | null): void;
  onRemove(): void;
}

function KeyRow({ keys, index, field, isLast, onChange, onPreview, onRemove }: KeyRowProps) {
  const [open, setOpen] = useState(false);
  const key = keys[index] as Keyframe;
  const name = `${field.label} keyframe ${index + 1}`;
  return (
    <div className="insp-key">
      <NumberField
        label={`${name} frame`}
        hideLabel
        unit="f"
        value={key.frame}
        min={0}
        onChange={(frame) => onChange({ frame }, "frame")}
      />
      <NumberField
        label={`${name} value`}
        hideLabel
        unit={field.unit}
        value={key.value}
        min={field.min}
        step={field.step}
        digits={3}
        onChange={(value) => onChange({ value }, "value")}
      />
      <button
        type="button"
        className="insp-easing-button"
        aria-label={`${name} easing: ${describe(key.easing)}`}
        aria-expanded={open}
        title={isLast ? "The last keyframe leads nowhere" : describe(key.easing)}
        disabled={isLast}
        onClick={() => setOpen(!open)}
      >
        <EasingIcon easing={key.easing} size={16} />
      </button>
      <button
        type="button"
        className="insp-remove"
        aria-label={`Remove ${name.toLowerCase()}`}
        onClick={onRemove}
      >
        <Icon name="close" size={13} />
      </button>
      {open && !isLast && (
        <div className="insp-key-easing">
          <EasingEditor
            label={name.toLowerCase()}
            value={key.easing}
            onChange={(easing) => onChange({ easing })}
            onPreview={onPreview}
          />
        </div>
      )}
    </div>
  );
}
