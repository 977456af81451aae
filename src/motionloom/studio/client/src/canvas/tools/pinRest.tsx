// Pin the rest: a grid of static points all over the picture, clear of what moves.

import { createStore, useStore } from "zustand";
import type { Static } from "../../motion/document";
import { useEditor } from "../../store/react";
import { Button, NumberField, Slider } from "../../ui";
import { benchNow } from "./bench";
import { drafted, keep } from "./draft";
import { Hint } from "./OptionBar";
import type { Bench, Tool } from "./tool";

const options = createStore<{ spacing: number; margin: number | null }>()(() => ({
  spacing: 64,
  margin: null,
}));

export const pinRest: Tool = {
  name: "pin",
  label: "Pin the rest",
  shortcut: "G",
  icon: "pin",
  hint: "Click to hold everything else in place",
  cursor: "cell",
  keyboard: "click",
  down: (_press, bench) => ({
    move() {},
    up() {
      const pinned = pinnedIn(bench);
      if (pinned) {
        bench.editor.select([pinned.id]);
        bench.announce("The rest is pinned already; change the spacing above");
      } else pin(bench);
    },
    cancel() {},
  }),
  Options: PinOptions,
};

function pin(bench: Bench): void {
  const { spacing, margin } = options.getState();
  keep(drafted("static", { grid: { spacing, ...(margin !== null && { margin }) } }), bench);
}

function pinnedIn({
  editor,
}: Pick<Bench, "editor">): (Static & { grid: NonNullable<Static["grid"]> }) | undefined {
  for (const each of editor.motion.instructions)
    if (each.kind === "static" && each.grid && !each.hidden) return { ...each, grid: each.grid };
  return undefined;
}

function PinOptions() {
  const chosen = useStore(options);
  const motion = useEditor((state) => state.motion);
  const bench = benchNow();
  const pinned = pinnedIn({ editor: { ...bench.editor, motion } });
  const { spacing, margin } = pinned ? { margin: null, ...pinned.grid } : chosen;
  const change = (values: { spacing?: number; margin?: number | null }) => {
    options.setState(values);
    if (!pinned) return;
    const { margin: _, ...grid } = pinned.grid;
    const next = { margin: pinned.grid.margin ?? null, ...values };
    const changed = {
      ...grid,
      spacing: next.spacing ?? spacing,
      ...(next.margin !== null && { margin: next.margin }),
    };
    bench.editor.update(
      pinned.id,
      (each) => (each.kind === "static" ? { ...each, grid: changed } : each),
      "Change anchors",
    );
  };
  return (
    <>
      <Slider
        label="Spacing"
        layout="row"
        value={spacing}
        min={16}
        max={256}
        step={4}
        text={`${Math.round(spacing)} px`}
        onChange={(value) => change({ spacing: value })}
      />
      <NumberField
        label="Margin"
        layout="row"
        value={margin}
        min={0}
        max={4096}
        unit="px"
        placeholder={`${Math.round(spacing / 2)}`}
        onChange={(value) => change({ margin: value })}
        onClear={() => change({ margin: null })}
      />
      {pinned ? (
        <Button size="small" icon="trash" onClick={() => bench.editor.remove([pinned.id])}>
          Remove anchors
        </Button>
      ) : (
        <Button size="small" icon="pin" variant="primary" onClick={() => pin(bench)}>
          Pin
        </Button>
      )}
      {!pinned && <Hint>{pinRest.hint}</Hint>}
    </>
  );
}
