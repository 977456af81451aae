import { type KeyboardEvent, memo, useEffect, useRef, useState } from "react";
import type { Instruction } from "../motion/document";
import { displayName, KIND_LABELS } from "../motion/names";
import { editor } from "../store/react";
import { useDrag } from "../timeline/drag";
import { Icon, type IconName } from "../ui";
import type { Warning } from "./flags";

const KIND_ICONS: Readonly<Record<Instruction["kind"], IconName>> = {
  path: "path",
  circle: "circle",
  static: "static",
  box: "box",
  region: "lasso",
  rotate: "rotate",
  camera: "camera",
};

export interface ListOptionProps {
  instruction: Instruction;
  /** From 1, and of how many, where not all are there. */
  place: number | undefined;
  count: number | undefined;
  selected: boolean;
  focusable: boolean;
  warnings: readonly Warning[];
  renaming: boolean;
  onRename(id: string | null): void;
  /** While it is dragged: by how many rows, or null when it is given up. */
  onReorder(id: string, rows: number | null, drop: boolean): void;
}

/** One instruction in the list. */
export const ListOption = memo(function ListOption(props: ListOptionProps) {
  const { instruction, place, count, selected, focusable, warnings, renaming, onRename, onReorder } = props;
  const { id, kind, hidden } = instruction;
  const name = displayName(instruction);
  const element = useRef<HTMLDivElement>(null);
  const rows = (dy: number) => dy / (element.current?.offsetHeight || 1);
  const drag = useDrag({
    begin: (event) => {
      if (renaming) return false;
      element.current?.focus();
      const { select } = editor.getState();
      if (event.shiftKey) selectRange(id);
      else if (event.ctrlKey || event.metaKey) select([id], "toggle");
      return !event.shiftKey && !event.ctrlKey && !event.metaKey;
    },
    move: (_, dy) => onReorder(id, rows(dy), false),
    drop: () => onReorder(id, 0, true),
    cancel: () => onReorder(id, null, false),
    click: () => editor.getState().select([id]),
  });
  return (
    <div
      ref={element}
      className="ilist-option"
      role="option"
      aria-selected={selected}
      aria-label={name}
      aria-posinset={place}
      aria-setsize={count}
      aria-description={[KIND_LABELS[kind], hidden ? "hidden" : "", ...warnings.map(({ message }) => message)]
        .filter(Boolean)
        .join(". ")}
      tabIndex={focusable ? 0 : -1}
      data-option={id}
      data-hidden={hidden || undefined}
      onDoubleClick={() => onRename(id)}
      {...drag}
    >
      <Icon name={kind === "static" && instruction.grid ? "pin" : KIND_ICONS[kind]} size={15} />
      {renaming ? (
        <NameInput
          name={name}
          onDone={(next) => {
            onRename(null);
            if (next !== null && next !== name) editor.getState().rename(id, next);
            element.current?.focus();
          }}
        />
      ) : (
        <span className="ilist-name">{name}</span>
      )}
    </div>
  );
});

/** From what was selected first to this one. */
function selectRange(id: string): void {
  const { motion, selection, select } = editor.getState();
  const order = motion.instructions.map((each) => each.id);
  const from = order.indexOf(selection[0] ?? id);
  const to = order.indexOf(id);
  const range = order.slice(Math.min(from, to), Math.max(from, to) + 1);
  // What the range starts from stays first.
  select(from <= to ? range : range.reverse());
}

function NameInput({ name, onDone }: { name: string; onDone(name: string | null): void }) {
  const [typed, setTyped] = useState(name);
  const done = useRef(false);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.select(), []);
  const finish = (next: string | null) => {
    if (done.current) return;
    done.current = true;
    onDone(next?.trim() ?? null);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.key === "Enter") finish(typed);
    else if (event.key === "Escape") finish(null);
  };
  return (
    <input
      ref={input}
      className="ilist-input"
      aria-label={`Name of ${name}`}
      value={typed}
      maxLength={200}
      onChange={(event) => setTyped(event.target.value)}
      onKeyDown={onKeyDown}
      onBlur={() => finish(typed)}
      onPointerDown={(event) => event.stopPropagation()}
      onDoubleClick={(event) => event.stopPropagation()}
    />
  );
}
