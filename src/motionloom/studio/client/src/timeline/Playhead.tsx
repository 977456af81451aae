import { type KeyboardEvent, useEffect, useRef } from "react";
import { editor, useEditor } from "../store/react";
import { frameText, type Scale, secondsText, toX } from "./scale";

/** The playhead's handle in the ruler: the slider "Frame". The line below moves with it without rendering anything. */
export function PlayheadHandle({ scale }: { scale: Scale }) {
  const frame = useEditor((state) => Math.floor(state.playhead + 1e-6));
  const fps = useEditor((state) => (state.draft ?? state.motion).fps);
  const ref = useFollow<HTMLDivElement>(scale);
  const { lastFrame } = scale;
  const onKeyDown = (event: KeyboardEvent) => {
    const { playhead, setPlayhead, setPlaying } = editor.getState();
    const whole = Math.round(playhead);
    const step = event.shiftKey ? 10 : 1;
    const next = {
      ArrowLeft: whole - step,
      ArrowDown: whole - step,
      ArrowRight: whole + step,
      ArrowUp: whole + step,
      PageDown: whole - 10,
      PageUp: whole + 10,
      Home: 0,
      End: lastFrame,
    }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    setPlaying(false);
    setPlayhead(Math.min(Math.max(next, 0), lastFrame));
  };
  return (
    <div
      ref={ref}
      className="tl-playhead"
      role="slider"
      tabIndex={0}
      aria-label="Frame"
      aria-valuemin={0}
      aria-valuemax={lastFrame}
      aria-valuenow={frame}
      aria-valuetext={`frame ${frameText(frame)} of ${lastFrame}, ${secondsText(frame, fps)}`}
      onKeyDown={onKeyDown}
    >
      <span>{frame}</span>
    </div>
  );
}

export function PlayheadLine({ scale }: { scale: Scale }) {
  return <div ref={useFollow<HTMLDivElement>(scale)} className="tl-line" aria-hidden="true" />;
}

/** Moves an element to the playhead: 60 times a second while playing, so past React. */
function useFollow<Element extends HTMLElement>(scale: Scale) {
  const ref = useRef<Element>(null);
  useEffect(() => {
    const place = ({ playhead }: { playhead: number }) => {
      if (ref.current)
        ref.current.style.transform = `translateX(${toX(scale, Math.min(playhead, scale.lastFrame))}px)`;
    };
    place(editor.getState());
    return editor.subscribe((state, before) => {
      if (state.playhead !== before.playhead) place(state);
    });
  }, [scale]);
  return ref;
}
