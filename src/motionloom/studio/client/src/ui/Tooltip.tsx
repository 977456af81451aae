import "./Tooltip.css";
import { type ReactNode, useEffect, useId, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { keyText } from "./shortcuts";

const DELAY_MS = 450;

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
  const timer = useRef(0);
  const [place, setPlace] = useState<{ x: number; y: number; above: boolean } | null>(null);

  const show = () => {
    const box = anchor.current?.firstElementChild?.getBoundingClientRect();
    if (!box) return;
    const above = box.bottom + 40 > window.innerHeight;
    const x = Math.min(Math.max(box.left + box.width / 2, 70), window.innerWidth - 70);
    setPlace({ x, y: above ? box.top - 6 : box.bottom + 6, above });
  };
  const hide = () => {
    window.clearTimeout(timer.current);
    setPlace(null);
  };
  useEffect(() => () => window.clearTimeout(timer.current), []);
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
