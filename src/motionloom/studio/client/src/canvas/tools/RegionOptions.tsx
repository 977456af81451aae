// Options of the region tools: how a dragged region moves, and how densely it is filled.

import { createStore, useStore } from "zustand";
import { useEditor } from "../../store/react";
import { Button, NumberField } from "../../ui";
import { benchNow } from "./bench";
import { selectedOf } from "./draft";
import { Choices, Hint } from "./OptionBar";
import type { Pace } from "./path";

export const regionOptions = createStore<{ pace: Pace }>()(() => ({ pace: "drawn-speed" }));

export function RegionOptions({ hint }: { hint: string }) {
  const pace = useStore(regionOptions, (state) => state.pace);
  const selected = useEditor(() => selectedOf("region", benchNow()));
  if (!selected) return <Hint>{hint}</Hint>;
  const { editor } = benchNow();
  return (
    <>
      <Choices
        label="Speed"
        value={pace}
        options={[
          ["drawn-speed", "Drawn speed"],
          ["even", "Even speed"],
        ]}
        onChange={(value) => regionOptions.setState({ pace: value })}
      />
      <NumberField
        label="Points every"
        layout="row"
        value={selected.spacing}
        min={1}
        max={4096}
        unit="px"
        onChange={(spacing) =>
          editor.update(
            selected.id,
            (each) => (each.kind === "region" ? { ...each, spacing } : each),
            "Change spacing",
          )
        }
      />
      {selected.path ? (
        <Button
          size="small"
          icon="close"
          onClick={() =>
            editor.update(
              selected.id,
              (each) => {
                if (each.kind !== "region") return each;
                const { path: _, ...rest } = each;
                return rest;
              },
              "Remove path",
            )
          }
        >
          Remove path
        </Button>
      ) : (
        <Hint>Drag the region the way it shall go</Hint>
      )}
    </>
  );
}
