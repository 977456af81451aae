import "./Splitter.css";
import { type KeyboardEvent, type PointerEvent, useRef } from "react";

export interface SplitterProps {
  label: string;
  /** vertical: a line that is moved sideways. */
  orientation: "vertical" | "horizontal";
  /** Of the panel after it, in px. */
  value: number;
  min: number;
  max: number;
  onChange(value: number): void;
}

/** A line between two panels; drag it, or move it with the arrow keys. The panel after it grows as it moves away. */
export function Splitter({ label, orientation, value, min, max, onChange }: SplitterProps) {
  const from = useRef<{ at: number; value: number } | null>(null);
  const at = (event: PointerEvent) => (orientation === "vertical" ? event.clientX : event.clientY);
  const set = (wanted: number) => onChange(Math.round(Math.min(Math.max(wanted, min), max)));
  const onKeyDown = (event: KeyboardEvent) => {
    const more = orientation === "vertical" ? "ArrowLeft" : "ArrowUp";
    const less = orientation === "vertical" ? "ArrowRight" : "ArrowDown";
    if (event.key === more) set(value + 16);
    else if (event.key === less) set(value - 16);
    else if (event.key === "Home") set(max);
    else if (event.key === "End") set(min);
    else return;
    event.preventDefault();
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: an <hr> cannot be moved
    <div
      role="separator"
      tabIndex={0}
      aria-label={label}
      aria-orientation={orientation}
      aria-valuenow={value}
      aria-valuemin={min}
      aria-valuemax={max}
      className="splitter"
      data-orientation={orientation}
      onPointerDown={(event) => {
        event.currentTarget.setPointerCapture(event.pointerId);
        from.current = { at: at(event), value };
      }}
      onPointerMove={(event) => from.current && set(from.current.value - (at(event) - from.current.at))}
      onPointerUp={() => {
        from.current = null;
      }}
      onPointerCancel={() => {
        from.current = null;
      }}
      onKeyDown={onKeyDown}
    />
  );
}
