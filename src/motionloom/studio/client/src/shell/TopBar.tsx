import "./TopBar.css";
import { useEffect, useRef, useState } from "react";
import { prefer, type Theme, usePreferences } from "../store/preferences";
import { project, useProject } from "../store/project";
import { editor, useEditor } from "../store/react";
import { Button, Icon, IconButton, Mark, Menu, type MenuEntry, Tooltip, useShortcuts } from "../ui";
import { go } from "./route";
import { SaveState } from "./SaveState";

export interface TopBarProps {
  onImport(): void;
  onExport(): void;
  onVersions(): void;
  onHelp(): void;
  /** Of the side panel where it is a sheet; null where it is always there. */
  sheet: { open: boolean; toggle(): void } | null;
}

export function TopBar({ onImport, onExport, onVersions, onHelp, sheet }: TopBarProps) {
  const canUndo = useEditor((state) => state.canUndo);
  const canRedo = useEditor((state) => state.canRedo);
  const undoLabel = useEditor((state) => state.undoLabel);
  const redoLabel = useEditor((state) => state.redoLabel);
  const overlay = useEditor((state) => state.overlay);

  useShortcuts([
    { keys: "Mod+Z", label: "Undo", group: "Edit", run: () => editor.getState().undo() },
    { keys: ["Mod+Shift+Z", "Mod+Y"], label: "Redo", group: "Edit", run: () => editor.getState().redo() },
    {
      keys: "Mod+S",
      label: "Save now (it is saved by itself, too)",
      group: "Project",
      inFields: true,
      run: () =>
        void project
          .getState()
          .save()
          .catch(() => {}),
    },
    { keys: "Mod+E", label: "Export", group: "Project", run: onExport },
    { keys: "Mod+I", label: "Import", group: "Project", run: onImport },
    {
      keys: "Shift+P",
      label: "Preview on and off",
      group: "View",
      run: () => editor.getState().setOverlay({ preview: !editor.getState().overlay.preview }),
    },
    {
      keys: "Shift+R",
      label: "What the model receives, on and off",
      group: "View",
      run: () => editor.getState().setOverlay({ received: !editor.getState().overlay.received }),
    },
  ]);

  return (
    <header className="topbar">
      <div className="topbar-group">
        <Tooltip text="All projects">
          <button
            type="button"
            className="topbar-home"
            aria-label="Projects"
            onClick={() => go({ page: "home" })}
          >
            <Mark size={24} />
          </button>
        </Tooltip>
        <ProjectName />
        <SaveState />
      </div>
      <div className="topbar-group topbar-middle">
        <IconButton
          label="Undo"
          icon="undo"
          hint={undoLabel ? `Undo: ${undoLabel}` : "Nothing to undo"}
          shortcut="Mod+Z"
          aria-disabled={!canUndo}
          data-off={!canUndo || undefined}
          onClick={() => canUndo && editor.getState().undo()}
        />
        <IconButton
          label="Redo"
          icon="redo"
          hint={redoLabel ? `Redo: ${redoLabel}` : "Nothing to redo"}
          shortcut="Mod+Shift+Z"
          aria-disabled={!canRedo}
          data-off={!canRedo || undefined}
          onClick={() => canRedo && editor.getState().redo()}
        />
      </div>
      <div className="topbar-group topbar-end">
        <Toggle
          label="Preview"
          icon="preview"
          hint="The picture warped along the paths, at once. No model."
          shortcut="Shift+P"
          on={overlay.preview}
          onToggle={(preview) => editor.getState().setOverlay({ preview })}
        />
        <Toggle
          label="Received"
          icon="received"
          hint="What the model receives: the cells of its latent video that the paths hit, and what it will not do well with."
          shortcut="Shift+R"
          on={overlay.received}
          onToggle={(received) => editor.getState().setOverlay({ received })}
        />
        <span className="topbar-line" />
        <Button variant="quiet" icon="import" className="topbar-text" aria-label="Import" onClick={onImport}>
          <span>Import</span>
        </Button>
        <Button variant="quiet" icon="export" className="topbar-text" aria-label="Export" onClick={onExport}>
          <span>Export</span>
        </Button>
        <MoreMenu onVersions={onVersions} onHelp={onHelp} />
        {sheet && <IconButton label="Panel" icon="panel" pressed={sheet.open} onClick={sheet.toggle} />}
      </div>
    </header>
  );
}

interface ToggleProps {
  label: string;
  icon: "preview" | "received";
  hint: string;
  shortcut: string;
  on: boolean;
  onToggle(on: boolean): void;
}

function Toggle({ label, icon, hint, shortcut, on, onToggle }: ToggleProps) {
  return (
    <Tooltip text={hint} shortcut={shortcut}>
      <button
        type="button"
        role="switch"
        aria-checked={on}
        aria-label={label}
        className="ui-button topbar-toggle topbar-text"
        data-variant="quiet"
        onClick={() => onToggle(!on)}
      >
        <Icon name={icon} />
        <span>{label}</span>
      </button>
    </Tooltip>
  );
}

function ProjectName() {
  const name = useProject((state) => state.project?.name ?? "");
  const [typed, setTyped] = useState<string | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const commit = () => {
    if (typed !== null) project.getState().rename(typed);
    setTyped(null);
  };
  useEffect(() => {
    document.title = name ? `${name} · motionloom studio` : "motionloom studio";
  }, [name]);
  return (
    <span className="project-name" data-value={typed ?? name}>
      <input
        ref={input}
        size={1}
        aria-label="Project name"
        value={typed ?? name}
        maxLength={200}
        spellCheck={false}
        onChange={(event) => setTyped(event.target.value)}
        onBlur={commit}
        onKeyDown={(event) => {
          if (event.key === "Enter") input.current?.blur();
          else if (event.key === "Escape") {
            setTyped(null);
            // After the render, so that the blur commits nothing.
            window.setTimeout(() => input.current?.blur());
          }
        }}
      />
    </span>
  );
}

const THEMES: readonly [Theme, string][] = [
  ["system", "As the computer"],
  ["light", "Light"],
  ["dark", "Dark"],
];

export function themeEntries(theme: Theme): MenuEntry[] {
  return [
    { heading: "Theme" },
    ...THEMES.map(([name, label]) => ({
      label,
      checked: theme === name,
      run: () => prefer({ theme: name }),
    })),
  ];
}

function MoreMenu({ onVersions, onHelp }: { onVersions(): void; onHelp(): void }) {
  const theme = usePreferences((state) => state.theme);
  return (
    <Menu
      label="More"
      icon="more"
      iconOnly
      entries={[
        { label: "Versions", icon: "versions", run: onVersions },
        { label: "Keyboard and help", icon: "keyboard", shortcut: "?", run: onHelp },
        "line",
        ...themeEntries(theme),
      ]}
    />
  );
}
