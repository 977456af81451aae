import "./Tooltip.css";
import { type ReactNode, useEffect, useId, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { keyText } from "./shortcuts";

const DELAY_MS = 450;
/** Between it and the edge of the window. */
const MARGIN = 8;

export interface TooltipProps {
  text: string;
  /** As in "Mod+Z". */
  shortcut?: string;
  children: ReactNode;
}

/** Says what its child does while the mouse rests on it or the keyboard is on it. The child keeps its own name. */
export function Tooltip({ text, shortcut, children }: TooltipProps) {
  const id = useId();
  const anchor = useRef<HTMLSpanElement>(null);
  const bubble = useRef<HTMLDivElement>(null);
  const timer = useRef(0);
  const [place, setPlace] = useState<{ x: number; y: number; above: boolean } | null>(null);

  const show = () => {
    const box = anchor.current?.firstElementChild?.getBoundingClientRect();
    if (!box) return;
    const above = box.bottom + 40 > window.innerHeight;
    setPlace({ x: box.left + box.width / 2, y: above ? box.top - 6 : box.bottom + 6, above });
  };
  const hide = () => {
    window.clearTimeout(timer.current);
    setPlace(null);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);
  // How wide it is shows once it is there: at the edge of the window it moves inwards.
  useLayoutEffect(() => {
    const half = (bubble.current?.offsetWidth ?? 0) / 2 + MARGIN;
    if (place && bubble.current)
      bubble.current.style.left = `${Math.min(Math.max(place.x, half), window.innerWidth - half)}px`;
  }, [place]);
  useEffect(() => {
    if (!place) return;
    const onEscape = (event: KeyboardEvent) => event.key === "Escape" && setPlace(null);
    window.addEventListener("keydown", onEscape);
    window.addEventListener("scroll", hide, true);
    return () => {
      window.removeEventListener("keydown", onEscape);
      window.removeEventListener("scroll", hide, true);
    };
  });

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: only watches what happens to its child
    <span
      ref={anchor}
      className="ui-tooltip-anchor"
      onPointerEnter={(event) => {
        if (event.pointerType !== "mouse") return;
        window.clearTimeout(timer.current);
        timer.current = window.setTimeout(show, DELAY_MS);
      }}
      onPointerLeave={hide}
      onPointerDown={hide}
      onFocus={(event) => event.target.matches(":focus-visible") && show()}
      onBlur={hide}
    >
      {children}
      {place &&
        createPortal(
          <div
            ref={bubble}
            id={id}
            role="tooltip"
            className="ui-tooltip"
            data-above={place.above}
            style={{ left: place.x, top: place.y }}
          >
            {text}
            {shortcut && <kbd>{keyText(shortcut)}</kbd>}
          </div>,
          document.querySelector("dialog[open]") ?? document.body,
        )}
    </span>
  );
}
