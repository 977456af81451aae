import "./generate.css";
import { counted } from "../projects/ProjectCard";
import { prefer, usePreferences } from "../store/preferences";
import { project, useProject } from "../store/project";
import { editor, useEditor } from "../store/react";
import { useReceived, useWatchReceived } from "../store/received";
import { modelFacts, server, useServer } from "../store/server";
import { Button, Icon, IconButton, NumberField, Slider, TextArea } from "../ui";
import { AdvancedFields } from "./AdvancedFields";
import { ModelField } from "./ModelField";
import { SizeField } from "./SizeField";
import { generate, needsPrompt, useSubmitting } from "./submit";

const MAX_SEED = 2 ** 53 - 65;

/** How the videos are made, and the button that asks for them. Empty fields leave the choice to the model. */
export function GeneratePanel() {
  const settings = useProject((state) => state.settings);
  const models = useServer((state) => state.models);
  const problem = useServer((state) => (state.models === null ? state.problem : null));
  const facts = useServer((state) => modelFacts(state, settings.model));
  const prompt = useEditor((state) => state.motion.prompt);
  const advanced = usePreferences((state) => state.advanced);
  const instructions = useEditor((state) => state.motion.instructions.length);
  const busy = useSubmitting();
  const set = project.getState().updateSettings;
  useWatchReceived();
  // What the model makes of the empty fields, as the server says it for this very motion.
  const made = useReceived((state) => (state.received?.model === facts?.name ? state.received : null));

  const count = settings.count ?? 1;

  return (
    <>
      <section className="generate" aria-label="Settings of the video">
        {problem && (
          <p className="generate-note" role="alert">
            <Icon name="error" size={16} /> The models could not be read: {problem}{" "}
            <button type="button" className="link" onClick={() => void server.getState().load()}>
              Try again
            </button>
          </p>
        )}
        <ModelField
          models={models}
          facts={facts}
          value={settings.model ?? facts?.name ?? ""}
          onChange={(model) => set({ model, method: null, solver: null, shift: null })}
          onReload={() =>
            void server
              .getState()
              .reloadModels()
              .catch(() => {})
          }
        />
        {facts?.takes_image === false && (
          <p className="generate-note">
            <Icon name="info" size={16} /> Makes its own picture{facts.reads_text && " from the prompt"}; the
            photograph is only where you draw.
          </p>
        )}
        {facts?.reads_text === false ? (
          <p className="generate-note">
            <Icon name="info" size={16} /> This model reads no text:{" "}
            {facts.takes_image ? "the picture and the motion say" : "the motion says"} everything.
          </p>
        ) : (
          <>
            <TextArea
              label="Prompt"
              rows={3}
              value={settings.prompt ?? ""}
              required={facts?.takes_image === false && !prompt?.trim()}
              placeholder={prompt ?? "What is in the picture and how it moves"}
              hint={
                prompt && !settings.prompt
                  ? "These words come from the motion; type to use others."
                  : needsPrompt(facts, settings.prompt ?? prompt)
                    ? "This model needs one: it makes the picture from it. Long descriptions work best."
                    : undefined
              }
              onChange={(text) => set({ prompt: text === "" ? null : text })}
            />
            <TextArea
              label="Negative prompt"
              rows={1}
              value={settings.negative_prompt ?? ""}
              placeholder="The model's own"
              onChange={(text) => set({ negative_prompt: text === "" ? null : text })}
            />
          </>
        )}
        <div className="generate-pair">
          <div className="generate-seed">
            <NumberField
              label="Seed"
              digits={0}
              min={0}
              max={MAX_SEED}
              value={settings.seed ?? 0}
              onChange={(seed) => set({ seed })}
            />
            <IconButton
              label="Another seed"
              icon="seed"
              variant="plain"
              onClick={() => set({ seed: Math.floor(Math.random() * 2 ** 31) })}
            />
          </div>
          <NumberField
            label="Videos"
            digits={0}
            min={1}
            max={64}
            value={count}
            onChange={(videos) => set({ count: videos })}
          />
        </div>
        <SizeField settings={settings} facts={facts} onChange={set} />
        <div className="generate-triple">
          <NumberField
            label="Video frames"
            digits={0}
            min={1}
            max={2_000}
            value={settings.num_frames ?? null}
            placeholder={String(made?.num_frames ?? facts?.num_frames ?? "as drawn")}
            onChange={(num_frames) => set({ num_frames })}
            onClear={() => set({ num_frames: null })}
          />
          <NumberField
            label="Video rate"
            unit="fps"
            min={0.1}
            max={240}
            value={settings.fps ?? null}
            placeholder={made ? String(Number(made.fps.toFixed(2))) : "auto"}
            onChange={(fps) => set({ fps })}
            onClear={() => set({ fps: null })}
          />
          <NumberField
            label="Steps"
            digits={0}
            min={1}
            max={1_000}
            value={settings.num_inference_steps ?? null}
            placeholder={facts?.num_inference_steps ? String(facts.num_inference_steps) : "auto"}
            onChange={(num_inference_steps) => set({ num_inference_steps })}
            onClear={() => set({ num_inference_steps: null })}
          />
        </div>
        <Slider
          label="Strength"
          min={0}
          max={2}
          step={0.05}
          value={settings.strength ?? 1}
          onChange={(strength) => set({ strength })}
          hint={strengthText(settings.strength ?? 1)}
        />
        <details
          className="generate-advanced"
          open={advanced}
          onToggle={(event) => prefer({ advanced: event.currentTarget.open })}
        >
          <summary>More settings</summary>
          {advanced && <AdvancedFields settings={settings} facts={facts} onChange={set} />}
        </details>
      </section>
      <div className="generate-go">
        <Flags />
        <Button
          variant="primary"
          size="large"
          icon="generate"
          busy={busy}
          aria-label="Generate"
          disabled={models !== null && !facts}
          onClick={() => void generate()}
        >
          {count === 1 ? "Generate" : `Generate ${count} videos`}
        </Button>
        {made && (
          <p className="muted generate-made">
            {made.width} × {made.height}, {made.num_frames} frames at {Number(made.fps.toFixed(2))} fps
            {instructions > 0 && `; the model gets ${counted(made.num_tracks, "track")}`}
          </p>
        )}
      </div>
    </>
  );
}

