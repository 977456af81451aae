// Which pointer does what: one draws, two fingers or the middle button move the view, a palm beside a pen does nothing.
//
// Free of the DOM: Stage feeds it pointer events, it answers with gestures.

import type { XY } from "../motion/document";

export interface PointerLike {
  readonly pointerId: number;
  readonly pointerType: string;
  readonly button: number;
  readonly buttons: number;
}

/** What gestures arrive as. Positions are screen pixels of the stage. */
export interface Gestures<E extends PointerLike> {
  press(event: E, at: XY): void;
  drag(event: E, at: XY): void;
  release(event: E, at: XY): void;
  cancel(): void;
  pan(by: XY): void;
  /** Two fingers: `factor` about `at`, after moving by `by`. */
  pinch(factor: number, at: XY, by: XY): void;
  hover(event: E, at: XY): void;
}

type State =
  | { kind: "idle" }
  | { kind: "tool"; id: number }
  | { kind: "pan"; id: number; at: XY }
  | { kind: "pinch"; ids: readonly [number, number] }
  /** Fingers left over from a pinch: they draw nothing until all are lifted. */
  | { kind: "spent" };

export class Pointers<E extends PointerLike> {
  private state: State = { kind: "idle" };
  private readonly down = new Map<number, { at: XY; type: string }>();

  constructor(
    private readonly gestures: Gestures<E>,
    /** Whether a press moves the view: the hand tool, or Space held. */
    private readonly movesView: () => boolean,
  ) {}

  get drawing(): boolean {
    return this.state.kind === "tool";
  }

  get busy(): boolean {
    return this.state.kind !== "idle";
  }

  /** Whether the pointer is to be captured. */
  pressed(event: E, at: XY): boolean {
    if (event.pointerType === "touch" && this.penIsDown()) return false;
    if (event.pointerType === "pen" && event.pointerId !== this.owner()) this.dropTouches();
    this.down.set(event.pointerId, { at, type: event.pointerType });
    const touches = [...this.down].filter(([, pointer]) => pointer.type === "touch").map(([id]) => id);
    if (event.pointerType === "touch" && touches.length >= 2) {
      if (this.state.kind === "tool") this.gestures.cancel();
      const [first, second] = touches as [number, number];
      this.state = touches.length === 2 ? { kind: "pinch", ids: [first, second] } : this.state;
      return true;
    }
    if (this.state.kind !== "idle") return false;
    if (event.button === 1 || (event.button === 0 && this.movesView())) {
      this.state = { kind: "pan", id: event.pointerId, at };
      return true;
    }
    if (event.button !== 0) {
      this.down.delete(event.pointerId);
      return false;
    }
    this.state = { kind: "tool", id: event.pointerId };
    this.gestures.press(event, at);
    return true;
  }

  moved(event: E, at: XY): void {
    const known = this.down.get(event.pointerId);
    const state = this.state;
    if (!known) {
      if (state.kind === "idle" && event.pointerType !== "touch") this.gestures.hover(event, at);
      return;
    }
    if (state.kind === "tool" && state.id === event.pointerId) {
      // The button was let go where no event could be heard, as outside the window.
      if (event.pointerType === "mouse" && event.buttons === 0) this.released(event, at);
      else this.gestures.drag(event, at);
    } else if (state.kind === "pan" && state.id === event.pointerId) {
      this.gestures.pan([at[0] - state.at[0], at[1] - state.at[1]]);
      state.at = at;
    } else if (state.kind === "pinch" && state.ids.includes(event.pointerId)) {
      const other = this.down.get(state.ids[0] === event.pointerId ? state.ids[1] : state.ids[0]);
      if (other) this.pinched(known.at, at, other.at);
    }
    known.at = at;
  }

  released(event: E, at: XY): void {
    if (!this.down.delete(event.pointerId)) return;
    const state = this.state;
    if (state.kind === "tool" && state.id === event.pointerId) {
      this.state = { kind: "idle" };
      this.gestures.release(event, at);
    } else if (state.kind === "pan" && state.id === event.pointerId) {
      this.state = { kind: "idle" };
    } else if (state.kind === "pinch" && state.ids.includes(event.pointerId)) {
      this.state = { kind: "spent" };
    }
    if (this.down.size === 0) this.state = { kind: "idle" };
  }

  /** The system took the pointer away, or Escape was pressed: nothing of the gesture remains. */
  cancelled(event?: PointerLike): void {
    if (event && !this.down.delete(event.pointerId)) return;
    const state = this.state;
    const own = state.kind === "tool" || state.kind === "pan" ? state.id : null;
    if (!event || own === event.pointerId) {
      if (state.kind === "tool") this.gestures.cancel();
      this.state = this.down.size > 0 ? { kind: "spent" } : { kind: "idle" };
    } else if (state.kind === "pinch") this.state = { kind: "spent" };
    if (this.down.size === 0) this.state = { kind: "idle" };
  }

  private pinched(before: XY, now: XY, other: XY): void {
    const distance = (a: XY, b: XY) => Math.hypot(a[0] - b[0], a[1] - b[1]);
    const middle = (a: XY, b: XY): XY => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];
    const [from, to] = [middle(before, other), middle(now, other)];
    const factor = distance(now, other) / Math.max(distance(before, other), 1);
    this.gestures.pinch(factor, to, [to[0] - from[0], to[1] - from[1]]);
  }

  private penIsDown(): boolean {
    return [...this.down.values()].some((pointer) => pointer.type === "pen");
  }

  private owner(): number | null {
    return this.state.kind === "tool" || this.state.kind === "pan" ? this.state.id : null;
  }

  /** A pen takes over from the hand that rests on the screen. */
  private dropTouches(): void {
    const owner = this.owner();
    if (this.state.kind === "tool" && owner !== null && this.down.get(owner)?.type === "touch")
      this.gestures.cancel();
    const touches = [...this.down].filter(([, pointer]) => pointer.type === "touch");
    for (const [id] of touches) this.down.delete(id);
    if (touches.length > 0) this.state = { kind: "idle" };
  }
}
