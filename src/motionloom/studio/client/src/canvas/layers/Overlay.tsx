// Everything drawn as lines and handles, in one SVG that moves with the view. Panning and zooming render nothing anew
// but what depends on the scale in coarse steps.

import { memo, useRef, useState } from "react";
import { useEditor, useShownMotion, useTraced } from "../../store/react";
import { useStage } from "../stageStore";
import { scaleStep } from "../view";
import { Handles } from "./Handles";
import { Shape } from "./Shape";
import { SketchLines } from "./SketchLines";
import { useView } from "./useView";

export const Overlay = memo(function Overlay() {
  const root = useRef<SVGSVGElement>(null);
  const world = useRef<SVGGElement>(null);
  const [scale, setScale] = useState(1);
  useView((view, size) => {
    const left = size.width / 2 - view.x * view.scale;
    const top = size.height / 2 - view.y * view.scale;
    world.current?.setAttribute("transform", `translate(${left} ${top}) scale(${view.scale})`);
    root.current?.style.setProperty("--inverse", String(1 / view.scale));
    setScale(scaleStep(view.scale));
  });
  return (
    <svg ref={root} className="stage-overlay" role="presentation">
      <g ref={world}>
        <Shapes scale={scale} />
        <SketchLines />
        <Handles scale={scale} />
      </g>
    </svg>
  );
});

function Shapes({ scale }: { scale: number }) {
  const motion = useShownMotion();
  const traced = useTraced();
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const overlay = useEditor((state) => state.overlay);
  const hovered = useStage((state) => state.hovered);
  if (!overlay.paths) return null;
  const byId = new Map(traced.map((each) => [each.id, each]));
  const isSelected = new Set(selection);
  return (
    <g>
      {motion.instructions.map((instruction) =>
        instruction.hidden ? null : (
          <Shape
            key={instruction.id}
            instruction={instruction}
            traced={byId.get(instruction.id)}
            canvas={motion.canvas}
            scale={scale}
            selected={isSelected.has(instruction.id) || instruction.id === "draft"}
            hovered={hovered === instruction.id}
            locked={locked.has(instruction.id)}
            frames={overlay.frames}
          />
        ),
      )}
    </g>
  );
}