/** What the model will not do well with, in one line each; a click goes there. */
function Flags() {
  const flags = useReceived((state) => state.received?.flags);
  const instructions = useEditor((state) => state.motion.instructions.length);
  if (instructions === 0)
    return (
      <p className="generate-note">
        <Icon name="info" size={16} /> Nothing is drawn yet: the model will move things as it likes.
      </p>
    );
  if (!flags?.length) return null;
  // What holds for the motion as a whole comes first.
  const ordered = [...flags].sort((a, b) => Number(a.instruction !== null) - Number(b.instruction !== null));
  return (
    <details className="generate-flags">
      <summary>
        <Icon name="warn" size={16} />{" "}
        {flags.length === 1
          ? "1 thing the model may not follow"
          : `${flags.length} things the model may not follow`}
      </summary>
      <ul>
        {ordered.map((flag) => (
          <li key={`${flag.kind}-${flag.instruction}-${flag.frame}`}>
            {flag.instruction ? (
              <button
                type="button"
                onClick={() => {
                  if (flag.instruction) editor.getState().select([flag.instruction]);
                  if (flag.frame !== null) editor.getState().setPlayhead(flag.frame);
                }}
              >
                {flag.message}
              </button>
            ) : (
              flag.message
            )}
          </li>
        ))}
      </ul>
    </details>
  );
}

function strengthText(strength: number): string | undefined {
  if (strength === 0) return "The motion is left out: the model moves the picture as it likes.";
  if (strength < 1) return "The motion counts for less than the model was trained with.";
  if (strength > 1) return "The motion counts for more than the model was trained with.";
  return undefined;
}
