import "./Menu.css";
import { type KeyboardEvent, type ReactNode, useId, useLayoutEffect, useRef, useState } from "react";
import { createPortal } from "react-dom";
import { Button, IconButton } from "./Button";
import { Icon, type IconName } from "./icons";
import { keyText } from "./shortcuts";

export type MenuEntry =
  | {
      label: string;
      icon?: IconName;
      shortcut?: string;
      danger?: boolean;
      disabled?: boolean;
      checked?: boolean;
      hint?: string;
      run(): void;
    }
  | { heading: string }
  | "line";

export interface MenuProps {
  /** Name of the button. */
  label: string;
  entries: readonly MenuEntry[];
  /** With an icon alone the label is a tooltip; otherwise it is the button's text. */
  icon?: IconName;
  iconOnly?: boolean;
  size?: "small" | "medium" | "large";
  variant?: "plain" | "quiet" | "primary";
  className?: string;
  children?: ReactNode;
}

/** A button that opens a list of things to do. */
export function Menu({
  label,
  entries,
  icon,
  iconOnly,
  size,
  variant = "quiet",
  className,
  children,
}: MenuProps) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const [open, setOpen] = useState(false);
  const close = (refocus = true) => {
    setOpen(false);
    if (refocus) button.current?.focus();
  };
  const common = {
    ref: button,
    size,
    className,
    "aria-haspopup": "menu" as const,
    "aria-expanded": open,
    "aria-controls": open ? id : undefined,
    onClick: () => setOpen(!open),
    onKeyDown: (event: KeyboardEvent) => {
      if (event.key === "ArrowDown" && !open) {
        event.preventDefault();
        setOpen(true);
      }
    },
  };
  return (
    <>
      {iconOnly && icon ? (
        <IconButton label={label} icon={icon} variant={variant} {...common} />
      ) : (
        <Button icon={icon} variant={variant} {...common}>
          {children ?? label}
          <Icon name="chevron-down" size={12} />
        </Button>
      )}
      {open && button.current && (
        <MenuList id={id} label={label} entries={entries} anchor={button.current} close={close} />
      )}
    </>
  );
}

function MenuList({
  id,
  label,
  entries,
  anchor,
  close,
}: {
  id: string;
  label: string;
  entries: readonly MenuEntry[];
  anchor: HTMLElement;
  close(refocus?: boolean): void;
}) {
  const list = useRef<HTMLDivElement>(null);
  const [place, setPlace] = useState<{ left: number; top: number } | null>(null);

  // biome-ignore lint/correctness/useExhaustiveDependencies: placed once, when it opens
  useLayoutEffect(() => {
    const box = anchor.getBoundingClientRect();
    const own = list.current?.getBoundingClientRect();
    const width = own?.width ?? 200;
    const height = own?.height ?? 200;
    const below = box.bottom + 4;
    setPlace({
      left: Math.max(8, Math.min(box.left, window.innerWidth - width - 8)),
      top: below + height > window.innerHeight - 8 ? Math.max(8, box.top - 4 - height) : below,
    });
    // At once, so that no key goes to the button any more.
    items(list.current)[0]?.focus();
    const outside = (event: PointerEvent) => {
      if (
        event.target instanceof Node &&
        !list.current?.contains(event.target) &&
        !anchor.contains(event.target)
      )
        close(false);
    };
    const moved = () => close(false);
    document.addEventListener("pointerdown", outside, true);
    window.addEventListener("resize", moved);
    return () => {
      document.removeEventListener("pointerdown", outside, true);
      window.removeEventListener("resize", moved);
    };
  }, [anchor]);

  const onKeyDown = (event: KeyboardEvent) => {
    const all = items(list.current);
    const at = all.indexOf(document.activeElement as HTMLElement);
    const go = (index: number) => all[(index + all.length) % all.length]?.focus();
    if (event.key === "ArrowDown") go(at + 1);
    else if (event.key === "ArrowUp") go(at - 1);
    else if (event.key === "Home") go(0);
    else if (event.key === "End") go(-1);
    else if (event.key === "Escape") close();
    else if (event.key === "Tab") return close();
    else if (event.key.length === 1 && /\S/.test(event.key)) {
      const wanted = event.key.toLowerCase();
      const after = [...all.slice(at + 1), ...all.slice(0, at + 1)];
      after.find((item) => item.textContent?.trim().toLowerCase().startsWith(wanted))?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return createPortal(
    <div
      ref={list}
      id={id}
      role="menu"
      aria-label={label}
      tabIndex={-1}
      className="ui-menu"
      onKeyDown={onKeyDown}
      style={place ?? { left: 0, top: 0, opacity: 0 }}
    >
      {entries.map((entry, index) =>
        entry === "line" ? (
          // biome-ignore lint/suspicious/noArrayIndexKey: lines have nothing else
          <hr key={index} className="ui-menu-line" />
        ) : "heading" in entry ? (
          <div key={entry.heading} className="ui-menu-heading">
            {entry.heading}
          </div>
        ) : (
          // biome-ignore lint/a11y/useAriaPropsSupportedByRole: the role that has it is set below
          <button
            key={entry.label}
            type="button"
            role={entry.checked === undefined ? "menuitem" : "menuitemradio"}
            aria-checked={entry.checked}
            tabIndex={-1}
            className="ui-menu-item"
            data-danger={entry.danger || undefined}
            disabled={entry.disabled}
            onClick={() => {
              close();
              entry.run();
            }}
          >
            {entry.checked === undefined ? (
              entry.icon && <Icon name={entry.icon} size={16} />
            ) : (
              <Icon name="check" size={16} opacity={entry.checked ? 1 : 0} />
            )}
            <span>
              {entry.label}
              {entry.hint && <small>{entry.hint}</small>}
            </span>
            {entry.shortcut && <kbd>{keyText(entry.shortcut)}</kbd>}
          </button>
        ),
      )}
    </div>,
    anchor.closest("dialog") ?? document.body,
  );
}

function items(list: HTMLElement | null): HTMLElement[] {
  return list ? [...list.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)")] : [];
}
