import "./toast.css";
import { useEffect, useSyncExternalStore } from "react";
import { createPortal } from "react-dom";
import { Button, IconButton } from "./Button";
import { useFrontDialog } from "./Dialog";
import { Icon } from "./icons";

export interface ToastOptions {
  kind?: "info" | "good" | "warn" | "error";
  action?: { label: string; run(): void };
  /** Milliseconds; errors stay until they are closed unless this is given. */
  lasts?: number;
  /** A newer one with the same key takes the place of the older. */
  key?: string;
}

/** Says something at the edge of the page. Returns what takes it away. */
export function toast(message: string, options: ToastOptions = {}): () => void {
  const id = ++count;
  const rest = options.key === undefined ? toasts : toasts.filter((one) => one.key !== options.key);
  set([...rest.slice(-3), { ...options, id, message }]);
  return () => dismiss(id);
}

/** Where the toasts appear; once in the page. Over a dialog they are inside of it. */
export function Toasts() {
  const all = useSyncExternalStore(subscribe, () => toasts);
  const dialog = useFrontDialog();
  const section = (
    <section className="ui-toasts" aria-label="Messages" aria-live="polite">
      {all.map((one) => (
        <ToastItem key={one.id} shown={one} />
      ))}
    </section>
  );
  return dialog ? createPortal(section, dialog) : section;
}

interface Toast extends ToastOptions {
  id: number;
  message: string;
}
let toasts: readonly Toast[] = [];
let count = 0;
const listeners = new Set<() => void>();

function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
function set(next: readonly Toast[]) {
  toasts = next;
  for (const listener of listeners) listener();
}
function dismiss(id: number) {
  set(toasts.filter((one) => one.id !== id));
}

const ICONS = { info: "info", good: "check", warn: "warn", error: "error" } as const;

function ToastItem({ shown }: { shown: Toast }) {
  const { id, message, kind = "info", action, lasts } = shown;
  const time = lasts ?? (kind === "error" ? null : action ? 9_000 : 5_000);
  useEffect(() => {
    if (time === null) return;
    const timer = window.setTimeout(() => dismiss(id), time);
    return () => window.clearTimeout(timer);
  }, [id, time]);
  return (
    <div className="ui-toast" data-kind={kind} role={kind === "error" ? "alert" : "status"}>
      <Icon name={ICONS[kind]} size={16} />
      <p>{message}</p>
      {action && (
        <Button
          size="small"
          onClick={() => {
            dismiss(id);
            action.run();
          }}
        >
          {action.label}
        </Button>
      )}
      <IconButton label="Dismiss" icon="close" size="small" onClick={() => dismiss(id)} />
    </div>
  );
}
