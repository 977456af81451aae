import { addresses } from "../api/client";
import type { Example } from "../api/types";

/** An example; a click makes a project of it. */
export function ExampleCard({
  example,
  disabled,
  onStart,
}: {
  example: Example;
  disabled: boolean;
  onStart(): void;
}) {
  return (
    <button
      type="button"
      className="card card-example"
      disabled={disabled}
      onClick={onStart}
      aria-label={`Start from ${example.title}`}
    >
      <span className="card-picture">
        <img src={addresses.example(example.name)} alt="" loading="lazy" decoding="async" />
      </span>
      <span className="card-foot">
        <span className="card-text">
          <span className="card-name">{example.title}</span>
          <span className="muted">{example.description}</span>
        </span>
      </span>
    </button>
  );
}
