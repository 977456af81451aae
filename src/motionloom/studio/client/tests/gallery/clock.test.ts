import { describe, expect, test } from "vitest";
import { correction, createClock, type Film, frameAt, momentOf } from "../../src/gallery/clock";

const FPS = 16;

/** A film that plays at its own, slightly wrong speed, and takes a while to jump. */
class FakeFilm implements Film {
  at = 0;
  playbackRate = 1;
  paused = true;
  readyState = 4;
  jumps = 0;
  private until = 0;
  private now = 0;
  constructor(
    readonly duration: number,
    readonly skew = 1,
    readonly latency = 0,
  ) {}
  get currentTime() {
    return this.at;
  }
  set currentTime(time: number) {
    this.at = time;
    this.jumps++;
    this.until = this.now + this.latency;
  }
  get seeking() {
    return this.now < this.until;
  }
  get ended() {
    return this.at >= this.duration;
  }
  async play() {
    this.paused = false;
  }
  pause() {
    this.paused = true;
  }
  pass(seconds: number) {
    this.now += seconds;
    if (!this.paused && !this.seeking)
      this.at = Math.min(this.duration, this.at + seconds * this.playbackRate * this.skew);
  }
}

function run(films: FakeFilm[], seconds: number, look: (drift: number) => void = () => {}, looping = true) {
  const clock = createClock(FPS, looping);
  for (const film of films) clock.add(film);
  clock.tick();
  clock.play();
  for (let tick = 0; tick < seconds * 60; tick++) {
    for (const film of films) film.pass(1 / 60);
    clock.tick();
    if (clock.state().playing) look(Math.abs((films[0]?.at ?? 0) - (films[1]?.at ?? 0)) * FPS);
  }
  return clock;
}

describe("two films", () => {
  test("one that runs 3 % slow stays less than a frame away, without jumping", () => {
    const films = [new FakeFilm(20), new FakeFilm(20, 0.97)];
    let worst = 0;
    run(films, 15, (drift) => {
      worst = Math.max(worst, drift);
    });
    expect(worst).toBeLessThan(0.6);
    expect(films[1]?.jumps).toBeLessThan(3);
  });

  test("one that stumbled is back within half a second", () => {
    const films = [new FakeFilm(20), new FakeFilm(20)];
    const clock = createClock(FPS);
    for (const film of films) clock.add(film);
    clock.tick();
    clock.play();
    films[0]?.pass(1);
    clock.tick();
    for (let tick = 0; tick < 30; tick++) {
      for (const film of films) film.pass(1 / 60);
      clock.tick();
    }
    expect(clock.state().drift).toBeLessThan(0.5);
  });

  test("begin again together", () => {
    const films = [new FakeFilm(2), new FakeFilm(2, 0.99)];
    let loops = 0;
    let before = 0;
    run(films, 7, () => {
      const at = films[0]?.at ?? 0;
      if (at < before - 1) {
        loops++;
        expect(Math.abs(at - (films[1]?.at ?? 0)) * FPS).toBeLessThan(0.5);
      }
      before = at;
    });
    expect(loops).toBe(3);
  });

  test("the shorter one waits on its last frame; without looping both stand at the end", () => {
    const films = [new FakeFilm(2), new FakeFilm(1)];
    const clock = run(films, 3, undefined, false);
    expect(films[1]?.at).toBeCloseTo(1 - 0.5 / FPS, 1);
    expect(clock.state().playing).toBe(false);
    expect(frameAt(clock.state().time, FPS)).toBe(31);
  });

  test("a film that is still loading is waited for", () => {
    const films = [new FakeFilm(4), new FakeFilm(4)];
    const slow = films[1] as FakeFilm;
    slow.readyState = 1;
    const clock = createClock(FPS);
    for (const film of films) clock.add(film);
    clock.tick();
    clock.play();
    clock.tick();
    expect(films[0]?.paused).toBe(true);
    slow.readyState = 4;
    clock.tick();
    expect(films[0]?.paused).toBe(false);
  });
});

describe("frame by frame", () => {
  test("every step is one frame, at both ends it stays", () => {
    const films = [new FakeFilm(1), new FakeFilm(1)];
    const clock = createClock(FPS);
    for (const film of films) clock.add(film);
    clock.tick();
    clock.step(1);
    clock.step(1);
    expect(films.map((film) => frameAt(film.at, FPS))).toEqual([2, 2]);
    clock.step(-5);
    expect(frameAt(clock.state().time, FPS)).toBe(0);
    clock.step(100);
    expect(films.map((film) => frameAt(film.at, FPS))).toEqual([15, 15]);
  });

  test("the moment of a frame lies in it for any rate", () => {
    for (const fps of [5.33, 8, 16, 23.976, 24, 30])
      for (let frame = 0; frame < 300; frame++) expect(frameAt(momentOf(frame, fps), fps)).toBe(frame);
  });
});

test("small differences are left alone, larger ones are caught up, large ones jumped over", () => {
  const film = (currentTime: number) => ({ currentTime, duration: 10 });
  expect(correction(5, film(5 - 0.05 / FPS), FPS)).toEqual({ seek: null, rate: 1 });
  expect(correction(5, film(5 - 0.5 / FPS), FPS).rate).toBeGreaterThan(1);
  expect(correction(5, film(5 + 0.5 / FPS), FPS).rate).toBeLessThan(1);
  expect(correction(5, film(5 - 3 / FPS), FPS)).toEqual({ seek: 5, rate: 1 });
});
