import "./gallery.css";
import { addresses } from "../api/client";
import type { Result } from "../api/types";
import { Button, Dialog, IconButton, Menu, Switch } from "../ui";
import { another, deleteResult, downloadEntries, editAgain } from "./actions";
import { Facts } from "./Facts";
import { Player, type Screen } from "./Player";

export type ResultView = "video" | "overlay" | "side-by-side" | "side-by-side-overlay";

export interface ViewerProps {
  result: Result;
  view: ResultView;
  onView(view: ResultView): void;
  onClose(): void;
  onPrevious?: () => void;
  onNext?: () => void;
}

/** One result, large: with its paths, beside its preview, and everything known about it. */
export function Viewer({ result, view, onView, onClose, onPrevious, onNext }: ViewerProps) {
  const hasOverlay = view === "overlay" || view === "side-by-side-overlay";
  const hasPreview = view === "side-by-side" || view === "side-by-side-overlay";
  const set = (overlay: boolean, preview: boolean) =>
    onView(preview ? (overlay ? "side-by-side-overlay" : "side-by-side") : overlay ? "overlay" : "video");
  const screens: Screen[] = [
    {
      key: "result",
      source: hasOverlay ? addresses.overlay(result.id) : addresses.video(result.id),
      label: "Result video",
      caption: hasPreview ? `${result.model}, seed ${result.seed}` : undefined,
    },
  ];
  if (hasPreview)
    screens.push({
      key: "preview",
      source: addresses.resultPreview(result.id),
      label: "Preview video",
      caption: "Preview: the picture warped along the paths",
    });
  return (
    <Dialog title={`${result.project_name}, seed ${result.seed}`} open onClose={onClose} size="full">
      <div className="viewer">
        <div className="viewer-main">
          <div className="viewer-bar">
            <Switch label="Overlay" checked={hasOverlay} onChange={(on) => set(on, hasPreview)} />
            <Switch label="Side by side" checked={hasPreview} onChange={(on) => set(hasOverlay, on)} />
            <span className="viewer-gap" />
            <IconButton
              label="Newer result"
              icon="chevron-left"
              disabled={!onPrevious}
              onClick={onPrevious}
            />
            <IconButton label="Older result" icon="chevron-right" disabled={!onNext} onClick={onNext} />
          </div>
          <Player key={result.id} screens={screens} fps={result.fps} />
        </div>
        <aside className="viewer-side" aria-label="About this result">
          <div className="viewer-actions">
            <Menu label="Download" icon="download" variant="plain" entries={downloadEntries(result)} />
            <Button icon="edit" onClick={() => void editAgain(result)}>
              Edit this again
            </Button>
            <Button
              icon="seed"
              onClick={() => {
                void another(result);
                onClose();
              }}
            >
              Another seed
            </Button>
            <Button
              icon="trash"
              variant="danger"
              onClick={() => {
                void deleteResult(result);
                onClose();
              }}
            >
              Delete result
            </Button>
          </div>
          <Facts result={result} />
        </aside>
      </div>
    </Dialog>
  );
}
