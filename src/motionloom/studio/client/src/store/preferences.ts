// What the person prefers on this computer, kept in the browser.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";

export type Theme = "system" | "light" | "dark";
export type PanelTab = "motion" | "generate" | "results";

export interface Preferences {
  theme: Theme;
  panelWidth: number;
  timelineHeight: number;
  panelTab: PanelTab;
  /** More fields of the generate panel. */
  advanced: boolean;
}

export const PANEL_WIDTH = { min: 280, max: 560 };
export const TIMELINE_HEIGHT = { min: 96, max: 560 };

const KEY = "motionloom.preferences";
const DEFAULTS: Preferences = {
  theme: "system",
  panelWidth: 324,
  timelineHeight: 208,
  panelTab: "motion",
  advanced: false,
};
const VALID: { [Name in keyof Preferences]: (value: unknown) => boolean } = {
  theme: (value) => value === "system" || value === "light" || value === "dark",
  panelWidth: (value) => isWithin(value, PANEL_WIDTH),
  timelineHeight: (value) => isWithin(value, TIMELINE_HEIGHT),
  panelTab: (value) => value === "motion" || value === "generate" || value === "results",
  advanced: (value) => typeof value === "boolean",
};

export const preferences = createStore<Preferences>(() => ({ ...DEFAULTS, ...read() }));

export function prefer(change: Partial<Preferences>): void {
  preferences.setState(change);
}

export function usePreferences<Value>(selector: (state: Preferences) => Value): Value {
  return useStore(preferences, selector);
}

preferences.subscribe((state) => {
  try {
    localStorage.setItem(KEY, JSON.stringify(state));
  } catch {
    // A browser that keeps nothing: they last as long as the page.
  }
});
applyTheme(preferences.getState().theme);
preferences.subscribe((state) => applyTheme(state.theme));

function applyTheme(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

function read(): Partial<Preferences> {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "{}");
    if (typeof kept !== "object" || kept === null) return {};
    // Only what can be meant, so that an older or damaged entry cannot break the page.
    return Object.fromEntries(
      Object.entries(kept).filter(([name, value]) => VALID[name as keyof Preferences]?.(value)),
    ) as Partial<Preferences>;
  } catch {
    return {};
  }
}

function isWithin(value: unknown, { min, max }: { min: number; max: number }): boolean {
  return typeof value === "number" && value >= min && value <= max;
}
