// All tools, in the order of the tool bar.

import type { ToolName } from "../../store/editor";
import { box } from "./box";
import { brush } from "./brush";
import { camera } from "./camera";
import { circle } from "./circle";
import { hand } from "./hand";
import { lasso } from "./lasso";
import { path } from "./path";
import { pinRest } from "./pinRest";
import { rectangle } from "./rectangle";
import { rotate } from "./rotate";
import { select } from "./select";
import { staticPoint } from "./staticPoint";
import type { Tool } from "./tool";

export const TOOLS: readonly Tool[] = [
  select,
  path,
  circle,
  staticPoint,
  pinRest,
  lasso,
  rectangle,
  brush,
  box,
  rotate,
  camera,
  hand,
];

const byName = new Map<ToolName, Tool>(TOOLS.map((tool) => [tool.name, tool]));

export function toolOf(name: ToolName): Tool {
  return byName.get(name) ?? select;
}
