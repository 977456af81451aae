import { useState } from "react";
import { editor, useShownMotion } from "../store/react";
import { Checkbox, NumberField, Select, TextArea } from "../ui";
import { Section } from "./Section";

type Mode = "stretch" | "keep";

const MODES: readonly { value: Mode; label: string }[] = [
  { value: "stretch", label: "stretches all" },
  { value: "keep", label: "keeps times" },
];

/** What holds for the motion as a whole. */
export function MotionSettings() {
  const motion = useShownMotion();
  const [mode, setMode] = useState<Mode>("stretch");
  const [typed, setTyped] = useState<string | null>(null);
  const { edit, setLength } = editor.getState();
  const { num_frames, fps, canvas } = motion;
  return (
    <Section
      title="Motion"
      aside={<span className="insp-summary">{`${canvas.width} × ${canvas.height}`}</span>}
    >
      <div className="insp-two">
        <NumberField
          label="Length"
          unit="frames"
          value={num_frames}
          min={1}
          max={10_000}
          digits={0}
          onChange={(count) => setLength(count, fps, mode)}
        />
        <NumberField
          label="Rate"
          unit="per s"
          value={fps}
          min={0.1}
          max={240}
          digits={3}
          onChange={(rate) => setLength(num_frames, rate, mode)}
        />
      </div>
      <p className="insp-hint">{(num_frames / fps).toFixed(2)} seconds</p>
      <Select<Mode> label="A new length" layout="row" value={mode} options={MODES} onChange={setMode} />
      <Checkbox
        label="Occlusion"
        hint="Areas in front hide the points behind them"
        checked={motion.occlusion}
        onChange={(occlusion) =>
          edit(occlusion ? "Switch occlusion on" : "Switch occlusion off", (each) => ({
            ...each,
            occlusion,
          }))
        }
      />
      <TextArea
        label="Words for the model"
        hint="Kept in the motion file; used when the prompt under Generate is empty"
        rows={2}
        value={typed ?? motion.prompt ?? ""}
        onChange={setTyped}
        onBlur={() => {
          const words = typed?.trim();
          setTyped(null);
          if (words === undefined || words === (motion.prompt ?? "")) return;
          edit("Change words for the model", ({ prompt: _, ...each }) =>
            words ? { ...each, prompt: words } : each,
          );
        }}
      />
    </Section>
  );
}
