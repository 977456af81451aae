// Everything drawn as lines and handles, in SVGs that move with the view. Panning and zooming render nothing anew but
// what depends on the scale in coarse steps. What is selected lies on a layer of its own: while it is dragged, the
// browser paints that layer alone.

import { memo, type ReactNode, useMemo, useRef, useState } from "react";
import { DRAWN_ID } from "../../motion/names";
import { useEditor, useShownMotion, useTraced } from "../../store/react";
import { useStage } from "../stageStore";
import { scaleStep } from "../view";
import { Handles } from "./Handles";
import { Shape } from "./Shape";
import { SketchLines } from "./SketchLines";
import { useView } from "./useView";

/** With more selected, the numbers of their frames would cover each other, and dragging them would wait for text. */
const MOST_NUMBERED = 12;

export const Overlay = memo(function Overlay() {
  const [scale, setScale] = useState(1);
  useView((view) => setScale(scaleStep(view.scale)));
  return (
    <>
      <World layer="resting">
        <Shapes scale={scale} selected={false} />
      </World>
      <World layer="active">
        <Shapes scale={scale} selected={true} />
        <Handles scale={scale} />
        <SketchLines />
      </World>
    </>
  );
});

/** An SVG in canvas pixels. */
function World({ layer, children }: { layer: string; children: ReactNode }) {
  const root = useRef<SVGSVGElement>(null);
  const world = useRef<SVGGElement>(null);
  useView((view, size) => {
    const left = size.width / 2 - view.x * view.scale;
    const top = size.height / 2 - view.y * view.scale;
    world.current?.setAttribute("transform", `translate(${left} ${top}) scale(${view.scale})`);
    root.current?.style.setProperty("--inverse", String(1 / view.scale));
  });
  return (
    <svg ref={root} className="stage-overlay" role="presentation" data-layer={layer}>
      <g ref={world}>{children}</g>
    </svg>
  );
}

/** The instructions that are selected or being drawn, or all others. */
function Shapes({ scale, selected }: { scale: number; selected: boolean }) {
  const motion = useShownMotion();
  const traced = useTraced(motion);
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const overlay = useEditor((state) => state.overlay);
  const hovered = useStage((state) => state.hovered);
  const isSelected = useMemo(() => new Set(selection).add(DRAWN_ID), [selection]);
  const byId = useMemo(() => new Map(traced.map((each) => [each.id, each])), [traced]);
  if (!overlay.paths) return null;
  return (
    <g>
      {motion.instructions.map((instruction) =>
        instruction.hidden || isSelected.has(instruction.id) !== selected ? null : (
          <Shape
            key={instruction.id}
            instruction={instruction}
            traced={byId.get(instruction.id)}
            canvas={motion.canvas}
            scale={scale}
            selected={selected}
            hovered={hovered === instruction.id}
            locked={locked.has(instruction.id)}
            frames={overlay.frames}
            numbered={selected && selection.length <= MOST_NUMBERED}
          />
        ),
      )}
    </g>
  );
}
