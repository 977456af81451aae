// What can be done with the selection, beside it. Out of the way while something is dragged or drawn.

import { useLayoutEffect, useRef } from "react";
import { displayName } from "../motion/names";
import { editor, useEditor } from "../store/react";
import { IconButton } from "../ui";
import { viewNow } from "./layers/useView";
import { boundsAround } from "./places";
import { stage, useStage } from "./stageStore";
import { deleteSelected, duplicateSelected } from "./useStageShortcuts";
import { toScreen } from "./view";

const GAP = 18;
const MARGIN = 8;

export function ContextBar() {
  const selection = useEditor((state) => state.selection);
  const tool = useEditor((state) => state.tool);
  const dragging = useStage((state) => state.dragging);
  const drafting = useEditor((state) => state.draft !== null);
  if (selection.length === 0 || dragging || drafting || tool !== "select") return null;
  return <Bar />;
}

function Bar() {
  const bar = useRef<HTMLDivElement>(null);
  const motion = useEditor((state) => state.motion);
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const chosen = motion.instructions.filter(({ id }) => selection.includes(id));
  const name = chosen.length === 1 && chosen[0] ? displayName(chosen[0]) : "selected";
  const allLocked = chosen.every(({ id }) => locked.has(id));
  const allHidden = chosen.every(({ hidden }) => hidden);

  useLayoutEffect(() => {
    const place = () => {
      const element = bar.current;
      const { size } = stage.getState();
      if (!element) return;
      const bounds = boundsAround(chosen, motion.canvas);
      element.hidden = bounds === null;
      if (!bounds) return;
      const view = viewNow();
      const [left, top] = toScreen(view, size, [bounds[0], bounds[1]]);
      const [right, bottom] = toScreen(view, size, [bounds[2], bounds[3]]);
      const { offsetWidth: width, offsetHeight: height } = element;
      // Above if there is room, else below, else at the edge of the stage.
      const above = top - GAP - height;
      const y = above >= MARGIN ? above : Math.min(bottom + GAP, size.height - height - MARGIN);
      const x = Math.min(Math.max((left + right) / 2 - width / 2, MARGIN), size.width - width - MARGIN);
      element.style.transform = `translate(${Math.round(x)}px, ${Math.round(Math.max(y, MARGIN))}px)`;
    };
    place();
    const ends = [editor.subscribe(place), stage.subscribe(place)];
    return () => {
      for (const end of ends) end();
    };
  });

  const { setHidden, setLocked } = editor.getState();
  return (
    <div ref={bar} className="stage-context" role="toolbar" aria-label="Selection">
      <IconButton
        size="small"
        icon="duplicate"
        label="Duplicate"
        shortcut="Mod+D"
        onClick={duplicateSelected}
      />
      <IconButton
        size="small"
        icon={allHidden ? "eye-off" : "eye"}
        label={`${allHidden ? "Show" : "Hide"} ${name}`}
        onClick={() => setHidden(selection, !allHidden)}
      />
      <IconButton
        size="small"
        icon={allLocked ? "lock" : "unlock"}
        label={`${allLocked ? "Unlock" : "Lock"} ${name}`}
        onClick={() => setLocked(selection, !allLocked)}
      />
      <IconButton
        size="small"
        icon="trash"
        label="Delete"
        shortcut="Delete"
        disabled={allLocked}
        onClick={deleteSelected}
      />
    </div>
  );
}
