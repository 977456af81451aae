// Hand: moves the picture under the window. The stage does the moving, for this tool as for Space and two fingers.

import type { Tool } from "./tool";

export const hand: Tool = {
  name: "hand",
  label: "Hand",
  shortcut: "H",
  icon: "hand",
  hint: "Drag the picture; hold Space for it in any other tool",
  cursor: "grab",
  keyboard: "none",
  down: () => undefined,
};
