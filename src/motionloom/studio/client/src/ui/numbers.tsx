// Numbers: typed in a field, or moved along a line.

import "./fields.css";
import { type KeyboardEvent, type Ref, useId, useState } from "react";
import { Field, type FieldProps } from "./fields";

export interface NumberFieldProps extends FieldProps {
  /** null: left empty, which shows the placeholder. */
  value: number | null;
  onChange(value: number): void;
  /** Allows emptying the field. */
  onClear?(): void;
  min?: number;
  max?: number;
  /** Of the arrow keys; Shift makes it ten times as much. */
  step?: number;
  /** Shown digits after the point; 0 takes whole numbers alone. */
  digits?: number;
  unit?: string;
  placeholder?: string;
  disabled?: boolean;
  ref?: Ref<HTMLInputElement>;
}

/** Takes effect on Enter and on leaving it; arrows step at once; Escape brings back what it was. */
export function NumberField({
  value,
  onChange,
  onClear,
  min = -Infinity,
  max = Infinity,
  step = 1,
  digits = 2,
  unit,
  placeholder,
  disabled,
  ref,
  ...field
}: NumberFieldProps) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const shown = typed ?? (value === null ? "" : numberText(value, digits));

  const commit = () => {
    if (typed === null) return;
    const text = typed.trim().replace(",", ".");
    if (text === "") {
      setTyped(null);
      setProblem(null);
      if (value !== null) onClear?.();
      return;
    }
    const number = Number(text);
    if (!Number.isFinite(number)) {
      setProblem(`“${typed}” is not a number.`);
      return;
    }
    setTyped(null);
    setProblem(null);
    const kept = keep(number, min, max, digits);
    if (kept !== value) onChange(kept);
  };
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Enter") commit();
    else if (event.key === "Escape" && typed !== null) {
      setTyped(null);
      setProblem(null);
      event.stopPropagation();
      event.preventDefault();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      event.preventDefault();
      const from =
        typed !== null && Number.isFinite(Number(typed)) && typed !== ""
          ? Number(typed)
          : (value ?? Number(placeholder ?? 0));
      const by = (event.key === "ArrowUp" ? step : -step) * (event.shiftKey ? 10 : 1);
      setTyped(null);
      setProblem(null);
      onChange(keep((Number.isFinite(from) ? from : 0) + by, min, max, digits));
    }
  };
  const error = field.error ?? problem;
  return (
    <Field id={id} {...field} error={error}>
      <span className="ui-input ui-number" data-disabled={disabled || undefined}>
        <input
          ref={ref}
          id={id}
          type="text"
          inputMode={digits === 0 && min >= 0 ? "numeric" : "decimal"}
          role="spinbutton"
          aria-valuenow={value ?? undefined}
          aria-valuemin={Number.isFinite(min) ? min : undefined}
          aria-valuemax={Number.isFinite(max) ? max : undefined}
          aria-invalid={error ? true : undefined}
          aria-describedby={error || field.hint ? `${id}-hint` : undefined}
          autoComplete="off"
          spellCheck={false}
          placeholder={placeholder}
          disabled={disabled}
          value={shown}
          onChange={(event) => setTyped(event.target.value)}
          onFocus={(event) => event.target.select()}
          onBlur={commit}
          onKeyDown={onKeyDown}
        />
        {unit && <span className="ui-unit">{unit}</span>}
      </span>
    </Field>
  );
}

export interface SliderProps extends FieldProps {
  value: number;
  min: number;
  max: number;
  step?: number;
  onChange(value: number): void;
  /** What is shown beside it; default the number. false: nothing. */
  text?: string | false;
  disabled?: boolean;
}

export function Slider({ value, min, max, step = 1, onChange, text, disabled, ...field }: SliderProps) {
  const id = useId();
  const shown = text ?? numberText(value, 2);
  return (
    <Field id={id} {...field}>
      <span className="ui-slider">
        <input
          id={id}
          type="range"
          min={min}
          max={max}
          step={step}
          value={value}
          disabled={disabled}
          aria-valuetext={typeof shown === "string" ? shown : undefined}
          aria-describedby={field.error || field.hint ? `${id}-hint` : undefined}
          style={
            { "--filled": `${max > min ? ((value - min) / (max - min)) * 100 : 0}%` } as React.CSSProperties
          }
          onChange={(event) => onChange(Number(event.target.value))}
        />
        {shown !== false && <output htmlFor={id}>{shown}</output>}
      </span>
    </Field>
  );
}

export function numberText(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

function keep(value: number, min: number, max: number, digits: number): number {
  return Math.min(Math.max(Number(value.toFixed(digits)), min), max);
}
