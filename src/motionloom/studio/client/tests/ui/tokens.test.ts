import { expect, test } from "vitest";
import css from "../../src/ui/tokens.css?raw";

// WCAG 2.2 AA: text 4.5 to 1, the outlines by which fields and the focus are known 3 to 1.
type Color = readonly [number, number, number, number];

function themed(theme: 0 | 1): Record<string, Color> {
  const found: Record<string, Color> = {};
  for (const [, name = "", ...both] of css.matchAll(
    /--color-([\w-]+): light-dark\((#[0-9a-f]{6}|rgb\([^)]*\)), (#[0-9a-f]{6}|rgb\([^)]*\))\)/g,
  ))
    found[name] = parse(both[theme] ?? "");
  return found;
}
function parse(text: string): Color {
  if (text.startsWith("#")) {
    const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(text.slice(at, at + 2), 16));
    return [r ?? 0, g ?? 0, b ?? 0, 1];
  }
  const [r, g, b, a] = (text.match(/[\d.]+/g) ?? []).map(Number);
  return [r ?? 0, g ?? 0, b ?? 0, (a ?? 100) / 100];
}
function over(top: Color, below: Color): Color {
  const mix = (at: 0 | 1 | 2) => top[at] * top[3] + below[at] * (1 - top[3]);
  return [mix(0), mix(1), mix(2), 1];
}
function luminance([r, g, b]: Color): number {
  const linear = (value: number) =>
    value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  return 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
}
function contrast(one: Color, two: Color): number {
  const [low = 0, high = 0] = [luminance(one), luminance(two)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

const TEXTS = ["text", "muted", "accent", "accent-hover", "danger", "warn", "good"];
const GROUNDS = [
  "bg",
  "canvas",
  "surface",
  "raised",
  "field",
  "accent-soft",
  "danger-soft",
  "warn-soft",
  "good-soft",
];

test.each([
  ["light", 0],
  ["dark", 1],
] as const)("every text can be read on every ground, %s", (_, theme) => {
  const colors = themed(theme);
  const color = (name: string): Color => colors[name] ?? expect.fail(`no --color-${name}`);
  const faint: string[] = [];
  const check = (name: string, front: Color, ground: string, behind: Color, enough: number) => {
    const ratio = contrast(front, behind);
    if (ratio < enough) faint.push(`${name} on ${ground}: ${ratio.toFixed(2)}`);
  };
  for (const ground of GROUNDS)
    for (const name of TEXTS) {
      check(name, color(name), ground, color(ground), 4.5);
      check(name, color(name), `${ground}, pointed at`, over(color("hover"), color(ground)), 4.5);
    }
  for (const accent of ["accent", "accent-hover"])
    check("on-accent", color("on-accent"), accent, color(accent), 4.5);
  for (const line of ["line-field", "line-strong", "focus"])
    for (const ground of ["surface", "raised", "field"]) check(line, color(line), ground, color(ground), 3);
  expect(faint).toEqual([]);
});
