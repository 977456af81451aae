import "./InstructionList.css";
import { memo, useCallback, useEffect, useRef, useState } from "react";
import type { Instruction, Motion } from "../motion/document";
import { displayName } from "../motion/names";
import { editor, useEditor } from "../store/react";
import { useReceived } from "../store/received";
import { useSpeedLimit, useSpeeds } from "../timeline/useSpeeds";
import { ColorSwatch, Icon, Menu } from "../ui";
import { NO_COLOR } from "./colors";
import { type Warning, warningsOf } from "./flags";
import { ListOption } from "./ListOption";
import { together, useListKeys } from "./listKeys";
import { useListWindow } from "./listWindow";

const NO_WARNINGS: readonly Warning[] = [];

/** Everything that moves, from front to back: select, rename, colour, hide, lock, reorder. */
export function InstructionList() {
  // As it was last committed: what is dragged meanwhile changes nothing that is listed.
  const motion = useEditor((state) => state.motion);
  const { instructions } = motion;
  const selection = useEditor((state) => state.selection);
  const locked = useEditor((state) => state.locked);
  const warnings = useWarnings(motion);
  const [renaming, setRenaming] = useState<string | null>(null);
  const [moving, setMoving] = useState<{ id: string; place: number } | null>(null);
  const list = useRef<HTMLDivElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const front = instructions.toReversed();
  const { first, last, row, partial, onScroll, reveal } = useListWindow(scroller, front.length);
  const shown = front.slice(first, last);
  const above = { paddingTop: first * row, paddingBottom: (front.length - last) * row };
  const keys = useListKeys(list, setRenaming, reveal);
  const reachable = shown.find((each) => selection.includes(each.id))?.id ?? shown[0]?.id;

  const newestSelected = selection.at(-1);
  useEffect(() => {
    reveal(latest.current.front.findIndex(({ id }) => id === newestSelected));
  }, [newestSelected, reveal]);

  // A drag calls the function of its first moment: what it needs lies where that one finds the newest.
  const latest = useRef({ front, moving });
  latest.current = { front, moving };
  const reorder = useCallback((id: string, rows: number | null, drop: boolean) => {
    const { front, moving } = latest.current;
    if (drop && moving) editor.getState().reorder(id, front.length - 1 - moving.place);
    const from = front.findIndex((each) => each.id === id);
    const place = Math.min(Math.max(Math.round(from + (rows ?? 0)), 0), front.length - 1);
    setMoving(rows === null || drop ? null : { id, place });
  }, []);

  if (front.length === 0) return <Teaching />;
  return (
    <section className="ilist" aria-label="What moves">
      <header className="ilist-head">
        <h3>
          {front.length} {front.length === 1 ? "instruction" : "instructions"}
        </h3>
        <ListMenu />
      </header>
      <div ref={scroller} className="ilist-body" onScroll={onScroll}>
        <div className="ilist-column" style={above}>
          {shown.map((each) => (
            <Swatch key={each.id} instruction={each} selected={selection.includes(each.id)} />
          ))}
        </div>
        <div
          ref={list}
          className="ilist-options"
          role="listbox"
          aria-label="Instructions"
          aria-multiselectable="true"
          style={above}
          aria-description="F2 renames, Delete removes, Alt and the up or down arrow change the order"
          {...keys}
        >
          {shown.map((each, index) => (
            <ListOption
              key={each.id}
              place={partial ? first + index + 1 : undefined}
              count={partial ? front.length : undefined}
              instruction={each}
              selected={selection.includes(each.id)}
              focusable={each.id === reachable}
              warnings={warnings.get(each.id) ?? NO_WARNINGS}
              renaming={renaming === each.id}
              onRename={setRenaming}
              onReorder={reorder}
            />
          ))}
          {moving && <DropLine front={front} {...moving} />}
        </div>
        <div className="ilist-column" style={above}>
          {shown.map((each) => (
            <RowSwitches
              key={each.id}
              instruction={each}
              selected={selection.includes(each.id)}
              locked={locked.has(each.id)}
              warnings={warnings.get(each.id) ?? NO_WARNINGS}
            />
          ))}
        </div>
      </div>
    </section>
  );
}

function useWarnings(motion: Motion): ReadonlyMap<string, readonly Warning[]> {
  const flags = useReceived((state) => state.received?.flags);
  const speeds = useSpeeds(motion);
  const limit = useSpeedLimit();
  const ids = new Set(speeds.keys());
  for (const flag of flags ?? []) if (flag.instruction !== null) ids.add(flag.instruction);
  const found = new Map<string, readonly Warning[]>();
  for (const id of ids) {
    const own = flags?.filter((flag) => flag.instruction === id) ?? [];
    const warnings = warningsOf(own, speeds.get(id), limit);
    if (warnings.length > 0) found.set(id, warnings);
  }
  return found;
}

