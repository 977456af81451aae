// The photograph, or the instant preview of its motion in its place.

import { memo, useEffect, useRef, useState } from "react";
import { addresses } from "../../api/client";
import { followPreview, usePreview } from "../../store/preview";
import { useProject } from "../../store/project";
import { useEditor } from "../../store/react";
import { useView } from "./useView";

export const Picture = memo(function Picture() {
  const frame = useRef<HTMLDivElement>(null);
  const canvas = useEditor((state) => state.motion.canvas);
  const shown = useEditor((state) => state.overlay.picture);
  const id = useProject((state) => state.project?.id);
  const [failed, setFailed] = useState<string | null>(null);
  useView((view, size) => {
    const element = frame.current;
    if (!element) return;
    const left = size.width / 2 - view.x * view.scale;
    const top = size.height / 2 - view.y * view.scale;
    element.style.transform = `translate(${left}px, ${top}px) scale(${view.scale})`;
    element.dataset.pixels = view.scale >= 4 ? "" : undefined;
    if (view.scale < 4) delete element.dataset.pixels;
  });
  return (
    <div ref={frame} className="stage-picture" style={{ width: canvas.width, height: canvas.height }}>
      {id !== undefined && shown && failed !== id && (
        <img
          src={addresses.image(id)}
          alt=""
          draggable={false}
          decoding="async"
          onError={() => setFailed(id)}
        />
      )}
      {failed === id && id !== undefined && <p className="stage-missing">The picture could not be loaded</p>}
      {shown && <PreviewVideo />}
    </div>
  );
});

function PreviewVideo() {
  const on = useEditor((state) => state.overlay.preview);
  const url = usePreview((state) => state.url);
  return on && url !== null ? <Following url={url} /> : null;
}

function Following({ url }: { url: string }) {
  const video = useRef<HTMLVideoElement>(null);
  useEffect(() => (video.current ? followPreview(video.current) : undefined), []);
  return <video ref={video} src={url} muted playsInline preload="auto" aria-hidden="true" tabIndex={-1} />;
}
