import type { Instruction } from "../motion/document";
import { spanOf } from "../motion/timing";
import { editor } from "../store/react";
import { applyChange, labelOf } from "../timeline/actions";
import { EasingEditor, EasingIcon } from "../timeline/EasingEditor";
import { describe, sameEasing } from "../timeline/easings";
import { frameText } from "../timeline/scale";
import { withEnd, withStart } from "../timeline/timing";
import { NumberField, Select } from "../ui";
import { Fold, Section } from "./Section";

export interface CommonProps {
  instructions: readonly Instruction[];
  lastFrame: number;
}

const OUTSIDE = [
  { value: "hold", label: "Stays in place" },
  { value: "vanish", label: "Is not there" },
] as const;

/** When it happens: of one instruction, or what several have in common. */
export function TimingFields({ instructions, lastFrame }: CommonProps) {
  const ids = instructions.map((each) => each.id);
  const start = common(instructions, (each) => spanOf(each, lastFrame).start);
  const end = common(instructions, (each) => spanOf(each, lastFrame).end);
  const isSet = (side: "start" | "end") => instructions.some((each) => each[side] !== undefined);
  const clear = (side: "start" | "end") =>
    applyChange(ids, `Reset ${side} of %`, ({ ...each }) => {
      delete each[side];
      return each;
    });
  return (
    <Section title="Timing">
      <div className="insp-two">
        <NumberField
          label="Start"
          value={isSet("start") || start === undefined ? (start ?? null) : null}
          placeholder={start === undefined ? "mixed" : frameText(start)}
          unit="frame"
          min={0}
          onChange={(frame) =>
            applyChange(ids, "Change start of %", (each, last) => withStart(each, frame, last), "start")
          }
          onClear={() => clear("start")}
        />
        <NumberField
          label="End"
          value={isSet("end") || end === undefined ? (end ?? null) : null}
          placeholder={end === undefined ? "mixed" : frameText(end)}
          unit="frame"
          min={0}
          onChange={(frame) =>
            applyChange(ids, "Change end of %", (each, last) => withEnd(each, frame, last), "end")
          }
          onClear={() => clear("end")}
        />
        {(["before", "after"] as const).map((side) => {
          const value = common(instructions, (each) => each[side]);
          return (
            <Select
              key={side}
              label={side === "before" ? "Before the start" : "After the end"}
              value={value ?? ""}
              options={
                value === undefined ? [{ value: "", label: "Mixed", disabled: true }, ...OUTSIDE] : OUTSIDE
              }
              onChange={(next) => {
                if (next !== "")
                  applyChange(ids, `Change ${side} of %`, (each) => ({ ...each, [side]: next }));
              }}
            />
          );
        })}
      </div>
    </Section>
  );
}

/** How it gets from start to end. */
export function EasingFields({ instructions }: { instructions: readonly Instruction[] }) {
  const ids = instructions.map((each) => each.id);
  const first = instructions[0];
  if (!first) return null;
  const { easing } = first;
  const same = instructions.every((each) => sameEasing(each.easing, easing));
  return (
    <Fold
      title="Easing"
      summary={
        same ? (
          <>
            {describe(easing)} <EasingIcon easing={easing} size={16} />
          </>
        ) : (
          "Mixed"
        )
      }
    >
      <EasingEditor
        value={easing}
        onChange={(next) => applyChange(ids, "Change easing of %", (each) => ({ ...each, easing: next }))}
        onPreview={(next) => {
          const { cancel, preview } = editor.getState();
          if (next === null) cancel();
          else
            preview((motion) => ({
              ...motion,
              instructions: motion.instructions.map((each) =>
                ids.includes(each.id) ? { ...each, easing: next } : each,
              ),
            }));
        }}
        label={labelOf(ids, "%")}
      />
    </Fold>
  );
}

/** The value that all have, or undefined. */
export function common<Value>(
  instructions: readonly Instruction[],
  value: (instruction: Instruction) => Value,
): Value | undefined {
  const values = new Set(instructions.map(value));
  return values.size === 1 ? [...values][0] : undefined;
}
