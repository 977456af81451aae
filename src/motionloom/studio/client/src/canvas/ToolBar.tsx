// The tools, as radio buttons: one is in hand. Arrow keys go through them.

import "./ToolBar.css";
import { type KeyboardEvent, useRef } from "react";
import type { ToolName } from "../store/editor";
import { editor, useEditor } from "../store/react";
import { Icon, Tooltip, useShortcuts } from "../ui";
import { TOOLS } from "./tools";

/** A line is drawn after these. */
const GROUP_ENDS: ReadonlySet<ToolName> = new Set(["select", "pin", "brush", "camera"]);

export function ToolBar() {
  const inHand = useEditor((state) => state.tool);
  const bar = useRef<HTMLDivElement>(null);
  useShortcuts(
    TOOLS.map(({ label, shortcut, name }) => ({
      keys: shortcut,
      label,
      group: "Tools",
      run: () => editor.getState().setTool(name),
    })),
  );

  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 }[event.key];
    const here = TOOLS.findIndex(({ name }) => name === inHand);
    const edge = { Home: 0, End: TOOLS.length - 1 }[event.key];
    const next = step === undefined ? edge : (here + step + TOOLS.length) % TOOLS.length;
    const tool = next === undefined ? undefined : TOOLS[next];
    if (!tool) return;
    event.preventDefault();
    editor.getState().setTool(tool.name);
    bar.current?.querySelector<HTMLElement>(`[data-tool="${tool.name}"]`)?.focus();
  };

  return (
    <div
      ref={bar}
      className="toolbar"
      role="toolbar"
      aria-label="Tools"
      aria-orientation="vertical"
      onKeyDown={onKeyDown}
    >
      {TOOLS.map(({ name, label, icon, shortcut }) => (
        <div key={name} className="toolbar-place" data-ends-group={GROUP_ENDS.has(name) || undefined}>
          <Tooltip text={label} shortcut={shortcut}>
            {/* biome-ignore lint/a11y/useSemanticElements: a radio input could not hold an icon */}
            <button
              type="button"
              role="radio"
              aria-checked={name === inHand}
              aria-label={label}
              aria-keyshortcuts={shortcut}
              className="toolbar-tool"
              data-tool={name}
              tabIndex={name === inHand ? 0 : -1}
              onClick={() => editor.getState().setTool(name)}
            >
              <Icon name={icon} size={20} />
            </button>
          </Tooltip>
        </div>
      ))}
    </div>
  );
}
