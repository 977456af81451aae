import "./EasingEditor.css";
import { type KeyboardEvent, type PointerEvent, useEffect, useRef, useState } from "react";
import type { Easing } from "../motion/document";
import { ease } from "../motion/easing";
import { NumberField } from "../ui";
import { clamp } from "./curves";
import { type Bezier, bezierOf, describe, EASING_NAMES, EASING_TITLES, named, sameEasing } from "./easings";

export interface EasingEditorProps {
  value: Easing;
  /** One change, as of the history. */
  onChange(easing: Easing): void;
  /** While a handle is dragged; null when the drag is given up. */
  onPreview?(easing: Easing | null): void;
  /** What moves like this, as in "Path 1"; part of the accessible names. */
  label?: string;
}

const WIDTH = 216;
const HEIGHT = 150;
const SIDE = 12;
/** The curve may overshoot: values from -0.4 to 1.4 are drawn. */
const LOW = -0.4;
const HIGH = 1.4;
const MAX_VALUE = 4;

const toX = (x: number) => SIDE + x * (WIDTH - 2 * SIDE);
const toY = (y: number) => SIDE + ((HIGH - y) / (HIGH - LOW)) * (HEIGHT - 2 * SIDE);

/** How motion gets from one moment to the next: presets, a curve with two handles, and its numbers. */
export function EasingEditor({ value, onChange, onPreview, label }: EasingEditorProps) {
  const [draft, setDraft] = useState<Bezier | null>(null);
  const shown: Easing = draft ?? value;
  const numbers = bezierOf(shown);

  const set = (next: Bezier) => onChange(named(next.map(round) as unknown as Bezier));
  return (
    <fieldset className="easing" aria-label={label ? `Easing of ${label}` : "Easing"}>
      <div className="easing-presets">
        {EASING_NAMES.map((name) => (
          <button
            key={name}
            type="button"
            className="easing-preset"
            aria-pressed={sameEasing(value, name)}
            title={EASING_TITLES[name]}
            aria-label={EASING_TITLES[name]}
            onClick={() => onChange(name)}
          >
            <EasingIcon easing={name} />
          </button>
        ))}
      </div>
      <div className="easing-main">
        <Graph
          shown={shown}
          numbers={numbers}
          onDraft={(next) => {
            setDraft(next);
            onPreview?.(next);
          }}
          onSet={(next) => {
            setDraft(null);
            set(next);
          }}
        />
        <Runner easing={shown} />
      </div>
      {numbers ? (
        <div className="easing-numbers">
          {(["x1", "y1", "x2", "y2"] as const).map((name, place) => (
            <NumberField
              key={name}
              label={name}
              value={numbers[place] as number}
              min={place % 2 === 0 ? 0 : -MAX_VALUE}
              max={place % 2 === 0 ? 1 : MAX_VALUE}
              step={0.01}
              digits={3}
              onChange={(next) => set(replaced(numbers, place, next))}
            />
          ))}
        </div>
      ) : (
        <p className="easing-note">Stays where it is and jumps at the end.</p>
      )}
    </fieldset>
  );
}

interface GraphProps {
  shown: Easing;
  numbers: Bezier | null;
  onDraft(next: Bezier | null): void;
  onSet(next: Bezier): void;
}

