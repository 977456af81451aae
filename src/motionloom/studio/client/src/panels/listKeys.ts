import { type FocusEvent, type KeyboardEvent, type RefObject, useEffect, useRef } from "react";
import { displayName } from "../motion/names";
import { editor } from "../store/react";

const FORGET_TYPED_MS = 700;

/** The keys of a listbox: arrows, ranges, type-ahead, and what the editor does to its items. */
export function useListKeys(
  list: RefObject<HTMLDivElement | null>,
  rename: (id: string) => void,
  /** Scrolls a row into sight, counted from the front. */
  reveal: (index: number) => void,
) {
  const typed = useRef({ text: "", at: 0 });
  const anchor = useRef<string | null>(null);
  const clicked = useRef(false);
  const onPointerDown = () => {
    clicked.current = true;
  };
  const onBlur = (event: FocusEvent) => {
    if (!list.current?.contains(event.relatedTarget)) clicked.current = false;
  };
  const option = (id: string) => list.current?.querySelector<HTMLElement>(`[data-option="${id}"]`);
  // What is not in sight yet is scrolled to first, and is there with one of the next renderings.
  const wanted = useRef<string | null>(null);
  const focusWanted = () => {
    const { activeElement } = document;
    // Whoever went somewhere else meanwhile is left there.
    if (activeElement !== document.body && !list.current?.contains(activeElement)) wanted.current = null;
    const there = wanted.current === null ? null : option(wanted.current);
    if (!there) return;
    wanted.current = null;
    there.focus();
  };
  useEffect(focusWanted);
  const focusSoon = (id: string) => {
    wanted.current = id;
    // After what the key changed is rendered: a row that was moved has lost the focus by then.
    queueMicrotask(focusWanted);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const state = editor.getState();
    const front = state.motion.instructions.toReversed();
    const target = event.target as HTMLElement;
    const id = target.dataset.option;
    const at = front.findIndex((each) => each.id === id);
    if (id === undefined || at < 0) return;
    const go = (to: number) => {
      clicked.current = false;
      const next = front[Math.min(Math.max(to, 0), front.length - 1)];
      if (!next) return;
      if (event.shiftKey && !event.altKey) {
        anchor.current ??= id;
        const start = front.findIndex((each) => each.id === anchor.current);
        const [low, high] = [Math.min(start, front.indexOf(next)), Math.max(start, front.indexOf(next))];
        state.select(front.slice(low, high + 1).map((each) => each.id));
      } else {
        anchor.current = next.id;
        if (!event.ctrlKey && !event.metaKey) state.select([next.id]);
      }
      reveal(front.indexOf(next));
      wanted.current = next.id;
      focusWanted();
    };
    const chosen = together(id);
    const { key } = event;
    if (event.altKey && (key === "ArrowUp" || key === "ArrowDown")) {
      const place = state.motion.instructions.findIndex((each) => each.id === id);
      state.reorder(id, place + (key === "ArrowUp" ? 1 : -1));
      focusSoon(id);
    } else if (key === "ArrowDown") go(at + 1);
    else if (key === "ArrowUp") go(at - 1);
    else if (key === "Home") go(0);
    else if (key === "End") go(front.length - 1);
    else if (key === "PageDown") go(at + 10);
    else if (key === "PageUp") go(at - 10);
    else if (key === "F2" || key === "Enter") rename(id);
    else if (key === " ") state.select([id], event.ctrlKey || event.metaKey ? "toggle" : "replace");
    else if (key === "Delete" || key === "Backspace") {
      const next = front.slice(at + 1).find((each) => !chosen.includes(each.id));
      const before = front.slice(0, at).findLast((each) => !chosen.includes(each.id));
      state.remove(chosen);
      const other = (next ?? before)?.id;
      if (other) {
        state.select([other]);
        focusSoon(other);
      }
    } else if (isTypeAhead(event, clicked.current)) {
      const now = performance.now();
      const text = (now - typed.current.at < FORGET_TYPED_MS ? typed.current.text : "") + key.toLowerCase();
      typed.current = { text, at: now };
      // One letter goes on to the next match; more letters may stay where they are.
      const from = text.length === 1 ? at + 1 : at;
      const order = [...front.slice(from), ...front.slice(0, from)];
      const match = order.find((each) => displayName(each).toLowerCase().startsWith(text));
      if (match) go(front.indexOf(match));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return { onKeyDown, onPointerDownCapture: onPointerDown, onBlurCapture: onBlur };
}

/** Letters look for names when the keyboard brought the focus here; after a click they are the editor's shortcuts. */
function isTypeAhead({ key, ctrlKey, metaKey, altKey }: KeyboardEvent, clicked: boolean): boolean {
  return !clicked && key.length === 1 && !ctrlKey && !metaKey && !altKey && !",.[]+-?".includes(key);
}

/** The selection when an instruction belongs to it, else the instruction alone. */
export function together(id: string): readonly string[] {
  const { selection } = editor.getState();
  return selection.includes(id) ? selection : [id];
}
