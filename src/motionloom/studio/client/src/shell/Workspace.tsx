import "./Workspace.css";
import { useEffect, useState, useSyncExternalStore } from "react";
import { preload } from "react-dom";
import { ApiError, addresses, api, errorText } from "../api/client";
import { Stage } from "../canvas/Stage";
import { ToolBar } from "../canvas/ToolBar";
import { Gallery } from "../gallery/Gallery";
import { GeneratePanel } from "../generate/GeneratePanel";
import { Queue } from "../generate/Queue";
import { generate } from "../generate/submit";
import { Inspector } from "../panels/Inspector";
import { InstructionList } from "../panels/InstructionList";
import { PreviewPlayer } from "../panels/PreviewPlayer";
import { ReceivedPanel } from "../panels/ReceivedPanel";
import { ExportDialog } from "../projects/ExportDialog";
import { FileDrop } from "../projects/FileDrop";
import { ImportDialog } from "../projects/ImportDialog";
import { VersionsDialog } from "../projects/VersionsDialog";
import { useJobs } from "../store/jobs";
import { PANEL_WIDTH, type PanelTab, prefer, TIMELINE_HEIGHT, usePreferences } from "../store/preferences";
import { project, useProject } from "../store/project";
import { editor, useEditor } from "../store/react";
import { Timeline } from "../timeline/Timeline";
import { Button, Spinner, Tabs, toast, useShortcuts } from "../ui";
import { ConflictDialog, GoneBanner, KeptBanner, OfflineBanner, ProblemBanner } from "./Notices";
import { openSheet, showPanel, useSheet } from "./panel";
import { go } from "./route";
import { Splitter } from "./Splitter";
import { TopBar } from "./TopBar";

/** The editor of one project: tools, stage and timeline, and at the side what belongs to motion, making and results. */
export function Workspace({ id, onHelp }: { id: string; onHelp(): void }) {
  // The picture is on its way before what it belongs to has come.
  preload(addresses.image(id), { as: "image" });
  const shown = useProject((state) => state.project?.id);
  const [problem, setProblem] = useState<{ text: string; isGone: boolean } | null>(null);
  const [attempt, setAttempt] = useState(0);

  // biome-ignore lint/correctness/useExhaustiveDependencies: `attempt` is the hand on "Try again"
  useEffect(() => {
    setProblem(null);
    project
      .getState()
      .openProject(id)
      .catch((error: unknown) =>
        setProblem({
          text: isMissing(error)
            ? "It may be in the trash. What is not there any more cannot be brought back."
            : errorText(error),
          isGone: isMissing(error),
        }),
      );
  }, [id, attempt]);
  useEffect(() => () => void project.getState().closeProject(), []);
  useEffect(
    () =>
      editor.subscribe(({ notice }, before) => {
        if (notice && notice !== before.notice)
          toast(notice.message, { kind: notice.kind === "refused" ? "error" : undefined, key: "editor" });
      }),
    [],
  );

  const bringBack = async () => {
    try {
      await api.restoreProject(id);
      setAttempt(attempt + 1);
    } catch (error) {
      toast(isMissing(error) ? "There is no such project on this server." : errorText(error), {
        kind: "error",
      });
    }
  };
  if (problem)
    return (
      <main className="notice-page">
        <h1>{problem.isGone ? "This project is not there" : "The project cannot be opened"}</h1>
        <p>{problem.text}</p>
        <div className="notice-actions">
          {problem.isGone ? (
            <Button icon="undo" onClick={() => void bringBack()}>
              Bring it back
            </Button>
          ) : (
            <Button onClick={() => setAttempt(attempt + 1)}>Try again</Button>
          )}
          <Button variant="primary" onClick={() => go({ page: "home" })}>
            All projects
          </Button>
        </div>
      </main>
    );
  if (shown !== id)
    return (
      <main className="notice-page" aria-busy="true">
        <Spinner size={22} />
        <span className="visually-hidden">Opening the project</span>
      </main>
    );
  return <Editor onHelp={onHelp} />;
}

function isMissing(error: unknown): boolean {
  return error instanceof ApiError && error.code === "not_found";
}

