import "./gallery.css";
import { useState } from "react";
import { addresses } from "../api/client";
import type { Result } from "../api/types";
import { Dialog, Switch } from "../ui";
import { FactsBeside } from "./Facts";
import { Player } from "./Player";

/** Two results on one clock. */
export function Compare({ first, second, onClose }: { first: Result; second: Result; onClose(): void }) {
  const [overlay, setOverlay] = useState(false);
  const source = overlay ? addresses.overlay : addresses.video;
  const caption = (result: Result) => `${result.model}, seed ${result.seed}`;
  return (
    <Dialog title="Compare" open onClose={onClose} size="full">
      <div className="viewer viewer-compare">
        <div className="viewer-main">
          <div className="viewer-bar">
            <Switch label="Overlay" checked={overlay} onChange={setOverlay} />
          </div>
          <Player
            screens={[
              {
                key: first.id,
                source: source(first.id),
                label: "First result video",
                caption: caption(first),
              },
              {
                key: second.id,
                source: source(second.id),
                label: "Second result video",
                caption: caption(second),
              },
            ]}
            fps={Math.max(first.fps, second.fps)}
          />
        </div>
        <div className="compare-facts">
          <FactsBeside first={first} second={second} />
        </div>
      </div>
    </Dialog>
  );
}
