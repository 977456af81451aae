// Handles as real elements: the keyboard and screen readers reach each one. The pointer takes hold of the nearest one
// by its place (see Stage), so that a finger need not hit a small mark.

import { memo } from "react";
import type { Instruction, XY } from "../../motion/document";
import { DRAWN_ID, displayName } from "../../motion/names";
import { useEditor, useShownMotion } from "../../store/react";
import { type Handle, handlesOf, type Look } from "../handles";
import { insertHandles } from "../handles/insert";
import { anchorOf } from "../places";
import { useStage } from "../stageStore";
import { usePainting } from "../tools/brush";

export function Handles({ scale }: { scale: number }) {
  const motion = useShownMotion();
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const tool = useEditor((state) => state.tool);
  const only = selection.length === 1 ? selection[0] : undefined;
  const painting = usePainting();
  if (tool === "hand" || painting) return null;
  return (
    <g className="handles">
      {motion.instructions.map((instruction) =>
        instruction.hidden || instruction.id === DRAWN_ID ? null : instruction.id === only &&
          !locked.has(only) ? (
          <Grips key={instruction.id} instruction={instruction} canvas={motion.canvas} scale={scale} />
        ) : (
          <Anchor
            key={instruction.id}
            instruction={instruction}
            canvas={motion.canvas}
            selected={selection.includes(instruction.id)}
            scale={scale}
            locked={locked.has(instruction.id)}
          />
        ),
      )}
    </g>
  );
}

const Grips = memo(function Grips({
  instruction,
  canvas,
  scale,
}: {
  instruction: Instruction;
  canvas: { readonly width: number; readonly height: number };
  scale: number;
}) {
  const picked = useEditor((state) => state.points);
  const corners = useStage((state) => state.corners);
  const tool = useEditor((state) => state.tool);
  const name = displayName(instruction);
  const handles = handlesOf(instruction, { canvas, picked, corners });
  const between = tool === "select" ? insertHandles(instruction, scale) : [];
  return (
    <g style={{ color: instruction.color }}>
      {handles.map((handle) => handle.from && <Lead key={handle.key} handle={handle} />)}
      {between.map((handle) => (
        <g key={handle.key} className="handle" data-look="plus" transform={at(handle.at)}>
          <g className="constant">
            <Shape look="plus" />
          </g>
        </g>
      ))}
      {handles.map((handle) => (
        // biome-ignore lint/a11y/useSemanticElements: there is no button element in SVG
        <g
          key={handle.key}
          role="button"
          tabIndex={0}
          className="handle"
          aria-label={`${name} ${handle.label}`}
          aria-description={handle.says}
          aria-pressed={handle.point === undefined ? undefined : picked.includes(handle.point)}
          data-look={handle.look}
          data-handle={handle.key}
          data-instruction={instruction.id}
          transform={at(handle.at)}
        >
          <g className="constant">
            <circle className="hit" r={12} />
            <Shape look={handle.look} />
          </g>
        </g>
      ))}
    </g>
  );
});

/** What is not selected, for the keyboard: Enter selects it. */
const Anchor = memo(function Anchor({
  instruction,
  canvas,
  selected,
  locked,
  scale,
}: {
  instruction: Instruction;
  canvas: { readonly width: number; readonly height: number };
  selected: boolean;
  locked: boolean;
  scale: number;
}) {
  const [x, y] = anchorOf(instruction, canvas);
  return (
    // biome-ignore lint/a11y/useSemanticElements: there is no button element in SVG
    <g
      role="button"
      tabIndex={0}
      className="anchor"
      aria-label={`${displayName(instruction)}${locked ? ", locked" : ""}`}
      aria-pressed={selected}
      data-anchor={instruction.id}
    >
      <circle cx={x} cy={y} r={10 / scale} />
    </g>
  );
});

function Lead({ handle }: { handle: Handle }) {
  const [x, y] = handle.from as XY;
  return (
    <>
      <line className="lead casing" x1={x} y1={y} x2={handle.at[0]} y2={handle.at[1]} />
      <line className="lead" x1={x} y1={y} x2={handle.at[0]} y2={handle.at[1]} />
    </>
  );
}

function Shape({ look }: { look: Look }) {
  switch (look) {
    case "corner":
    case "vertex": {
      const half = look === "corner" ? 4.5 : 3.5;
      return <rect className="mark" x={-half} y={-half} width={2 * half} height={2 * half} />;
    }
    case "center":
      return (
        <>
          <circle className="mark" r={6} />
          <path className="sign" d="M-3.500 0H3.500M0 -3.500V3.500" />
        </>
      );
    case "turn":
      return (
        <>
          <circle className="mark" r={6.5} />
          <path className="sign" d="M2.800 -1.800A3.300 3.300 0 1 0 3.300 1M3.200 -3.600V-1.400H1" />
        </>
      );
    case "end":
      return (
        <>
          <circle className="mark" r={6} />
          <circle className="core" r={2.5} />
        </>
      );
    case "plus":
      return (
        <>
          <circle className="mark" r={5} />
          <path className="sign" d="M-2.500 0H2.500M0 -2.500V2.500" />
        </>
      );
    case "tangent":
      return <circle className="mark" r={3.5} />;
    default:
      return <circle className="mark" r={5.5} />;
  }
}

function at([x, y]: XY): string {
  return `translate(${x} ${y})`;
}
