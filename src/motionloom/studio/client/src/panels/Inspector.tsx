import "./Inspector.css";
import type { Instruction, Motion } from "../motion/document";
import { displayName, KIND_LABELS } from "../motion/names";
import { editor, useEditor, useShownMotion } from "../store/react";
import { applyChange } from "../timeline/actions";
import { useSpeedLimit, useSpeeds } from "../timeline/useSpeeds";
import { ColorSwatch, NumberField, TextField } from "../ui";
import { NO_COLOR } from "./colors";
import { MotionSettings } from "./MotionSettings";
import { PanFields } from "./PanFields";
import { Section } from "./Section";
import { ShapeFields } from "./ShapeFields";
import { SpeedGraph } from "./SpeedGraph";
import { common, EasingFields, TimingFields } from "./TimingFields";

/** Everything about what is selected, as numbers; about the motion when nothing is. */
export function Inspector() {
  const motion = useShownMotion();
  const selection = useEditor((state) => state.selection);
  const chosen = motion.instructions.filter((each) => selection.includes(each.id));
  const lastFrame = motion.num_frames - 1;
  const only = chosen.length === 1 ? chosen[0] : undefined;
  const ids = chosen.map((each) => each.id);
  return (
    <section className="insp" aria-label="Inspector">
      {chosen.length === 0 && (
        <>
          <MotionSettings />
          <PanFields ids={null} />
        </>
      )}
      {only && <One key={only.id} instruction={only} motion={motion} />}
      {chosen.length > 1 && <Several instructions={chosen} motion={motion} />}
      {chosen.length > 0 && (
        <>
          <TimingFields instructions={chosen} lastFrame={lastFrame} />
          <EasingFields instructions={chosen} />
          <PanFields ids={ids} />
        </>
      )}
    </section>
  );
}

function One({ instruction, motion }: { instruction: Instruction; motion: Motion }) {
  const { id, color } = instruction;
  const speeds = useSpeeds(motion).get(id);
  const limit = useSpeedLimit();
  return (
    <>
      <div className="insp-who">
        <ColorSwatch
          label="Colour"
          size={18}
          value={color ?? NO_COLOR}
          onChange={(next) => editor.getState().recolor([id], next)}
        />
        <TextField
          label="Name"
          hideLabel
          value={displayName(instruction)}
          maxLength={200}
          onCommit={(name) => editor.getState().rename(id, name.trim())}
        />
        <span className="insp-summary">{KIND_LABELS[instruction.kind]}</span>
      </div>
      <ShapeFields instruction={instruction} lastFrame={motion.num_frames - 1} />
      {speeds && speeds.largest > 1e-6 && <SpeedGraph speeds={speeds} limit={limit} />}
    </>
  );
}

function Several({ instructions, motion }: { instructions: readonly Instruction[]; motion: Motion }) {
  const ids = instructions.map((each) => each.id);
  const spaced = instructions.every(
    (each) => each.kind === "region" || each.kind === "rotate" || each.kind === "camera",
  );
  const spacing = common(instructions, (each) => ("spacing" in each ? each.spacing : undefined));
  return (
    <>
      <div className="insp-who">
        <ColorSwatch
          label="Colour"
          size={18}
          value={common(instructions, (each) => each.color) ?? NO_COLOR}
          onChange={(next) => editor.getState().recolor(ids, next)}
        />
        <h3>{instructions.length} selected</h3>
        <span className="insp-summary">{kinds(instructions)}</span>
      </div>
      {spaced && (
        <Section title="Shape">
          <NumberField
            label="Spacing"
            layout="row"
            unit="px"
            value={spacing ?? null}
            placeholder="mixed"
            min={1}
            onChange={(next) =>
              applyChange(
                ids,
                "Change spacing of %",
                (each) => ({ ...each, spacing: next }) as Instruction,
                "spacing",
              )
            }
          />
        </Section>
      )}
      <Fastest ids={ids} motion={motion} />
    </>
  );
}

function Fastest({ ids, motion }: { ids: readonly string[]; motion: Motion }) {
  const speeds = useSpeeds(motion);
  const limit = useSpeedLimit();
  const found = ids.flatMap((id) => speeds.get(id) ?? []);
  if (found.length === 0 || motion.num_frames < 2) return null;
  const fastest = found.reduce((best, each) => (each.largest > best.largest ? each : best));
  return fastest.largest > 1e-6 ? <SpeedGraph speeds={fastest} limit={limit} /> : null;
}

/** "2 paths, 1 box" */
function kinds(instructions: readonly Instruction[]): string {
  const counts = new Map<Instruction["kind"], number>();
  for (const { kind } of instructions) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${count} ${count === 1 ? kind : PLURALS[kind]}`).join(", ");
}

const PLURALS: Readonly<Record<Instruction["kind"], string>> = {
  path: "paths",
  circle: "circles",
  static: "static",
  box: "boxes",
  region: "regions",
  rotate: "rotations",
  camera: "cameras",
};
