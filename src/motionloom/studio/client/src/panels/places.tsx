// Fields for places and rectangles, in canvas pixels.

import type { Rectangle, XY } from "../motion/document";
import { NumberField } from "../ui";

const LIMIT = 1_000_000;

/** x and y side by side. */
export function PlaceFields({
  label,
  value,
  onChange,
}: {
  label: string;
  value: XY;
  onChange(value: XY): void;
}) {
  return (
    <fieldset className="insp-pair" aria-label={label}>
      <legend>{label}</legend>
      <NumberField
        label={`${label} x`}
        hideLabel
        unit="x"
        value={value[0]}
        min={-LIMIT}
        max={LIMIT}
        onChange={(x) => onChange([x, value[1]])}
      />
      <NumberField
        label={`${label} y`}
        hideLabel
        unit="y"
        value={value[1]}
        min={-LIMIT}
        max={LIMIT}
        onChange={(y) => onChange([value[0], y])}
      />
    </fieldset>
  );
}

export function RectangleFields({
  label,
  value,
  onChange,
}: {
  label: string;
  value: Rectangle;
  onChange(value: Rectangle): void;
}) {
  const set = (change: Partial<Rectangle>) => onChange({ ...value, ...change });
  return (
    <>
      <PlaceFields
        label={`${label} corner`}
        value={[value.x, value.y]}
        onChange={([x, y]) => set({ x, y })}
      />
      <fieldset className="insp-pair" aria-label={`${label} size`}>
        <legend>{label} size</legend>
        <NumberField
          label={`${label} width`}
          hideLabel
          unit="w"
          value={value.width}
          min={0.01}
          max={LIMIT}
          onChange={(width) => set({ width })}
        />
        <NumberField
          label={`${label} height`}
          hideLabel
          unit="h"
          value={value.height}
          min={0.01}
          max={LIMIT}
          onChange={(height) => set({ height })}
        />
      </fieldset>
    </>
  );
}
