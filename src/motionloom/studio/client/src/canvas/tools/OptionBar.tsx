// What tools put above the picture.

import type { ReactNode } from "react";

/** One of few, as joined buttons. */
export function Choices<Value extends string>({
  label,
  value,
  options,
  onChange,
}: {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange(value: Value): void;
}) {
  return (
    <fieldset className="stage-choices">
      <legend className="visually-hidden">{label}</legend>
      {options.map(([option, text]) => (
        <label key={option} data-on={option === value || undefined}>
          <input type="radio" name={label} checked={option === value} onChange={() => onChange(option)} />
          {text}
        </label>
      ))}
    </fieldset>
  );
}

export function Hint({ children }: { children: ReactNode }) {
  return <span className="stage-hint">{children}</span>;
}
