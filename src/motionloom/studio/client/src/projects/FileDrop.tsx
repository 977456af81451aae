import "./FileDrop.css";
import { useEffect, useRef, useState } from "react";
import { Icon } from "../ui";

export interface FileDropProps {
  onFiles(files: readonly File[]): void;
  text?: string;
  hint?: string;
}

/** The whole window takes files; it says so while some are held over it. */
export function FileDrop({
  onFiles,
  text = "Drop to import",
  hint = "Motion and track files of any tool: ATI, Wan-Move, KJNodes, Tora, CoTracker, After Effects, Blender and more",
}: FileDropProps) {
  const [over, setOver] = useState(false);
  const latest = useRef(onFiles);
  latest.current = onFiles;
  useEffect(() => {
    let depth = 0;
    const hasFiles = (event: DragEvent) =>
      event.dataTransfer?.types.includes("Files") && !document.querySelector("dialog[open]");
    const enter = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth++;
      setOver(true);
    };
    const leave = (event: DragEvent) => {
      if (!hasFiles(event)) return;
      depth = Math.max(0, depth - 1);
      if (depth === 0) setOver(false);
    };
    const hold = (event: DragEvent) => {
      // Also without our interest: the browser would open the file in place of the studio.
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      event.dataTransfer.dropEffect = hasFiles(event) ? "copy" : "none";
    };
    const drop = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      depth = 0;
      setOver(false);
      const files = [...event.dataTransfer.files];
      if (files.length && hasFiles(event)) latest.current(files);
    };
    window.addEventListener("dragenter", enter);
    window.addEventListener("dragleave", leave);
    window.addEventListener("dragover", hold);
    window.addEventListener("drop", drop);
    return () => {
      window.removeEventListener("dragenter", enter);
      window.removeEventListener("dragleave", leave);
      window.removeEventListener("dragover", hold);
      window.removeEventListener("drop", drop);
    };
  }, []);
  if (!over) return null;
  return (
    <div className="file-drop">
      <div>
        <Icon name="import" size={28} />
        <strong>{text}</strong>
        <span className="muted">{hint}</span>
      </div>
    </div>
  );
}
