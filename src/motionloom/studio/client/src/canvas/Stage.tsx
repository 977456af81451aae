// The stage: the picture, what is drawn on it, and the tool in hand.

import "./stage.css";
import { useEffect, useId, useLayoutEffect, useRef } from "react";
import { editor, useEditor } from "../store/react";
import { ContextBar } from "./ContextBar";
import { DenseLayer } from "./layers/DenseLayer";
import { Overlay } from "./layers/Overlay";
import { Picture } from "./layers/Picture";
import { ReceivedLayer } from "./layers/ReceivedLayer";
import { stage, useStage } from "./stageStore";
import { toolOf } from "./tools";
import { benchNow } from "./tools/bench";
import { Hint } from "./tools/OptionBar";
import { cancelCrosshair, onStageFocus, onStageKey, sayHandle, useSpace } from "./useKeys";
import { cancelPointer, usePointers } from "./usePointers";
import { useStageShortcuts } from "./useStageShortcuts";
import { ViewControls } from "./ViewControls";

export function Stage() {
  const surface = useRef<HTMLDivElement>(null);
  const help = useId();
  useSize(surface);
  usePointers(surface);
  useSpace(surface);
  useStageShortcuts();
  useToolChange();
  useFirstFocus(surface);
  return (
    <div className="stage">
      <OptionBar />
      <div className="stage-port">
        <Surface surface={surface} help={help} />
        <ContextBar />
        <ViewControls />
      </div>
      <p id={help} className="visually-hidden">
        Drawing surface. With a drawing tool in hand the arrow keys move a crosshair, Shift farther, Alt one
        pixel; Enter places a point or begins and ends a shape, Enter twice or Escape finishes a path. Tab
        goes through the control points; arrow keys move the one in focus by one pixel, Shift by ten; Insert
        adds one after it; Delete removes it.
      </p>
      <LiveRegion />
    </div>
  );
}

function Surface({ surface, help }: { surface: React.RefObject<HTMLDivElement | null>; help: string }) {
  const tool = toolOf(useEditor((state) => state.tool));
  const grabbing = useStage((state) => state.grabbing);
  const dragging = useStage((state) => state.dragging);
  const hovered = useStage((state) => state.hovered !== null);
  const isHand = grabbing || tool.name === "hand";
  const cursor = isHand ? "grab" : tool.name === "select" && hovered ? "move" : tool.cursor;
  return (
    <div
      ref={surface}
      className="stage-surface"
      role="application"
      aria-label="Canvas"
      aria-describedby={help}
      aria-roledescription="drawing surface"
      // biome-ignore lint/a11y/noNoninteractiveTabindex: an application takes the keyboard
      tabIndex={0}
      data-tool={tool.name}
      data-hand={isHand || undefined}
      data-dragging={dragging || undefined}
      style={{ cursor }}
      onKeyDown={onStageKey}
      onFocus={(event) => {
        onStageFocus(event);
        sayHandle(event.target);
      }}
      onBlur={(event) => {
        if (!event.currentTarget.contains(event.relatedTarget)) cancelCrosshair();
      }}
      onContextMenu={(event) => event.preventDefault()}
    >
      <Picture />
      <ReceivedLayer />
      <DenseLayer />
      <Overlay />
    </div>
  );
}

function OptionBar() {
  const tool = toolOf(useEditor((state) => state.tool));
  const { Options } = tool;
  return (
    <div className="stage-options" role="toolbar" aria-label={`${tool.label} options`}>
      {Options ? <Options /> : <Hint>{tool.hint}</Hint>}
    </div>
  );
}

/** Screen readers hear what happens on the canvas. */
function LiveRegion() {
  const { text, count } = useStage((state) => state.said);
  return (
    <div className="visually-hidden" role="status" aria-live="polite" data-said={count}>
      {/* The same words twice are only heard again when something changes. */}
      {count % 2 ? text : `${text}\u00a0`}
    </div>
  );
}

function useSize(surface: React.RefObject<HTMLElement | null>): void {
  useLayoutEffect(() => {
    const element = surface.current;
    if (!element) return;
    const measure = () => {
      const { clientWidth: width, clientHeight: height } = element;
      const { size } = stage.getState();
      if (size.width !== width || size.height !== height) stage.setState({ size: { width, height } });
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, [surface]);
}

/** The keyboard draws at once: an opened project has the focus on its picture, unless something else took it. */
function useFirstFocus(surface: React.RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const { activeElement, body } = document;
    if (activeElement === null || activeElement === body)
      surface.current?.focus({ preventScroll: true, focusVisible: false } as FocusOptions);
  }, [surface]);
}

/** What the old tool had begun is finished before the new one is in hand. */
function useToolChange(): void {
  useEffect(() => {
    const finish = (name: Parameters<typeof toolOf>[0]) => {
      cancelPointer();
      cancelCrosshair();
      toolOf(name).leave?.(benchNow());
      stage.setState({ sketch: null, ghost: null, readout: null, brushAt: null, hovered: null });
    };
    const unsubscribe = editor.subscribe((now, before) => {
      if (now.tool !== before.tool) finish(before.tool);
    });
    return () => {
      unsubscribe();
      finish(editor.getState().tool);
    };
  }, []);
}
