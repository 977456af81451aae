// What the model receives: the cells of its latent video that tracks are written into, at the playhead.

import { useEffect, useRef } from "react";
import type { LatentGrid } from "../../api/types";
import { editor, useEditor } from "../../store/react";
import { received } from "../../store/received";
import { prepared, useDrawing, useView } from "./useView";

export function ReceivedLayer() {
  const on = useEditor((state) => state.overlay.received);
  return on ? <Cells /> : null;
}

function Cells() {
  const element = useRef<HTMLCanvasElement>(null);
  const draw = useDrawing(() => drawCells(element.current));
  useView(draw);
  useEffect(() => {
    const ends = [
      received.subscribe(draw),
      editor.subscribe((now, before) => {
        if (now.playhead !== before.playhead) draw();
      }),
    ];
    draw();
    return () => {
      for (const end of ends) end();
    };
  }, [draw]);
  return <canvas ref={element} className="stage-layer" data-layer="received" />;
}

/** The latent frame that holds a moment of the motion. The first holds one frame of the clip, the others several. */
export function latentFrame(
  playhead: number,
  motionFrames: number,
  clipFrames: number,
  grid: LatentGrid,
): number {
  const share = motionFrames > 1 ? playhead / (motionFrames - 1) : 0;
  const frame = Math.round(share * (clipFrames - 1));
  const latent = grid.frames >= clipFrames ? frame : Math.ceil(frame / Math.max(grid.frames_per_cell, 1));
  return Math.min(Math.max(latent, 0), grid.frames - 1);
}

function drawCells(element: HTMLCanvasElement | null): void {
  const ready = prepared(element);
  const found = received.getState().received;
  const grid = found?.grid;
  if (!ready || !found || !grid) return;
  const { context, view } = ready;
  const { motion, playhead } = editor.getState();
  const { width, height } = motion.canvas;
  const [across, down] = [width / grid.columns, height / grid.rows];
  const rectangle = (cell: number, into: Path2D) =>
    into.rect((cell % grid.columns) * across, Math.floor(cell / grid.columns) * down, across, down);

  context.fillStyle = "rgba(0, 0, 0, 0.35)";
  context.fillRect(0, 0, width, height);
  if (Math.min(across, down) * view.scale >= 6) {
    const lines = new Path2D();
    for (let column = 1; column < grid.columns; column += 1) {
      lines.moveTo(column * across, 0);
      lines.lineTo(column * across, height);
    }
    for (let row = 1; row < grid.rows; row += 1) {
      lines.moveTo(0, row * down);
      lines.lineTo(width, row * down);
    }
    context.strokeStyle = "rgba(255, 255, 255, 0.14)";
    context.lineWidth = 1 / view.scale;
    context.stroke(lines);
  }
  const latent = latentFrame(playhead, motion.num_frames, found.num_frames, grid);
  const hit = new Path2D();
  for (const cell of grid.cells[latent] ?? []) rectangle(cell, hit);
  const sources = new Path2D();
  for (const cell of grid.sources) rectangle(cell, sources);
  context.fillStyle = "rgba(70, 205, 185, 0.55)";
  context.fill(hit);
  context.lineWidth = 1.5 / view.scale;
  context.strokeStyle = "rgba(70, 205, 185, 1)";
  context.stroke(hit);
  context.setLineDash([3 / view.scale, 3 / view.scale]);
  context.strokeStyle = "rgba(255, 255, 255, 0.85)";
  context.stroke(sources);
  context.setLineDash([]);
}
