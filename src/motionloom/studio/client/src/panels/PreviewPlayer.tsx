import "./PreviewPlayer.css";
import { usePreview } from "../store/preview";
import { useEditor } from "../store/react";
import { Icon, Spinner } from "../ui";

/** What the preview is doing, small, over the stage: working, not up to date, or why there is none. */
export function PreviewPlayer() {
  const on = useEditor((state) => state.overlay.preview);
  const status = usePreview((state) => state.status);
  const message = usePreview((state) => state.message);
  const hasClip = usePreview((state) => state.url !== null);
  if (!on) return null;
  if (status === "failed") {
    return (
      <div className="preview-chip" data-kind="failed" role="alert">
        <Icon name="warn" size={16} />
        <span>
          <b>{hasClip ? "The preview is not up to date." : "There is no preview."}</b> {message}
        </span>
      </div>
    );
  }
  const working = status === "waiting" || status === "busy";
  return (
    <div className="preview-chip" role="status" data-kind={working ? "busy" : "shown"}>
      {working ? <Spinner size={13} /> : <Icon name="preview" size={15} />}
      <span>
        {working
          ? hasClip
            ? "Updating the preview"
            : "Making the preview"
          : "Preview: a quick warp, not the model"}
      </span>
    </div>
  );
}
