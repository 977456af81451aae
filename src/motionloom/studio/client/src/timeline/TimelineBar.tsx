import { memo, useState } from "react";
import { useProject } from "../store/project";
import { editor, useEditor } from "../store/react";
import { modelFacts, useServer } from "../store/server";
import { Button, IconButton, NumberField } from "../ui";
import { step } from "./playing";
import { frameText } from "./scale";

export interface TimelineBarProps {
  zoom: number;
  maxZoom: number;
  onZoom(zoom: number): void;
}

/** Playing, where the playhead is, how long the motion is, how close the timeline is looked at. */
export const TimelineBar = memo(function TimelineBar({ zoom, maxZoom, onZoom }: TimelineBarProps) {
  const playing = useEditor((state) => state.playing);
  const looping = useEditor((state) => state.looping);
  const { setPlaying, setLooping } = editor.getState();
  return (
    <div className="tl-top">
      <fieldset className="tl-group" aria-label="Playback">
        <IconButton
          label="One frame back"
          icon="step-back"
          shortcut=","
          size="small"
          onClick={() => step(-1)}
        />
        <IconButton
          label={playing ? "Pause" : "Play"}
          icon={playing ? "pause" : "play"}
          shortcut="Space"
          size="small"
          onClick={() => setPlaying(!playing)}
        />
        <IconButton
          label="One frame forward"
          icon="step-forward"
          shortcut="."
          size="small"
          onClick={() => step(1)}
        />
        <IconButton
          label="Loop"
          icon="loop"
          size="small"
          pressed={looping}
          onClick={() => setLooping(!looping)}
        />
      </fieldset>
      <Readout />
      <span className="tl-spacer" />
      <Length />
      <fieldset className="tl-group tl-zoom" aria-label="Timeline zoom">
        <IconButton
          label="Show fewer frames"
          icon="zoom-in"
          size="small"
          disabled={zoom >= maxZoom}
          onClick={() => onZoom(zoom * 1.5)}
        />
        <IconButton
          label="Show more frames"
          icon="zoom-out"
          size="small"
          disabled={zoom <= 1}
          onClick={() => onZoom(zoom / 1.5)}
        />
        <IconButton
          label="Show all frames"
          icon="fit"
          size="small"
          disabled={zoom <= 1}
          onClick={() => onZoom(1)}
        />
      </fieldset>
    </div>
  );
});

function Readout() {
  const frame = useEditor((state) => Math.floor(state.playhead + 1e-6));
  const fps = useEditor((state) => state.motion.fps);
  const count = useEditor((state) => state.motion.num_frames);
  return (
    <p className="tl-readout">
      <b>{frameText(frame)}</b>
      <span> / {count - 1}</span>
      <span className="tl-seconds">
        {(frame / fps).toFixed(2)} of {(count / fps).toFixed(2)} s
      </span>
    </p>
  );
}

function Length() {
  const frames = useEditor((state) => state.motion.num_frames);
  const fps = useEditor((state) => state.motion.fps);
  const [mode, setMode] = useState<"keep" | "stretch">("stretch");
  const chosen = useProject((state) => state.settings.model);
  const facts = useServer((state) => modelFacts(state, chosen));
  const set = (count: number, rate: number) => editor.getState().setLength(count, rate, mode);
  const own = facts?.num_frames && { frames: facts.num_frames, fps: facts.fps ?? fps };
  return (
    <div className="tl-length">
      {facts && own && (own.frames !== frames || own.fps !== fps) && (
        <Button
          variant="quiet"
          size="small"
          title={`${facts.title} makes ${own.frames} frames at ${own.fps} per second: make the motion as long`}
          onClick={() => set(own.frames, own.fps)}
        >
          Match model
        </Button>
      )}
      <NumberField
        label="Frames"
        layout="row"
        className="tl-count"
        value={frames}
        min={1}
        max={10_000}
        digits={0}
        onChange={(count) => set(count, fps)}
      />
      <NumberField
        label="Frames per second"
        layout="row"
        className="tl-fps"
        value={fps}
        min={0.1}
        max={240}
        digits={3}
        unit="fps"
        onChange={(rate) => set(frames, rate)}
      />
      <fieldset className="tl-mode" aria-label="When the length changes">
        {(["stretch", "keep"] as const).map((each) => (
          <button
            key={each}
            type="button"
            aria-pressed={mode === each}
            title={
              each === "stretch"
                ? "A new length stretches the whole movement"
                : "With a new length, times stay the frame numbers they are"
            }
            onClick={() => setMode(each)}
          >
            {each === "stretch" ? "Stretch" : "Keep times"}
          </button>
        ))}
      </fieldset>
    </div>
  );
}
