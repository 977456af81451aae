// One registry of the keyboard: what is registered here runs on its keys and is listed in the help sheet.

import { useEffect, useRef } from "react";

export interface Shortcut {
  /** "v", "Shift+ArrowLeft", "Mod+Z" (Ctrl, or Cmd on a Mac), "?", "Space"; several for the same thing. */
  keys: string | readonly string[];
  label: string;
  /** Heading in the help sheet. */
  group?: string;
  run(event: KeyboardEvent): void;
  /** False: the keys mean nothing now (or what was registered earlier). */
  when?(): boolean;
  /** Also while typing in a field, as for Mod+Enter. */
  inFields?: boolean;
}

/** What was registered last is asked first. Returns what takes them out again. */
export function registerShortcuts(shortcuts: readonly Shortcut[]): () => void {
  if (registered.length === 0) window.addEventListener("keydown", onKeyDown);
  registered.push(shortcuts);
  return () => {
    const at = registered.indexOf(shortcuts);
    if (at >= 0) registered.splice(at, 1);
    if (registered.length === 0) window.removeEventListener("keydown", onKeyDown);
  };
}

/** Registered while the component is there; `run` and `when` may be new with every render. */
export function useShortcuts(shortcuts: readonly Shortcut[]): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  const shape = JSON.stringify(
    shortcuts.map(({ keys, label, group, inFields }) => [keys, label, group, inFields]),
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: `shape` says when the list itself is another one
  useEffect(
    () =>
      registerShortcuts(
        latest.current.map((shortcut, index) => ({
          ...shortcut,
          run: (event) => latest.current[index]?.run(event),
          when: () => latest.current[index]?.when?.() ?? true,
        })),
      ),
    [shape],
  );
}

/** All that are registered, in order, for the help sheet. */
export function listShortcuts(): readonly Shortcut[] {
  return registered.flat();
}

/** "Mod+Shift+Z" as people of this computer read it. */
export function keyText(keys: string): string {
  const names = isMac ? MAC_NAMES : PC_NAMES;
  return splitKeys(keys)
    .map((part) => names[part] ?? (part.length === 1 ? part.toUpperCase() : part))
    .join(isMac ? "" : "+");
}

const registered: (readonly Shortcut[])[] = [];
const isMac = typeof navigator !== "undefined" && /mac|iphone|ipad/i.test(navigator.platform);
const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };
const PC_NAMES: Record<string, string> = { ...ARROWS, Mod: "Ctrl", Escape: "Esc", Delete: "Del" };
const MAC_NAMES: Record<string, string> = {
  ...ARROWS,
  Mod: "⌘",
  Shift: "⇧",
  Alt: "⌥",
  Escape: "esc",
  Backspace: "⌫",
  Delete: "⌦",
};

function onKeyDown(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing || document.querySelector("dialog[open]")) return;
  const typing = isTyping(event.target);
  for (let list = registered.length - 1; list >= 0; list--) {
    for (const shortcut of registered[list] ?? []) {
      if (typing && !shortcut.inFields) continue;
      const keys = typeof shortcut.keys === "string" ? [shortcut.keys] : shortcut.keys;
      const hit = keys.find((one) => matches(one, event));
      if (hit === undefined || usesKey(event.target, event) || (shortcut.when && !shortcut.when())) continue;
      event.preventDefault();
      shortcut.run(event);
      return;
    }
  }
}

/** Exported for tests. */
export function matches(keys: string, event: KeyboardEvent): boolean {
  const parts = splitKeys(keys);
  const key = parts[parts.length - 1] ?? "";
  const has = (name: string) => parts.slice(0, -1).includes(name);
  const isLetter = /^[a-z]$/i.test(key);
  // The shift of a sign such as "?" belongs to the keyboard's layout, not to the shortcut.
  const shiftMatters = isLetter || key.length > 1;
  if (has("Mod") !== (event.ctrlKey || event.metaKey) || has("Alt") !== event.altKey) return false;
  if (shiftMatters && has("Shift") !== event.shiftKey) return false;
  if (key === "Space") return event.key === " ";
  if (isLetter) {
    const pressed = event.key.toLowerCase();
    // On keyboards without Latin letters the place of the key counts.
    return (
      pressed === key.toLowerCase() || (!/^[a-z]$/.test(pressed) && event.code === `Key${key.toUpperCase()}`)
    );
  }
  return event.key === key;
}

function splitKeys(keys: string): string[] {
  if (keys === "+") return ["+"];
  return keys.endsWith("++") ? [...keys.slice(0, -2).split("+"), "+"] : keys.split("+");
}

const NOT_TYPED = new Set([
  "checkbox",
  "radio",
  "range",
  "button",
  "submit",
  "reset",
  "color",
  "file",
  "image",
]);

function isTyping(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    target instanceof HTMLSelectElement
  )
    return true;
  return target instanceof HTMLInputElement && !NOT_TYPED.has(target.type);
}

/** Whether what has the focus needs the key itself: a button its Space, a slider its arrows. */
function usesKey(target: EventTarget | null, event: KeyboardEvent): boolean {
  if (!(target instanceof HTMLElement) || event.ctrlKey || event.metaKey || event.altKey) return false;
  const role = target.getAttribute("role");
  const isInput = target instanceof HTMLInputElement;
  if (event.key === " " || event.key === "Enter") {
    if (role === "application") return false;
    return (
      target.matches("button, a[href], summary, video") ||
      isInput ||
      role === "button" ||
      role === "option" ||
      role === "tab" ||
      role === "menuitem"
    );
  }
  if (/^(Arrow|Home$|End$|Page)/.test(event.key)) {
    return (
      isInput ||
      target.matches("video") ||
      ["slider", "tab", "menuitem", "option", "listbox", "radio", "spinbutton"].includes(role ?? "")
    );
  }
  return false;
}
