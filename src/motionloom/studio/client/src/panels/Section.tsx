import { type ReactNode, useId, useState } from "react";

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

/** A part that is closed until it is wanted; its content is made only then. */
export function Fold({
  title,
  summary,
  children,
}: {
  title: string;
  summary?: ReactNode;
  children: ReactNode;
}) {
  const [open, setOpen] = useState(false);
  return (
    <details
      className="insp-section insp-fold"
      open={open}
      onToggle={(event) => event.target === event.currentTarget && setOpen(event.currentTarget.open)}
    >
      <summary>
        <h4>{title}</h4>
        <span className="insp-summary">{summary}</span>
      </summary>
      {open && <div className="insp-folded">{children}</div>}
    </details>
  );
}
