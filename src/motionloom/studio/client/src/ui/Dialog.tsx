import "./Dialog.css";
import { type ReactNode, useEffect, useId, useRef, useSyncExternalStore } from "react";
import { IconButton } from "./Button";

export interface DialogProps {
  title: string;
  open: boolean;
  onClose(): void;
  children: ReactNode;
  /** Buttons at the bottom; the main one last. */
  actions?: ReactNode;
  size?: "small" | "medium" | "large" | "full";
  /** False: it asks something that has to be answered. */
  dismissible?: boolean;
}

/** A modal dialog: holds the focus, gives it back, closes on Escape and on a click beside it. */
export function Dialog({
  title,
  open,
  onClose,
  children,
  actions,
  size = "medium",
  dismissible = true,
}: DialogProps) {
  const id = useId();
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = element.current;
    if (!dialog || !open) return;
    const before = document.activeElement;
    if (!dialog.open) {
      if (dialog.showModal) dialog.showModal();
      else dialog.setAttribute("open", "");
      // Not the close button, which comes first: its name says nothing about where one is.
      (dialog.querySelector<HTMLElement>("[data-focus-first]") ?? dialog.querySelector("h2"))?.focus();
    }
    setOpened([...opened, dialog]);
    return () => {
      setOpened(opened.filter((one) => one !== dialog));
      dialog.close?.();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, [open]);
  if (!open) return null;
  return (
    <dialog
      ref={element}
      className="ui-dialog"
      data-size={size}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (dismissible) onClose();
      }}
      onClick={(event) => {
        if (
          dismissible &&
          event.target === element.current &&
          isBeside(event.clientX, event.clientY, element.current)
        )
          onClose();
      }}
      // What is typed in a dialog is not for the page behind it.
      onKeyDown={(event) => event.stopPropagation()}
    >
      <header className="ui-dialog-head">
        <h2 id={id} tabIndex={-1}>
          {title}
        </h2>
        {dismissible && <IconButton label="Close" icon="close" onClick={onClose} />}
      </header>
      <div className="ui-dialog-body">{children}</div>
      {actions && <footer className="ui-dialog-actions">{actions}</footer>}
    </dialog>
  );
}

/** The dialog in front, if any: nothing outside of it can be seen well or used. */
export function useFrontDialog(): HTMLElement | null {
  return useSyncExternalStore(subscribe, () => opened.at(-1) ?? null);
}

let opened: readonly HTMLElement[] = [];
const listeners = new Set<() => void>();

function setOpened(dialogs: readonly HTMLElement[]) {
  opened = dialogs;
  for (const listener of listeners) listener();
}
function subscribe(listener: () => void) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

function isBeside(x: number, y: number, dialog: HTMLElement): boolean {
  const box = dialog.getBoundingClientRect();
  return x < box.left || x > box.right || y < box.top || y > box.bottom;
}