// ------------------------------------------------------------------------------------------------------------ switches
interface RowSwitchesProps {
  instruction: Instruction;
  selected: boolean;
  locked: boolean;
  warnings: readonly Warning[];
}

const RowSwitches = memo(function RowSwitches({ instruction, selected, locked, warnings }: RowSwitchesProps) {
  const { id, hidden } = instruction;
  const name = displayName(instruction);
  const first = warnings[0];
  return (
    <span className="ilist-cell" data-selected={selected || undefined}>
      {first && (
        <button
          type="button"
          className="ilist-switch"
          data-warns
          title={warnings.map(({ message }) => message).join("\n")}
          tabIndex={selected ? 0 : -1}
          aria-label={`Warning about ${name}: ${first.message}`}
          onClick={() => {
            editor.getState().select([id]);
            if (first.frame !== undefined) editor.getState().setPlayhead(first.frame);
          }}
        >
          <Icon name="warn" size={15} />
        </button>
      )}
      <button
        type="button"
        className="ilist-switch"
        data-on={hidden || undefined}
        tabIndex={selected ? 0 : -1}
        aria-pressed={hidden}
        aria-label={`Hide ${name}`}
        title={hidden ? "Bring it back into the motion" : "Leave it out of the motion"}
        onClick={() => editor.getState().setHidden(together(id), !hidden)}
      >
        <Icon name={hidden ? "eye-off" : "eye"} size={15} />
      </button>
      <button
        type="button"
        className="ilist-switch"
        data-on={locked || undefined}
        tabIndex={selected ? 0 : -1}
        aria-pressed={locked}
        aria-label={`Lock ${name}`}
        title={locked ? "Unlock" : "Lock against changes by hand"}
        onClick={() => editor.getState().setLocked(together(id), !locked)}
      >
        <Icon name={locked ? "lock" : "unlock"} size={15} />
      </button>
    </span>
  );
});

const Swatch = memo(function Swatch({
  instruction,
  selected,
}: {
  instruction: Instruction;
  selected: boolean;
}) {
  const { id, color } = instruction;
  return (
    <span className="ilist-cell" data-selected={selected || undefined}>
      <ColorSwatch
        label={`Colour of ${displayName(instruction)}`}
        size={12}
        value={color ?? NO_COLOR}
        onChange={(next) => editor.getState().recolor(together(id), next)}
      />
    </span>
  );
});

function DropLine({ front, id, place }: { front: readonly Instruction[]; id: string; place: number }) {
  const from = front.findIndex((each) => each.id === id);
  const row = place > from ? place + 1 : place;
  return <div className="ilist-drop" style={{ top: `calc(${row} * var(--ilist-row))` }} />;
}

function ListMenu() {
  const selection = useEditor((state) => state.selection);
  const nothing = selection.length === 0;
  const { duplicate, remove, selectAll, setHidden } = editor.getState();
  const bring = (label: string, toFront: boolean) =>
    editor.getState().edit(label, (motion) => {
      const chosen = motion.instructions.filter(({ id }) => selection.includes(id));
      const others = motion.instructions.filter(({ id }) => !selection.includes(id));
      const instructions = toFront ? [...others, ...chosen] : [...chosen, ...others];
      const same = instructions.every((each, k) => each === motion.instructions[k]);
      return same ? motion : { ...motion, instructions };
    });
  return (
    <Menu
      label="Actions"
      icon="more"
      iconOnly
      size="small"
      entries={[
        { label: "Select all", shortcut: "Mod+A", run: selectAll },
        {
          label: "Show all hidden ones",
          icon: "eye",
          run: () => setHidden(hiddenIds(), false),
          disabled: hiddenIds().length === 0,
        },
        "line",
        {
          label: "Duplicate selected",
          icon: "duplicate",
          shortcut: "Mod+D",
          disabled: nothing,
          run: () => duplicate(selection),
        },
        {
          label: "Bring to the front",
          icon: "up",
          disabled: nothing,
          run: () => bring("Bring to the front", true),
        },
        {
          label: "Send to the back",
          icon: "down",
          disabled: nothing,
          run: () => bring("Send to the back", false),
        },
        "line",
        {
          label: "Delete selected",
          icon: "trash",
          shortcut: "Delete",
          danger: true,
          disabled: nothing,
          run: () => remove(selection),
        },
      ]}
    />
  );
}

function hiddenIds(): string[] {
  return editor
    .getState()
    .motion.instructions.filter((each) => each.hidden)
    .map((each) => each.id);
}

function Teaching() {
  return (
    <section className="ilist-empty" aria-label="What moves">
      <Icon name="path" size={28} />
      <h3>Nothing moves yet</h3>
      <p>
        Pick <b>Free path</b> <kbd>P</kbd> and draw on the picture where something should go. What you do not
        want to move, hold with <b>Pin the rest</b> <kbd>G</kbd>; to move the whole view, take the{" "}
        <b>Camera</b> <kbd>M</kbd>.
      </p>
    </section>
  );
}
