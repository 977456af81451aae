// The side panel: on a narrow screen it is a sheet over the picture, which is opened and put away.

import { useStore } from "zustand";
import { createStore } from "zustand/vanilla";
import { type PanelTab, prefer } from "../store/preferences";

const sheet = createStore(() => ({ open: false }));

/** Shows a tab of the panel, wherever the panel is. */
export function showPanel(tab: PanelTab): void {
  prefer({ panelTab: tab });
  openSheet(true);
}

export function openSheet(open: boolean): void {
  sheet.setState({ open });
}

export function useSheet(): boolean {
  return useStore(sheet, ({ open }) => open);
}
