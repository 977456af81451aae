import { type KeyboardEvent, memo } from "react";
import type { Instruction } from "../motion/document";
import { displayName } from "../motion/names";
import { editor } from "../store/react";
import { Icon } from "../ui";
import { useDrag } from "./drag";

export interface RowHeaderProps {
  instruction: Instruction;
  selected: boolean;
  locked: boolean;
  /** null: nothing to open. */
  open: boolean | null;
  /** The one header that Tab reaches; the arrows go on from there. */
  focusable: boolean;
  onToggle(id: string): void;
  /** While it is dragged: by how many pixels, or null when it is let go. */
  onReorder(id: string, dy: number | null, drop: boolean): void;
  onStep(id: string, by: -1 | 1): void;
}

/** Name, colour and switches of an instruction; dragging it up or down changes the drawing order. */
export const RowHeader = memo(function RowHeader(props: RowHeaderProps) {
  const { instruction, selected, locked, open, focusable, onToggle, onReorder, onStep } = props;
  const { id, hidden, color } = instruction;
  const name = displayName(instruction);
  const drag = useDrag({
    begin: (event) => {
      const more = event.shiftKey || event.metaKey || event.ctrlKey;
      if (more) editor.getState().select([id], "toggle");
      return !more;
    },
    move: (_, dy) => onReorder(id, dy, false),
    drop: () => onReorder(id, 0, true),
    cancel: () => onReorder(id, null, false),
    click: () => editor.getState().select([id]),
  });
  const onKeyDown = (event: KeyboardEvent) => {
    const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
    if (step !== 0 && event.altKey) {
      const place = editor.getState().motion.instructions.findIndex((each) => each.id === id);
      editor.getState().reorder(id, place - step);
    } else if (step !== 0) onStep(id, step as -1 | 1);
    else if (event.key === "ArrowRight" && open === false) onToggle(id);
    else if (event.key === "ArrowLeft" && open === true) onToggle(id);
    else if (event.key === "Enter" || event.key === " ") {
      editor.getState().select([id], event.ctrlKey || event.metaKey ? "toggle" : "replace");
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="tl-header" data-selected={selected || undefined} data-hidden={hidden || undefined}>
      {open === null ? (
        <span className="tl-open" />
      ) : (
        <button
          type="button"
          className="tl-open"
          tabIndex={-1}
          aria-expanded={open}
          aria-label={`${open ? "Close" : "Open"} lanes of ${name}`}
          onClick={() => onToggle(id)}
        >
          <Icon name={open ? "chevron-down" : "chevron-right"} size={13} />
        </button>
      )}
      <button
        type="button"
        className="tl-name"
        tabIndex={focusable ? 0 : -1}
        data-row={id}
        aria-pressed={selected}
        aria-label={`Row of ${name}`}
        aria-description="Alt and the up or down arrow change the order"
        onKeyDown={onKeyDown}
        {...drag}
      >
        <span className="tl-dot" style={{ backgroundColor: color }} />
        <span className="tl-text">{name}</span>
      </button>
      <button
        type="button"
        className="tl-switch"
        data-on={hidden || undefined}
        tabIndex={-1}
        aria-pressed={hidden}
        aria-label={`${name}: hidden`}
        title={
          hidden
            ? "Hidden: left out of the motion. Click to bring it back"
            : "Hide: leave it out of the motion"
        }
        onClick={() => editor.getState().setHidden([id], !hidden)}
      >
        <Icon name={hidden ? "eye-off" : "eye"} size={14} />
      </button>
      <button
        type="button"
        className="tl-switch"
        data-on={locked || undefined}
        tabIndex={-1}
        aria-pressed={locked}
        aria-label={`${name}: locked`}
        title={locked ? "Locked. Click to unlock" : "Lock against changes by hand"}
        onClick={() => editor.getState().setLocked([id], !locked)}
      >
        <Icon name={locked ? "lock" : "unlock"} size={14} />
      </button>
    </div>
  );
});