function Graph({ shown, numbers, onDraft, onSet }: GraphProps) {
  const svg = useRef<SVGSVGElement>(null);
  const drag = useRef<{ handle: 0 | 1; numbers: Bezier } | null>(null);

  const place = (event: PointerEvent, handle: 0 | 1, from: Bezier): Bezier => {
    const box = svg.current?.getBoundingClientRect();
    if (!box || box.width === 0) return from;
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    const share = clamp((x - SIDE) / (WIDTH - 2 * SIDE), 0, 1);
    const level = clamp(HIGH - ((y - SIDE) / (HEIGHT - 2 * SIDE)) * (HIGH - LOW), LOW, HIGH);
    return replaced(replaced(from, 2 * handle, snap(share)), 2 * handle + 1, snap(level));
  };
  const give = (event: KeyboardEvent, handle: 0 | 1) => {
    if (!numbers) return;
    const by = event.shiftKey ? 0.1 : 0.01;
    const step = { ArrowLeft: [-by, 0], ArrowRight: [by, 0], ArrowUp: [0, by], ArrowDown: [0, -by] }[
      event.key
    ];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    const x = clamp((numbers[2 * handle] as number) + (step[0] as number), 0, 1);
    const y = clamp((numbers[2 * handle + 1] as number) + (step[1] as number), -MAX_VALUE, MAX_VALUE);
    onSet(replaced(replaced(numbers, 2 * handle, x), 2 * handle + 1, y));
  };
  const cancel = () => {
    drag.current = null;
    onDraft(null);
  };

  return (
    <svg ref={svg} className="easing-graph" viewBox={`0 0 ${WIDTH} ${HEIGHT}`}>
      <title>{describe(shown)}</title>
      <rect className="easing-field" x={toX(0)} y={toY(1)} width={toX(1) - toX(0)} height={toY(0) - toY(1)} />
      <path className="easing-diagonal" d={`M${toX(0)} ${toY(0)}L${toX(1)} ${toY(1)}`} />
      <path className="easing-curve" d={curvePath(shown)} />
      {numbers &&
        ([0, 1] as const).map((handle) => {
          const x = toX(numbers[2 * handle] as number);
          const y = toY(clamp(numbers[2 * handle + 1] as number, LOW, HIGH));
          return (
            <g key={handle}>
              <path className="easing-arm" d={`M${toX(handle)} ${toY(handle)}L${x} ${y}`} />
              <g
                className="easing-handle"
                role="slider"
                tabIndex={0}
                aria-label={handle === 0 ? "First handle" : "Second handle"}
                aria-valuemin={0}
                aria-valuemax={1}
                aria-valuenow={numbers[2 * handle]}
                aria-valuetext={`time ${round(numbers[2 * handle] as number)}, way ${round(numbers[2 * handle + 1] as number)}`}
                transform={`translate(${x} ${y})`}
                onKeyDown={(event) => give(event, handle)}
                onPointerDown={(event) => {
                  if (event.button !== 0) return;
                  event.preventDefault();
                  event.currentTarget.focus();
                  event.currentTarget.setPointerCapture(event.pointerId);
                  drag.current = { handle, numbers };
                }}
                onPointerMove={(event) => {
                  const held = drag.current;
                  if (held?.handle !== handle) return;
                  held.numbers = place(event, handle, held.numbers);
                  onDraft(held.numbers);
                }}
                onPointerUp={() => {
                  const held = drag.current;
                  drag.current = null;
                  if (held && held.numbers !== numbers) onSet(held.numbers);
                  else if (held) onSet(numbers);
                }}
                onPointerCancel={cancel}
              >
                <circle className="easing-reach" r={14} />
                <circle className="easing-knob" r={5.5} />
              </g>
            </g>
          );
        })}
    </svg>
  );
}

/** A dot that moves as the easing says, so that a curve can be felt. */
function Runner({ easing }: { easing: Easing }) {
  const dot = useRef<HTMLSpanElement>(null);
  useEffect(() => {
    const numbers = bezierOf(easing);
    // jsdom has no animations.
    const running = dot.current?.animate?.(
      [
        { offset: 0, left: "0%", easing: numbers ? `cubic-bezier(${numbers.join(",")})` : "step-end" },
        { offset: 0.8, left: "100%" },
        { offset: 1, left: "100%" },
      ],
      { duration: 1600, iterations: calm() ? 1 : Number.POSITIVE_INFINITY },
    );
    return () => running?.cancel();
  }, [easing]);
  return (
    <div className="easing-runner" aria-hidden="true">
      <span ref={dot} />
    </div>
  );
}

const calm = () => window.matchMedia("(prefers-reduced-motion: reduce)").matches;

/** A small drawing of an easing. */
export function EasingIcon({ easing, size = 18 }: { easing: Easing; size?: number }) {
  return (
    <svg className="ui-icon" viewBox="0 0 20 20" width={size} height={size} fill="none" aria-hidden="true">
      <path d={smallPath(easing)} stroke="currentColor" strokeWidth={1.6} strokeLinecap="round" />
    </svg>
  );
}

function smallPath(easing: Easing): string {
  const numbers = bezierOf(easing);
  if (!numbers) return "M3 16.500H17V3.500";
  const [x1, y1, x2, y2] = numbers;
  const x = (value: number) => (3 + 14 * value).toFixed(1);
  const y = (value: number) => (16.5 - 13 * value).toFixed(1);
  return `M3 16.500C${x(x1)} ${y(y1)} ${x(x2)} ${y(y2)} 17 3.500`;
}

function curvePath(easing: Easing): string {
  const numbers = bezierOf(easing);
  if (!numbers) return `M${toX(0)} ${toY(0)}H${toX(1)}V${toY(1)}`;
  // Sampled rather than one Bézier, so that what is drawn is what `ease` computes.
  const parts: string[] = [];
  for (let step = 0; step <= 60; step++) {
    const x = step / 60;
    parts.push(`${toX(x).toFixed(2)} ${toY(clamp(ease(x, easing), LOW - 0.2, HIGH + 0.2)).toFixed(2)}`);
  }
  return `M${parts.join("L")}`;
}

function replaced(numbers: Bezier, place: number, value: number): Bezier {
  return numbers.map((each, k) => (k === place ? value : each)) as unknown as Bezier;
}

const round = (value: number) => Math.round(value * 1000) / 1000;
const snap = (value: number) => Math.round(value * 100) / 100;
