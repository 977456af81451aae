// What the model receives: the cells of its latent video that tracks are written into, at the playhead.

import { useEffect, useRef } from "react";
import type { LatentGrid } from "../../api/types";
import { editor, useEditor } from "../../store/react";
import { received } from "../../store/received";
import { prepared, useDrawing, useView } from "./useView";

/** Sources in more of the cells than this share are not marked. */
const MANY_SOURCES = 0.35;
/** With more of the cells hit than this share, what is missed is what matters: the rest stays a picture. */
const NEARLY_ALL = 0.7;

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

/** The first latent frame is the picture itself, where most methods write nothing: there, where the tracks begin. */
export function hitCells(grid: LatentGrid, latent: number): ReadonlySet<number> {
  const cells = grid.cells[latent] ?? [];
  return new Set(latent === 0 && cells.length === 0 ? grid.sources : cells);
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
  const latent = latentFrame(playhead, motion.num_frames, found.num_frames, grid);
  const hit = hitCells(grid, latent);
  const missed = new Path2D();
  for (let cell = 0; cell < grid.rows * grid.columns; cell += 1)
    if (!hit.has(cell))
      missed.rect((cell % grid.columns) * across, Math.floor(cell / grid.columns) * down, across, down);
  const nearlyAll = hit.size > grid.rows * grid.columns * NEARLY_ALL;
  context.fillStyle = nearlyAll ? "rgba(0, 0, 0, 0.3)" : "rgba(0, 0, 0, 0.5)";
  context.fill(missed);
  context.fillStyle = nearlyAll ? "rgba(70, 205, 185, 0.07)" : "rgba(70, 205, 185, 0.22)";
  context.fillRect(0, 0, width, height);
  if (!nearlyAll && Math.min(across, down) * view.scale >= 6) {
    context.strokeStyle = "rgba(255, 255, 255, 0.16)";
    context.lineWidth = 1 / view.scale;
    context.stroke(gridLines(grid, across, down));
  }
  context.strokeStyle = "rgb(70, 205, 185)";
  context.lineWidth = 1.5 / view.scale;
  context.stroke(edgesOf(hit, grid, across, down));
  // Where the written features come from; when that is nearly everywhere, marks would hide the picture.
  if (grid.sources.length > grid.rows * grid.columns * MANY_SOURCES) return;
  const sources = new Path2D();
  const radius = Math.min(across, down) / 6;
  for (const cell of grid.sources) {
    const [x, y] = [((cell % grid.columns) + 0.5) * across, (Math.floor(cell / grid.columns) + 0.5) * down];
    sources.moveTo(x + radius, y);
    sources.arc(x, y, radius, 0, 2 * Math.PI);
  }
  context.fillStyle = "rgba(255, 255, 255, 0.9)";
  context.fill(sources);
}

function gridLines(grid: LatentGrid, across: number, down: number): Path2D {
  const lines = new Path2D();
  for (let column = 1; column < grid.columns; column += 1) {
    lines.moveTo(column * across, 0);
    lines.lineTo(column * across, grid.rows * down);
  }
  for (let row = 1; row < grid.rows; row += 1) {
    lines.moveTo(0, row * down);
    lines.lineTo(grid.columns * across, row * down);
  }
  return lines;
}

/** The border between cells that are hit and those that are not. */
function edgesOf(hit: ReadonlySet<number>, grid: LatentGrid, across: number, down: number): Path2D {
  const edges = new Path2D();
  for (const cell of hit) {
    const [column, row] = [cell % grid.columns, Math.floor(cell / grid.columns)];
    const [left, top] = [column * across, row * down];
    const line = (x1: number, y1: number, x2: number, y2: number) => {
      edges.moveTo(x1, y1);
      edges.lineTo(x2, y2);
    };
    if (column === 0 || !hit.has(cell - 1)) line(left, top, left, top + down);
    if (column === grid.columns - 1 || !hit.has(cell + 1))
      line(left + across, top, left + across, top + down);
    if (!hit.has(cell - grid.columns)) line(left, top, left + across, top);
    if (!hit.has(cell + grid.columns)) line(left, top + down, left + across, top + down);
  }
  return edges;
}
