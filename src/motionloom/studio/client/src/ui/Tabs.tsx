import "./Tabs.css";
import { type KeyboardEvent, type ReactNode, useId, useRef } from "react";

export interface Tab<Name extends string> {
  name: Name;
  label: string;
  /** A number beside the label, as of waiting jobs. */
  badge?: ReactNode;
  content: ReactNode;
}
export interface TabsProps<Name extends string> {
  label: string;
  tabs: readonly Tab<NoInfer<Name>>[];
  selected: Name;
  onSelect(name: NoInfer<Name>): void;
  className?: string;
}

/** The arrow keys go from tab to tab; only the shown panel is there. */
export function Tabs<Name extends string>({ label, tabs, selected, onSelect, className }: TabsProps<Name>) {
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const onKeyDown = (event: KeyboardEvent) => {
    const at = tabs.findIndex((tab) => tab.name === selected);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    if (!next) return;
    onSelect(next.name);
    list.current?.querySelector<HTMLElement>(`[data-name="${next.name}"]`)?.focus();
  };
  const shown = tabs.find((tab) => tab.name === selected);
  return (
    <div className={className ? `ui-tabs ${className}` : "ui-tabs"}>
      <div ref={list} role="tablist" aria-label={label} className="ui-tablist" onKeyDown={onKeyDown}>
        {tabs.map((tab) => (
          <button
            key={tab.name}
            type="button"
            role="tab"
            id={`${id}-${tab.name}`}
            data-name={tab.name}
            aria-label={tab.label}
            aria-selected={tab.name === selected}
            aria-controls={`${id}-panel`}
            tabIndex={tab.name === selected ? 0 : -1}
            onClick={() => onSelect(tab.name)}
          >
            {tab.label}
            {tab.badge !== undefined && tab.badge !== null && tab.badge !== 0 && (
              <span className="ui-badge">{tab.badge}</span>
            )}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-${selected}`} className="ui-tabpanel">
        {shown?.content}
      </div>
    </div>
  );
}
