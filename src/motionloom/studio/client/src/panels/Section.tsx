import { type ReactNode, useId } from "react";

/** A part of the inspector with its heading, and what belongs at the heading's end. */
export function Section({
  title,
  aside,
  children,
}: {
  title: string;
  aside?: ReactNode;
  children: ReactNode;
}) {
  const id = useId();
  return (
    <section className="insp-section" aria-labelledby={id}>
      <header>
        <h4 id={id}>{title}</h4>
        {aside}
      </header>
      {children}
    </section>
  );
}

/** A part that is closed until it is wanted. */
export function Fold({
  title,
  summary,
  children,
}: {
  title: string;
  summary?: ReactNode;
  children: ReactNode;
}) {
  return (
    <details className="insp-section insp-fold">
      <summary>
        <h4>{title}</h4>
        <span className="insp-summary">{summary}</span>
      </summary>
      <div className="insp-folded">{children}</div>
    </details>
  );
}