function Editor({ onHelp }: { onHelp(): void }) {
  const [dialog, setDialog] = useState<"export" | "versions" | null>(null);
  const [importing, setImporting] = useState<readonly File[] | null>(null);
  const narrow = useMedia("(max-width: 960px)");
  const sheet = useSheet();
  const panelWidth = usePreferences((state) => state.panelWidth);
  const timelineHeight = usePreferences((state) => state.timelineHeight);
  useEffect(() => () => openSheet(false), []);
  useShortcuts([
    {
      keys: "Mod+Enter",
      label: "Generate",
      group: "Project",
      inFields: true,
      run: () => {
        // A field that is being typed in takes effect first.
        if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
        showPanel("generate");
        void generate();
      },
    },
    ...TAB_KEYS.map(([name, keys]) => ({
      keys,
      label: `Panel ${name[0]?.toUpperCase()}${name.slice(1)}`,
      group: "View",
      run: () => showPanel(name),
    })),
  ]);

  return (
    <div className="workspace" data-narrow={narrow || undefined}>
      <TopBar
        onImport={() => setImporting([])}
        onExport={() => setDialog("export")}
        onVersions={() => setDialog("versions")}
        onHelp={onHelp}
        sheet={narrow ? { open: sheet, toggle: () => openSheet(!sheet) } : null}
      />
      <OfflineBanner />
      <ProblemBanner />
      <GoneBanner />
      <KeptBanner />
      <div className="workspace-body">
        <div className="workspace-tools">
          <ToolBar />
        </div>
        <main className="workspace-main">
          <div className="workspace-stage">
            <Stage />
            <PreviewPlayer />
          </div>
          <Splitter
            label="Height of the timeline"
            orientation="horizontal"
            value={timelineHeight}
            {...TIMELINE_HEIGHT}
            onChange={(height) => prefer({ timelineHeight: height })}
          />
          <div className="workspace-timeline" style={{ height: timelineHeight }}>
            <Timeline />
          </div>
        </main>
        {!narrow && (
          <Splitter
            label="Width of the panel"
            orientation="vertical"
            value={panelWidth}
            {...PANEL_WIDTH}
            onChange={(width) => prefer({ panelWidth: width })}
          />
        )}
        {(!narrow || sheet) && (
          <aside
            className="workspace-panel"
            aria-label="Panel"
            style={narrow ? undefined : { width: panelWidth }}
          >
            <Panel />
          </aside>
        )}
        {narrow && sheet && (
          <button
            type="button"
            className="workspace-scrim"
            aria-label="Close the panel"
            onClick={() => openSheet(false)}
          />
        )}
      </div>
      <FileDrop onFiles={setImporting} />
      {importing && <ImportDialog files={importing} onClose={() => setImporting(null)} />}
      {dialog === "export" && <ExportDialog onClose={() => setDialog(null)} />}
      {dialog === "versions" && <VersionsDialog onClose={() => setDialog(null)} />}
      <ConflictDialog />
    </div>
  );
}

const TAB_KEYS: readonly [PanelTab, string][] = [
  ["motion", "Alt+1"],
  ["generate", "Alt+2"],
  ["results", "Alt+3"],
];

function Panel() {
  const tab = usePreferences((state) => state.panelTab);
  const received = useEditor((state) => state.overlay.received);
  const id = useProject((state) => state.project?.id);
  const active = useJobs(
    (state) => state.jobs.filter((job) => job.state === "running" || job.state === "queued").length,
  );
  const results = useJobs((state) => state.results.filter((result) => result.project === id).length);
  return (
    <Tabs
      label="Panel"
      className="panel-tabs"
      selected={tab}
      onSelect={(name) => prefer({ panelTab: name })}
      tabs={[
        {
          name: "motion",
          label: "Motion",
          content: (
            <div className="panel-motion">
              {received && <ReceivedPanel />}
              <InstructionList />
              <Inspector />
            </div>
          ),
        },
        {
          name: "generate",
          label: "Generate",
          badge: active,
          content: (
            <div className="panel-generate">
              <GeneratePanel />
              <Queue />
            </div>
          ),
        },
        { name: "results", label: "Results", badge: results, content: <Gallery /> },
      ]}
    />
  );
}

function useMedia(query: string): boolean {
  return useSyncExternalStore(
    (listener) => {
      const media = window.matchMedia(query);
      media.addEventListener("change", listener);
      return () => media.removeEventListener("change", listener);
    },
    () => window.matchMedia(query).matches,
  );
}

// For measurements and for a person's own scripts in the browser's console.
declare global {
  interface Window {
    motionloom?: { editor: typeof editor; project: typeof project };
  }
}
window.motionloom = { editor, project };
