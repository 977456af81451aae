import "./Button.css";
import type { ButtonHTMLAttributes, Ref } from "react";
import { Icon, type IconName } from "./icons";
import { Tooltip } from "./Tooltip";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** primary: the one thing to do here; quiet: no frame; danger: destroys something. */
  variant?: "plain" | "primary" | "quiet" | "danger";
  size?: "small" | "medium" | "large";
  icon?: IconName;
  /** For toggles: whether it is on (`aria-pressed`). */
  pressed?: boolean;
  /** Something is under way: shows a spinner and takes no clicks. */
  busy?: boolean;
  ref?: Ref<HTMLButtonElement>;
}

export function Button({
  variant = "plain",
  size = "medium",
  icon,
  pressed,
  busy,
  className,
  children,
  disabled,
  ...rest
}: ButtonProps) {
  return (
    <button
      type="button"
      className={["ui-button", className].filter(Boolean).join(" ")}
      data-variant={variant}
      data-size={size}
      aria-pressed={pressed}
      aria-busy={busy || undefined}
      disabled={disabled || busy}
      {...rest}
    >
      {busy ? <Spinner /> : icon && <Icon name={icon} size={size === "small" ? 16 : 18} />}
      {children}
    </button>
  );
}

export interface IconButtonProps
  extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "aria-label" | "title"> {
  /** Accessible name and tooltip. */
  label: string;
  icon: IconName;
  pressed?: boolean;
  /** Shown in the tooltip, as in "Mod+Z". */
  shortcut?: string;
  /** Tooltip text where it says more than the name. */
  hint?: string;
  variant?: "quiet" | "plain" | "primary" | "danger";
  size?: "small" | "medium" | "large";
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({
  label,
  icon,
  pressed,
  shortcut,
  hint,
  variant = "quiet",
  size = "medium",
  className,
  ...rest
}: IconButtonProps) {
  return (
    <Tooltip text={hint ?? label} shortcut={shortcut}>
      <button
        type="button"
        className={["ui-button", "ui-icon-button", className].filter(Boolean).join(" ")}
        data-variant={variant}
        data-size={size}
        aria-label={label}
        aria-pressed={pressed}
        {...rest}
      >
        <Icon name={icon} size={size === "small" ? 16 : 18} />
      </button>
    </Tooltip>
  );
}

export function Spinner({ size = 14 }: { size?: number }) {
  return (
    <svg className="ui-spinner" viewBox="0 0 20 20" width={size} height={size} fill="none" aria-hidden="true">
      <circle cx="10" cy="10" r="7.500" stroke="currentColor" strokeWidth="2.500" opacity="0.25" />
      <path
        d="M10 2.500A7.500 7.500 0 0 1 17.500 10"
        stroke="currentColor"
        strokeWidth="2.500"
        strokeLinecap="round"
      />
    </svg>
  );
}
