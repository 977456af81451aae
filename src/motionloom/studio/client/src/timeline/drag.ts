// Dragging with a pointer: captured, so that leaving the element or the window loses nothing; Escape gives up.

import { type PointerEvent, useEffect, useRef } from "react";

export interface DragOptions {
  /** Return false to leave the press alone. */
  begin?(event: PointerEvent<Element>): boolean | undefined;
  /** Since the press, in screen pixels; not before the pointer has really moved. */
  move(dx: number, dy: number, event: PointerEvent<Element>): void;
  drop(event: PointerEvent<Element>): void;
  cancel(): void;
  /** Pressed and let go in place. */
  click?(event: PointerEvent<Element>): void;
}

export interface DragHandlers {
  onPointerDown(event: PointerEvent<Element>): void;
  onPointerMove(event: PointerEvent<Element>): void;
  onPointerUp(event: PointerEvent<Element>): void;
  onPointerCancel(): void;
}

/** A hand is not that steady: less is a click. */
const THRESHOLD = 3;

export function useDrag(options: DragOptions): DragHandlers {
  // With the options of the press: what they close over is where things were then, whatever the drag has moved since.
  const held = useRef<{ pointer: number; x: number; y: number; moved: boolean; options: DragOptions } | null>(
    null,
  );
  const latest = useRef(options);
  latest.current = options;
  const onEscape = useRef((event: KeyboardEvent) => {
    if (event.key !== "Escape" || !held.current) return;
    event.preventDefault();
    event.stopPropagation();
    end()?.options.cancel();
  });

  function end() {
    const was = held.current;
    held.current = null;
    window.removeEventListener("keydown", onEscape.current, true);
    return was;
  }
  // A row that goes away while it is dragged must not leave its draft behind.
  // biome-ignore lint/correctness/useExhaustiveDependencies: once, when it goes away
  useEffect(
    () => () => {
      const was = end();
      if (was?.moved) was.options.cancel();
    },
    [],
  );

  return {
    onPointerDown(event) {
      if (event.button !== 0 || held.current || latest.current.begin?.(event) === false) return;
      event.stopPropagation();
      event.currentTarget.setPointerCapture?.(event.pointerId);
      held.current = {
        pointer: event.pointerId,
        x: event.clientX,
        y: event.clientY,
        moved: false,
        options: latest.current,
      };
      window.addEventListener("keydown", onEscape.current, true);
    },
    onPointerMove(event) {
      const start = held.current;
      if (start?.pointer !== event.pointerId) return;
      const dx = event.clientX - start.x;
      const dy = event.clientY - start.y;
      if (!start.moved && Math.hypot(dx, dy) < THRESHOLD) return;
      start.moved = true;
      start.options.move(dx, dy, event);
    },
    onPointerUp(event) {
      if (held.current?.pointer !== event.pointerId) return;
      const was = end();
      if (was?.moved) was.options.drop(event);
      else was?.options.click?.(event);
    },
    onPointerCancel() {
      end()?.options.cancel();
    },
  };
}
