// Camera: the frame on the picture is what the camera sees in the end. Drag it to pan and tilt, its corners to zoom,
// its arm to roll; moves through space have sliders.

import type { Camera, CameraMove, XY } from "../../motion/document";
import { changeEach } from "../../motion/edits";
import { useEditor } from "../../store/react";
import { Menu, NumberField, Slider } from "../../ui";
import { PLAIN } from "../handles";
import { cameraHandles } from "../handles/camera";
import { endValue, rounded, withEndValue } from "../handles/values";
import { stage } from "../stageStore";
import { benchNow } from "./bench";
import { drafted, keep, show } from "./draft";
import { Hint } from "./OptionBar";
import { type Bench, CLICK_SLACK, type Press, type Tool } from "./tool";

/** What a click makes: a slow push in. */
const PUSH_IN = 1.25;

export const camera: Tool = {
  name: "camera",
  label: "Camera",
  shortcut: "M",
  icon: "camera",
  hint: "Drag the picture to pan and tilt; corners zoom, the arm rolls",
  cursor: "move",
  keyboard: "drag",
  down(press, bench) {
    const existing = cameraIn(bench);
    const before = existing ?? drafted("camera", {});
    if (existing && !bench.editor.locked.has(existing.id)) bench.editor.select([existing.id]);
    let dragged: Camera | null = null;
    return {
      move(presses) {
        const last = presses[presses.length - 1] as Press;
        const by: XY = [last.at[0] - press.at[0], last.at[1] - press.at[1]];
        if (!dragged && Math.hypot(...by) < bench.pixels(CLICK_SLACK)) return;
        dragged = aimed(before, by, last, bench);
        const changed = dragged;
        if (existing) bench.editor.preview((motion) => changeEach(motion, [existing.id], () => changed));
        else show(changed, bench);
        const [pan, tilt] = [endValue(changed.pan), endValue(changed.tilt)];
        stage.setState({
          readout: { at: last.at, text: `pan ${rounded(pan, 1)}°, tilt ${rounded(tilt, 1)}°` },
        });
      },
      up() {
        stage.setState({ readout: null });
        if (existing) {
          if (dragged) bench.editor.commit("Aim camera");
        } else keep(dragged ?? { ...before, zoom: PUSH_IN }, bench);
      },
      cancel() {
        stage.setState({ readout: null });
        bench.editor.cancel();
      },
    };
  },
  Options: CameraOptions,
};

/** The camera with its frame moved by so many canvas pixels. */
function aimed(before: Camera, by: XY, press: Press, bench: Bench): Camera {
  const aim = cameraHandles(before, bench.editor.motion.canvas).find(({ key }) => key === "aim");
  if (!aim) return before;
  const changed = aim.drag([aim.at[0] + by[0], aim.at[1] + by[1]], { ...PLAIN, shift: press.shift });
  return changed.kind === "camera" ? changed : before;
}

function cameraIn({ editor }: Pick<Bench, "editor">): Camera | undefined {
  return editor.motion.instructions.find((each): each is Camera => each.kind === "camera" && !each.hidden);
}

const PRESETS: readonly (readonly [string, Partial<Record<CameraMove, number>>])[] = [
  ["Push in", { zoom: 1.4 }],
  ["Pull out", { zoom: 0.75 }],
  ["Pan left", { pan: -12 }],
  ["Pan right", { pan: 12 }],
  ["Tilt up", { tilt: 8 }],
  ["Tilt down", { tilt: -8 }],
  ["Roll clockwise", { roll: 20 }],
  ["Roll anticlockwise", { roll: -20 }],
  ["Orbit left", { orbit: -20 }],
  ["Orbit right", { orbit: 20 }],
  ["Dolly in", { dolly: 0.3 }],
  ["Dolly out", { dolly: -0.3 }],
];

const STILL = { pan: 0, tilt: 0, roll: 0, zoom: 1, dolly: 0, truck: 0, pedestal: 0, orbit: 0 } as const;

/** In units of the plane's distance, but for the angle. */
const SLIDERS: readonly (readonly [CameraMove, string, number, number, number, string])[] = [
  ["orbit", "Orbit", -60, 60, 1, "°"],
  ["dolly", "Dolly", -1, 0.8, 0.01, ""],
];

function CameraOptions() {
  const found = useEditor((state) => cameraIn({ editor: state }));
  const set = (moves: Partial<Record<CameraMove, number>>, label: string, key?: string) => {
    const change = (each: Camera): Camera => {
      const changed = Object.entries(moves).map(([name, value]) => [
        name,
        withEndValue(each[name as CameraMove], value),
      ]);
      return { ...each, ...Object.fromEntries(changed) };
    };
    if (!found) {
      keep(change(drafted("camera", {})), benchNow());
      return;
    }
    benchNow().editor.edit(
      label,
      (motion) => changeEach(motion, [found.id], (each) => (each.kind === "camera" ? change(each) : each)),
      key,
    );
  };
  return (
    <>
      <Menu
        label="Moves"
        size="small"
        variant="plain"
        entries={PRESETS.map(([label, moves]) => ({
          label,
          run: () => set({ ...STILL, ...moves }, label),
        }))}
      />
      {found ? (
        <>
          {/* Pan, tilt, zoom and roll have handles on the picture. */}
          {SLIDERS.map(([name, label, min, max, step, unit]) => (
            <Slider
              key={name}
              label={label}
              layout="row"
              value={endValue(found[name])}
              min={min}
              max={max}
              step={step}
              text={`${rounded(endValue(found[name]))}${unit}`}
              onChange={(value) => set({ [name]: value }, `Change ${label.toLowerCase()}`, `camera ${name}`)}
            />
          ))}
          <NumberField
            label="Truck"
            layout="row"
            value={endValue(found.truck)}
            min={-10}
            max={10}
            step={0.05}
            onChange={(value) => set({ truck: value }, "Change truck", "camera truck")}
          />
          <NumberField
            label="Pedestal"
            layout="row"
            value={endValue(found.pedestal)}
            min={-10}
            max={10}
            step={0.05}
            onChange={(value) => set({ pedestal: value }, "Change pedestal", "camera pedestal")}
          />
        </>
      ) : (
        <Hint>{camera.hint}</Hint>
      )}
    </>
  );
}
