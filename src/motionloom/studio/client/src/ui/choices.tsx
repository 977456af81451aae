// Things that are on or off, and a colour.

import "./fields.css";
import { type ReactNode, useId } from "react";

export interface CheckboxProps {
  label: string;
  checked: boolean;
  onChange(checked: boolean): void;
  hint?: ReactNode;
  disabled?: boolean;
  hideLabel?: boolean;
}

export function Checkbox(props: CheckboxProps) {
  return <Tick {...props} kind="checkbox" />;
}

/** Takes effect at once. */
export function Switch(props: CheckboxProps) {
  return <Tick {...props} kind="switch" />;
}

function Tick({
  label,
  checked,
  onChange,
  hint,
  disabled,
  hideLabel,
  kind,
}: CheckboxProps & { kind: "checkbox" | "switch" }) {
  const id = useId();
  return (
    <div className="ui-tick">
      <input
        id={id}
        type="checkbox"
        role={kind === "switch" ? "switch" : undefined}
        className={kind === "switch" ? "ui-switch" : "ui-checkbox"}
        checked={checked}
        disabled={disabled}
        aria-describedby={hint ? `${id}-hint` : undefined}
        onChange={(event) => onChange(event.target.checked)}
      />
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : undefined}>
        {label}
      </label>
      {hint && (
        <div id={`${id}-hint`} className="ui-field-hint">
          {hint}
        </div>
      )}
    </div>
  );
}

export interface ColorSwatchProps {
  label: string;
  /** #rrggbb */
  value: string;
  onChange(color: string): void;
  size?: number;
}

/** A dot of a colour that opens the browser's colour picker. */
export function ColorSwatch({ label, value, onChange, size = 16 }: ColorSwatchProps) {
  return (
    <span className="ui-swatch" style={{ backgroundColor: value, width: size, height: size }}>
      <input
        type="color"
        aria-label={label}
        title={label}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </span>
  );
}
