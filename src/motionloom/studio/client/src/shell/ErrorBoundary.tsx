import "./notices.css";
import { Component, type ErrorInfo, type ReactNode } from "react";
import { writeMotion } from "../motion/write";
import { project } from "../store/project";
import { editor } from "../store/react";
import { Button } from "../ui";

/** A fault of the page's own: the motion is saved, and the page says how to go on. */
export class ErrorBoundary extends Component<
  { children: ReactNode },
  { error: Error | null; saved: "trying" | "yes" | "no" }
> {
  override state: { error: Error | null; saved: "trying" | "yes" | "no" } = { error: null, saved: "trying" };

  static getDerivedStateFromError(error: Error) {
    return { error };
  }
  override componentDidCatch(error: Error, info: ErrorInfo) {
    console.error(error, info.componentStack);
    project
      .getState()
      .save()
      .then(() => this.setState({ saved: "yes" }))
      .catch(() => this.setState({ saved: "no" }));
  }
  override render() {
    const { error, saved } = this.state;
    if (!error) return this.props.children;
    return (
      <main className="notice-page">
        <h1>The page made a mistake</h1>
        <p>
          {saved === "yes" && "Your motion is saved. Load the page again to go on where you were."}
          {saved === "trying" && "Saving your motion…"}
          {saved === "no" &&
            "Your motion could not be saved to the server; this browser keeps it and offers it when the page is loaded again. You can also save it as a file."}
        </p>
        <div className="notice-actions">
          <Button onClick={saveMotionFile}>Save the motion as a file</Button>
          <Button variant="primary" onClick={() => location.reload()}>
            Load again
          </Button>
        </div>
        <details>
          <summary>What happened</summary>
          <pre>{error.stack ?? String(error)}</pre>
        </details>
      </main>
    );
  }
}

/** The motion as it is in the editor, without the server. */
export function saveMotionFile(): void {
  const text = JSON.stringify(writeMotion(editor.getState().motion), null, 1);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "application/json" }));
  link.download = `${(project.getState().project?.name ?? "motion").replace(/[^\p{L}\p{N} _-]/gu, "") || "motion"}.motion.json`;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
