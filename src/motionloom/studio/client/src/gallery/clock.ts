// One clock for several videos: the longest one keeps the time, the others are held to it, less than a frame apart.

/** What is used of a <video>. */
export interface Film {
  currentTime: number;
  playbackRate: number;
  readonly duration: number;
  readonly paused: boolean;
  readonly ended: boolean;
  readonly seeking: boolean;
  readonly readyState: number;
  play(): Promise<void>;
  pause(): void;
}

export interface Correction {
  /** Where to jump to; null: nowhere. */
  seek: number | null;
  /** Speed at which a small difference goes away unseen. */
  rate: number;
}

/** A difference that is nobody's business, in frames; beyond it the speed is changed, beyond a frame it jumps. */
const QUIET = 0.1;
const JUMP = 1;
const GAIN = 0.5;
const MAX_CHANGE = 0.12;

/** How a film that follows gets back to the clock's `time`; both in seconds. */
export function correction(
  time: number,
  film: Pick<Film, "currentTime" | "duration">,
  fps: number,
): Correction {
  // A shorter film waits on its last frame.
  const wanted = Math.min(time, lastMoment(film.duration, fps));
  const apart = (wanted - film.currentTime) * fps;
  if (wanted < time || Math.abs(apart) > JUMP)
    return { seek: Math.abs(apart) > QUIET ? wanted : null, rate: 1 };
  if (Math.abs(apart) < QUIET) return { seek: null, rate: 1 };
  const change = Math.min(Math.max(apart * GAIN, -1), 1) * MAX_CHANGE;
  return { seek: null, rate: 1 + change };
}

/** The middle of a frame: what every browser shows as that frame. */
export function momentOf(frame: number, fps: number): number {
  return (frame + 0.5) / fps;
}

export function frameAt(time: number, fps: number): number {
  return Math.max(0, Math.floor(time * fps + 1e-6));
}

function lastMoment(duration: number, fps: number): number {
  return Number.isFinite(duration) ? Math.max(0, duration - 0.5 / fps) : Number.POSITIVE_INFINITY;
}

export interface ClockState {
  time: number;
  duration: number;
  playing: boolean;
  /** Largest distance of a film from the clock at the last look, in frames. */
  drift: number;
}

export interface Clock {
  state(): ClockState;
  subscribe(listener: () => void): () => void;
  /** Films come and go; returns what takes this one out again. */
  add(film: Film): () => void;
  play(): void;
  pause(): void;
  /** Seconds; the films stand still meanwhile and go on if they played. */
  seek(time: number): void;
  step(frames: number): void;
  setLooping(looping: boolean): void;
  /** Looks at the films and corrects them; called with every picture while they play. */
  tick(): void;
}

export function createClock(fps: number, looping = true): Clock {
  const films: Film[] = [];
  const listeners = new Set<() => void>();
  let state: ClockState = { time: 0, duration: 0, playing: false, drift: 0 };
  let loops = looping;

  const set = (change: Partial<ClockState>) => {
    const next = { ...state, ...change };
    if (Object.entries(change).every(([name, value]) => state[name as keyof ClockState] === value)) return;
    state = next;
    for (const listener of listeners) listener();
  };
  const lengthOf = (film: Film) => (Number.isFinite(film.duration) ? film.duration : 0);
  const master = () =>
    films.reduce<Film | null>((best, film) => (best && lengthOf(best) >= lengthOf(film) ? best : film), null);
  const isReady = () => films.every((film) => film.readyState >= 2 && !film.seeking);

  const seekAll = (time: number) => {
    const moment = momentOf(frameAt(time, fps), fps);
    for (const film of films) {
      film.playbackRate = 1;
      const wanted = Math.min(moment, lastMoment(film.duration, fps));
      if (Math.abs(film.currentTime - wanted) > 1e-4) film.currentTime = wanted;
    }
    set({ time: moment });
  };
  const playAll = () => {
    for (const film of films)
      if (!film.ended && film.currentTime < lastMoment(film.duration, fps) - 0.25 / fps)
        void film.play().catch(() => {});
  };
  const pauseAll = () => {
    for (const film of films) film.pause();
  };

  return {
    state: () => state,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    add(film) {
      films.push(film);
      return () => {
        films.splice(films.indexOf(film), 1);
        set({ duration: Math.max(0, ...films.map(lengthOf)) });
      };
    },
    play() {
      if (state.time >= state.duration - 1 / fps) seekAll(0);
      set({ playing: true });
      playAll();
    },
    pause() {
      pauseAll();
      set({ playing: false });
      const first = master();
      if (first) seekAll(first.currentTime);
    },
    seek(time) {
      if (state.playing) pauseAll();
      seekAll(Math.min(Math.max(time, 0), Math.max(state.duration - 0.5 / fps, 0)));
      if (state.playing) playAll();
    },
    step(frames) {
      pauseAll();
      set({ playing: false });
      const last = Math.max(0, Math.round(state.duration * fps) - 1);
      const to = Math.min(Math.max(frameAt(state.time, fps) + frames, 0), last);
      seekAll(to / fps);
    },
    setLooping(value) {
      loops = value;
    },
    tick() {
      set({ duration: Math.max(0, ...films.map(lengthOf)) });
      const first = master();
      if (!first || !state.playing) return;
      if (first.ended || (state.duration > 0 && first.currentTime >= state.duration - 0.02)) {
        if (loops) {
          pauseAll();
          seekAll(0);
          playAll();
        } else {
          pauseAll();
          set({ playing: false, time: momentOf(Math.max(0, Math.round(state.duration * fps) - 1), fps) });
        }
        return;
      }
      // One that loads or jumps is waited for: none runs away.
      if (!isReady()) {
        if (!first.paused && films.some((film) => film !== first && film.readyState < 2)) first.pause();
        return;
      }
      if (first.paused) void first.play().catch(() => {});
      const time = first.currentTime;
      let drift = 0;
      for (const film of films) {
        if (film === first) continue;
        const wanted = Math.min(time, lastMoment(film.duration, fps));
        drift = Math.max(drift, Math.abs(film.currentTime - wanted) * fps);
        const { seek, rate } = correction(time, film, fps);
        if (film.playbackRate !== rate) film.playbackRate = rate;
        if (wanted < time) film.pause();
        else if (film.paused) void film.play().catch(() => {});
        if (seek !== null) film.currentTime = seek;
      }
      set({ time, drift });
    },
  };
}
