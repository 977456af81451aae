import "./player.css";
import {
  type KeyboardEvent,
  type ReactNode,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from "react";
import { Icon, IconButton, Spinner } from "../ui";
import { createClock, frameAt, momentOf } from "./clock";

export interface Screen {
  key: string;
  source: string;
  /** Accessible name of the video. */
  label: string;
  /** Shown on it. */
  caption?: ReactNode;
}

export interface PlayerProps {
  screens: readonly Screen[];
  fps: number;
}

/** Videos side by side on one clock: play, scrub, frame by frame, again and again. */
export function Player({ screens, fps }: PlayerProps) {
  const clock = useMemo(() => createClock(fps), [fps]);
  const { time, duration, playing } = useSyncExternalStore(clock.subscribe, clock.state);
  const [looping, setLooping] = useState(true);
  const frames = Math.max(1, Math.round(duration * fps));
  const frame = Math.min(frameAt(time, fps), frames - 1);

  useEffect(() => {
    let request = 0;
    const tick = () => {
      clock.tick();
      request = requestAnimationFrame(tick);
    };
    tick();
    return () => cancelAnimationFrame(request);
  }, [clock]);
  // What is opened is meant to be seen, unless moving pictures are not wanted.
  useEffect(() => {
    if (!window.matchMedia("(prefers-reduced-motion: reduce)").matches) clock.play();
  }, [clock]);

  const toggle = () => (playing ? clock.pause() : clock.play());
  const onKeyDown = (event: KeyboardEvent) => {
    const isRange = event.target instanceof HTMLInputElement;
    if (
      (event.key === " " || event.key === "k") &&
      !(event.target instanceof HTMLButtonElement && event.key === " ")
    )
      toggle();
    else if (event.key === "," || (event.key === "ArrowLeft" && !isRange)) clock.step(-1);
    else if (event.key === "." || (event.key === "ArrowRight" && !isRange)) clock.step(1);
    else if (event.key === "Home" && !isRange) clock.seek(0);
    else if (event.key === "End" && !isRange) clock.seek(duration);
    else return;
    event.preventDefault();
  };

  return (
    <section className="player" aria-label="Player" onKeyDown={onKeyDown}>
      <div className="player-screens" data-count={screens.length}>
        {screens.map((screen) => (
          <Film key={screen.key} screen={screen} clock={clock} onClick={toggle} />
        ))}
      </div>
      <div className="player-bar">
        <IconButton
          label={playing ? "Pause" : "Play"}
          icon={playing ? "pause" : "play"}
          onClick={toggle}
          data-focus-first
        />
        <IconButton label="One frame back" icon="step-back" onClick={() => clock.step(-1)} />
        <IconButton label="One frame forward" icon="step-forward" onClick={() => clock.step(1)} />
        <input
          type="range"
          aria-label="Position"
          aria-valuetext={`frame ${frame + 1} of ${frames}`}
          className="player-range"
          min={0}
          max={frames - 1}
          step={1}
          value={frame}
          style={{ "--filled": `${frames > 1 ? (frame / (frames - 1)) * 100 : 0}%` } as React.CSSProperties}
          onChange={(event) => clock.seek(momentOf(Number(event.target.value), fps))}
        />
        <output className="player-time">
          {frame + 1} / {frames}
        </output>
        <IconButton
          label="Loop"
          icon="loop"
          pressed={looping}
          onClick={() => {
            clock.setLooping(!looping);
            setLooping(!looping);
          }}
        />
      </div>
    </section>
  );
}

interface FilmProps {
  screen: Screen;
  clock: ReturnType<typeof createClock>;
  onClick(): void;
}

function Film({ screen, clock, onClick }: FilmProps) {
  const video = useRef<HTMLVideoElement>(null);
  const [state, setState] = useState<"loading" | "ready" | "failed">("loading");
  // biome-ignore lint/correctness/useExhaustiveDependencies: another source is another film
  useEffect(() => {
    const film = video.current;
    if (!film) return;
    setState("loading");
    const remove = clock.add(film);
    const { time, playing } = clock.state();
    const begin = () => {
      film.currentTime = Math.min(time, film.duration);
      if (playing && clock.state().playing) void film.play().catch(() => {});
    };
    film.addEventListener("loadedmetadata", begin);
    return () => {
      film.removeEventListener("loadedmetadata", begin);
      remove();
    };
  }, [clock, screen.source]);
  return (
    <figure className="player-film">
      <video
        ref={video}
        src={screen.source}
        aria-label={screen.label}
        muted
        playsInline
        preload="auto"
        onCanPlay={() => setState("ready")}
        onError={() => setState("failed")}
        onClick={onClick}
      />
      {state === "loading" && (
        <span className="player-state">
          <Spinner size={20} />
        </span>
      )}
      {state === "failed" && (
        <span className="player-state">
          <Icon name="error" /> This video cannot be loaded. Is the server still there, and its disk not full?
        </span>
      )}
      {screen.caption && <figcaption>{screen.caption}</figcaption>}
    </figure>
  );
}
