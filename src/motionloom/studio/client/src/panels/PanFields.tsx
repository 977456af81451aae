import type { Pan, XY } from "../motion/document";
import { displayName } from "../motion/names";
import { editor, useShownMotion } from "../store/react";
import { Icon, NumberField } from "../ui";
import { Section } from "./Section";

/** A steady drift in px/frame, of the selected instructions or (`ids` null) of all; and all there are. */
export function PanFields({ ids }: { ids: readonly string[] | null }) {
  const motion = useShownMotion();
  const own = motion.pan.find((pan) => isFor(pan, ids));
  const [x, y] = own?.velocity ?? [0, 0];
  const who = ids === null ? "all" : ids.length === 1 ? "it" : "selected";
  const set = (velocity: XY) => editor.getState().setPan(velocity, ids);
  return (
    <Section title="Pan velocity">
      <fieldset className="insp-pair" aria-label="Pan velocity">
        <legend>{ids === null ? "Of everything" : "Of the selection"}</legend>
        <NumberField
          label={`Pan ${who} x`}
          hideLabel
          unit="x"
          value={x}
          step={0.5}
          onChange={(next) => set([next, y])}
        />
        <NumberField
          label={`Pan ${who} y`}
          hideLabel
          unit="y"
          value={y}
          step={0.5}
          onChange={(next) => set([x, next])}
        />
      </fieldset>
      <p className="insp-hint">Pixels per frame, added from frame 0 on; x to the right, y down.</p>
      {motion.pan.length > 0 && (
        <ul className="insp-pans" aria-label="Pan velocities">
          {motion.pan.map((pan, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: pans have nothing but their order
            <li key={index} data-own={pan === own || undefined}>
              <button
                type="button"
                className="insp-pan"
                title={pan.instructions ? "Select them" : "Select all"}
                onClick={() => {
                  const { select, selectAll } = editor.getState();
                  if (pan.instructions) select(pan.instructions);
                  else selectAll();
                }}
              >
                {namesOf(pan)}
              </button>
              <span>
                {round(pan.velocity[0])}, {round(pan.velocity[1])}
              </span>
              <button
                type="button"
                className="insp-remove"
                aria-label={`Remove pan of ${namesOf(pan)}`}
                onClick={() => editor.getState().setPans(motion.pan.filter((other) => other !== pan))}
              >
                <Icon name="close" size={13} />
              </button>
            </li>
          ))}
        </ul>
      )}
    </Section>
  );

  function namesOf(pan: Pan): string {
    if (!pan.instructions) return "Everything";
    const names = pan.instructions.flatMap((id) => {
      const found = motion.instructions.find((each) => each.id === id);
      return found ? displayName(found) : [];
    });
    return names.length > 3 ? `${names.length} instructions` : names.join(", ");
  }
}

function isFor(pan: Pan, ids: readonly string[] | null): boolean {
  if (ids === null || !pan.instructions) return ids === null && !pan.instructions;
  return pan.instructions.length === ids.length && ids.every((id) => pan.instructions?.includes(id));
}

const round = (value: number) => Number(value.toFixed(3));
