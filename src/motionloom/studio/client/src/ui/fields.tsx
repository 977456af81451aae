import "./fields.css";
import {
  type InputHTMLAttributes,
  type KeyboardEvent,
  type ReactNode,
  type Ref,
  type SelectHTMLAttributes,
  type TextareaHTMLAttributes,
  useId,
  useState,
} from "react";

export interface FieldProps {
  label: string;
  /** Keeps the label for screen readers alone. */
  hideLabel?: boolean;
  hint?: ReactNode;
  error?: ReactNode;
  /** stack: the label above; row: beside, as in an inspector. */
  layout?: "stack" | "row";
  className?: string;
}
interface FieldFrame extends FieldProps {
  id: string;
  children: ReactNode;
}

/** A label, what is labelled (give it `id`, and `aria-describedby={id + "-hint"}`), a hint, an error. */
export function Field({
  id,
  label,
  hideLabel,
  hint,
  error,
  layout = "stack",
  className,
  children,
}: FieldFrame) {
  return (
    <div
      className={className ? `ui-field ${className}` : "ui-field"}
      data-layout={layout}
      data-invalid={error ? true : undefined}
    >
      <label htmlFor={id} className={hideLabel ? "visually-hidden" : "ui-field-label"}>
        {label}
      </label>
      <div className="ui-field-control">{children}</div>
      {error ? (
        <div id={`${id}-hint`} className="ui-field-error" role="alert">
          {error}
        </div>
      ) : (
        hint && (
          <div id={`${id}-hint`} className="ui-field-hint">
            {hint}
          </div>
        )
      )}
    </div>
  );
}

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

export interface TextFieldProps
  extends FieldProps,
    Omit<InputHTMLAttributes<HTMLInputElement>, "onChange" | "className"> {
  value: string;
  /** With every letter. */
  onChange?(value: string): void;
  /** On Enter and on leaving it; then Escape brings back what it was. */
  onCommit?(value: string): void;
  ref?: Ref<HTMLInputElement>;
}

export function TextField({
  label,
  hideLabel,
  hint,
  error,
  layout,
  className,
  value,
  onChange,
  onCommit,
  ref,
  onKeyDown,
  onBlur,
  ...rest
}: TextFieldProps) {
  const id = useId();
  const [typed, setTyped] = useState<string | null>(null);
  const commit = () => {
    if (typed !== null && typed !== value) onCommit?.(typed);
    setTyped(null);
  };
  return (
    <Field id={id} {...{ label, hideLabel, hint, error, layout, className }}>
      <span className="ui-input">
        <input
          ref={ref}
          id={id}
          type="text"
          autoComplete="off"
          aria-invalid={error ? true : undefined}
          aria-describedby={error || hint ? `${id}-hint` : undefined}
          {...rest}
          value={typed ?? value}
          onChange={(event) => {
            if (onCommit) setTyped(event.target.value);
            onChange?.(event.target.value);
          }}
          onBlur={(event) => {
            if (onCommit) commit();
            onBlur?.(event);
          }}
          onKeyDown={(event) => {
            onKeyDown?.(event);
            if (!onCommit || event.defaultPrevented) return;
            if (event.key === "Enter") commit();
            else if (event.key === "Escape" && typed !== null) {
              setTyped(null);
              event.stopPropagation();
              event.preventDefault();
            }
          }}
        />
      </span>
    </Field>
  );
}

export interface TextAreaProps
  extends FieldProps,
    Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, "onChange" | "className"> {
  value: string;
  onChange(value: string): void;
  ref?: Ref<HTMLTextAreaElement>;
}

export function TextArea({
  label,
  hideLabel,
  hint,
  error,
  layout,
  className,
  value,
  onChange,
  rows = 3,
  ...rest
}: TextAreaProps) {
  const id = useId();
  return (
    <Field id={id} {...{ label, hideLabel, hint, error, layout, className }}>
      <textarea
        id={id}
        className="ui-input ui-textarea"
        rows={rows}
        aria-describedby={error || hint ? `${id}-hint` : undefined}
        {...rest}
        value={value}
        onChange={(event) => onChange(event.target.value)}
      />
    </Field>
  );
}

export interface Choice<Value extends string> {
  value: Value;
  label: string;
  disabled?: boolean;
}
export interface SelectProps<Value extends string>
  extends FieldProps,
    Omit<SelectHTMLAttributes<HTMLSelectElement>, "onChange" | "value" | "className"> {
  value: Value;
  options: readonly Choice<Value>[];
  onChange(value: Value): void;
}

export function Select<Value extends string>({
  label,
  hideLabel,
  hint,
  error,
  layout,
  className,
  value,
  options,
  onChange,
  ...rest
}: SelectProps<Value>) {
  const id = useId();
  return (
    <Field id={id} {...{ label, hideLabel, hint, error, layout, className }}>
      <select
        id={id}
        className="ui-input ui-select"
        aria-describedby={error || hint ? `${id}-hint` : undefined}
        {...rest}
        value={value}
        onChange={(event) => onChange(event.target.value as Value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value} disabled={option.disabled}>
            {option.label}
          </option>
        ))}
      </select>
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

export function numberText(value: number, digits: number): string {
  return String(Number(value.toFixed(digits)));
}

function keep(value: number, min: number, max: number, digits: number): number {
  return Math.min(Math.max(Number(value.toFixed(digits)), min), max);
}
