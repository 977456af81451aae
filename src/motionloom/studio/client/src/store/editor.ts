// The editor's state: the motion, what is selected, which tool is in hand, where the playhead is. Framework-free
// (zustand/vanilla); components read it with `useEditor(selector)` from ./react.

import type {
  Easing,
  Instruction,
  Kind,
  Motion,
  MotionDocument,
  Pan,
  PathPoint,
  XY,
} from "../motion/document";

export type ToolName =
  | "select"
  | "path"
  | "circle"
  | "static"
  | "pin"
  | "lasso"
  | "rectangle"
  | "brush"
  | "box"
  | "rotate"
  | "camera"
  | "hand";

/** What is being looked at: `scale` screen pixels per canvas pixel; the canvas point (x, y) lies at the view's centre. */
export interface View {
  scale: number;
  x: number;
  y: number;
}

export interface Notice {
  readonly message: string;
  /** `refused`: nothing was changed; `changed`: something was changed beyond what was asked for. */
  readonly kind: "refused" | "changed";
}

/** Control points picked inside the one selected instruction: indices into `controlPoints(instruction)`. */
export type PointSelection = readonly number[];

export interface EditorState {
  // ---- the document and its history
  motion: Motion;
  /** Grows with every edit, undo, redo and opened document; what autosave and previews watch. */
  revision: number;
  canUndo: boolean;
  canRedo: boolean;
  undoLabel: string | null;
  redoLabel: string | null;

  // ---- not part of the history
  selection: readonly string[];
  points: PointSelection;
  /** Locked instructions cannot be picked or moved on the canvas. Kept in the browser, per project. */
  locked: ReadonlySet<string>;
  tool: ToolName;
  view: View | null; // null: fitted to the window
  playhead: number; // frames, 0 .. num_frames - 1, fractions while playing
  playing: boolean;
  looping: boolean;
  overlay: {
    paths: boolean;
    points: boolean;
    frames: boolean;
    picture: boolean;
    received: boolean;
    preview: boolean;
  };
  /** What is being drawn or dragged right now, shown but not in the history; `commit` makes one step of it. */
  draft: Motion | null;
  /** The newest thing the editor has to say: an edit that was refused, or what had to follow from one. */
  notice: Notice | null;

  // ---- document
  /**
   * Another document in its place; the history begins anew. With the name of a `project` the locks are remembered.
   *
   * @throws DocumentError not a motion document
   */
  open(document: MotionDocument, project?: string): void;
  /**
   * One step of history: `label` names it for the undo button, as in "Move path". A change that could not be saved is
   * refused with a notice. Changes with the same `key` in quick succession are one step.
   */
  edit(label: string, change: (motion: Motion) => Motion, key?: string): void;
  /** Shows a change without a step, as while dragging; each call starts from the committed motion. */
  preview(change: (motion: Motion) => Motion): void;
  /** Makes one step of what was previewed. */
  commit(label: string): void;
  /** Forgets what was previewed. */
  cancel(): void;
  undo(): void;
  redo(): void;

  // ---- instructions; each is one step
  /** Adds in front, selects it, and gives it an id and a colour where it has none; returns the id. */
  add(instruction: NewInstruction, label?: string): string;
  /**
   * Several at once, as from an imported file; one step. `pans` come along: those for all are for the added ones alone,
   * ids in them are those the instructions were given with.
   */
  addAll(instructions: readonly NewInstruction[], label: string, pans?: readonly Pan[]): readonly string[];
  update(
    id: string,
    change: Partial<Instruction> | ((instruction: Instruction) => Instruction),
    label: string,
  ): void;
  /** What is locked stays. */
  remove(ids: readonly string[]): void;
  duplicate(ids: readonly string[], offset?: XY): readonly string[];
  move(ids: readonly string[], by: XY): void;
  rename(id: string, name: string): void;
  recolor(ids: readonly string[], color: string): void;
  setHidden(ids: readonly string[], hidden: boolean): void;
  /** Times of points and keyframes inside go along; null: the default again. */
  setTiming(
    id: string,
    timing: {
      start?: number | null;
      end?: number | null;
      before?: "hold" | "vanish";
      after?: "hold" | "vanish";
    },
  ): void;
  setEasing(id: string, easing: Easing): void;
  /** To a place in the drawing order, 0 is the back. */
  reorder(id: string, place: number): void;
  /** The velocity of exactly these instructions (null: of all), px per frame; zero takes it away. */
  setPan(velocity: XY, ids: readonly string[] | null): void;
  setPans(pans: readonly Pan[]): void;
  /** `keep`: times stay the frame numbers they are; `stretch`: the whole movement takes up the new length. */
  setLength(numFrames: number, fps: number, mode: "keep" | "stretch"): void;

  // ---- control points of an instruction's path (its own, or that of a region or a box); each is one step
  movePoints(id: string, indices: readonly number[], by: XY): void;
  setPoint(id: string, index: number, point: PathPoint): void;
  /** On the curve nearest to `at`, without changing the shape of a polyline; returns its index. */
  insertPoint(id: string, at: XY): number;
  removePoints(id: string, indices: readonly number[]): void;
  setPointFrame(id: string, index: number, frame: number | null): void;

  // ---- not in the history
  select(ids: readonly string[], mode?: "replace" | "add" | "toggle"): void;
  selectAll(): void;
  selectPoints(indices: readonly number[], mode?: "replace" | "add" | "toggle"): void;
  setLocked(ids: readonly string[], locked: boolean): void;
  setTool(tool: ToolName): void;
  setView(view: View | null): void;
  setPlayhead(frame: number): void;
  setPlaying(playing: boolean): void;
  setLooping(looping: boolean): void;
  setOverlay(overlay: Partial<EditorState["overlay"]>): void;
}

/** An instruction that has no id yet; what is left out gets the format's default. */
export type NewInstruction = { kind: Kind; id?: string } & Record<string, unknown>;
