import "./fields.css";
import {
  type InputHTMLAttributes,
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
