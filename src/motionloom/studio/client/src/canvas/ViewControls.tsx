// How large the picture is shown.

import { useState } from "react";
import { IconButton, Menu } from "../ui";
import { useView } from "./layers/useView";
import { fit, zoomIn, zoomOut, zoomTo } from "./useStageShortcuts";

const SCALES = [0.25, 0.5, 1, 2, 4];

export function ViewControls() {
  const [percent, setPercent] = useState(100);
  useView((view) => setPercent(Math.round(view.scale * 100)));
  return (
    <div className="stage-view" role="toolbar" aria-label="View">
      <IconButton size="small" icon="zoom-out" label="Zoom out" shortcut="-" onClick={zoomOut} />
      <Menu
        label={`${percent} %`}
        size="small"
        entries={SCALES.map((scale) => ({
          label: `${scale * 100} %`,
          run: () => zoomTo(scale),
          ...(scale === 1 && { shortcut: "1" }),
        }))}
      />
      <IconButton size="small" icon="zoom-in" label="Zoom in" shortcut="+" onClick={zoomIn} />
      <IconButton size="small" icon="fit" label="Fit" hint="Fit the picture" shortcut="0" onClick={fit} />
    </div>
  );
}
