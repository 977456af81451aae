import type { Box, Circle, CurveKind, Instruction, Region, Rotate, Route, Static } from "../motion/document";
import { controlPoints, routeOf } from "../motion/points";
import { applyChange } from "../timeline/actions";
import { curveFields } from "../timeline/curves";
import { Button, Checkbox, NumberField, Select } from "../ui";
import { CameraFields } from "./CameraFields";
import { CurveFields } from "./CurveFields";
import { PointsTable } from "./PointsTable";
import { PlaceFields, RectangleFields } from "./places";
import { Fold, Section } from "./Section";

const CURVES: readonly { value: CurveKind; label: string }[] = [
  { value: "catmull-rom", label: "Smooth" },
  { value: "polyline", label: "Straight" },
  { value: "bezier", label: "Bézier handles" },
];

/** One step of the history on the instruction that is shown. */
export type SetStep<Kind extends Instruction> = (
  verb: string,
  change: (each: Kind) => Instruction,
  key?: string,
) => void;

/** The numbers of an instruction's kind. */
export function ShapeFields({ instruction, lastFrame }: { instruction: Instruction; lastFrame: number }) {
  const { id, kind } = instruction;
  const set = <Kind extends Instruction>(verb: string, change: (each: Kind) => Instruction, key?: string) =>
    applyChange([id], verb, (each) => (each.kind === kind ? change(each as Kind) : each), key);
  return (
    <>
      {instruction.kind === "circle" && <CircleFields circle={instruction} set={set} />}
      {instruction.kind === "static" && <StaticFields instruction={instruction} set={set} />}
      {instruction.kind === "box" && <BoxFields box={instruction} set={set} />}
      {instruction.kind === "region" && <RegionFields region={instruction} set={set} />}
      {instruction.kind === "rotate" && <RotateFields rotate={instruction} set={set} />}
      {instruction.kind === "camera" && <CameraFields camera={instruction} set={set} />}
      <RouteFields instruction={instruction} lastFrame={lastFrame} />
    </>
  );
}

/** The control points, and what runs through them. */
function RouteFields({ instruction, lastFrame }: { instruction: Instruction; lastFrame: number }) {
  const route = routeOf(instruction);
  const points = controlPoints(instruction);
  if (points.length === 0) return null;
  const setCurve = (curve: CurveKind) =>
    applyChange([instruction.id], "Change curve of %", (each) => {
      if (each.kind === "path") return { ...each, curve };
      if ((each.kind === "region" || each.kind === "box") && each.path) {
        return { ...each, path: { ...each.path, curve } satisfies Route };
      }
      return each;
    });
  return (
    <>
      {route && (
        <Section title={instruction.kind === "path" ? "Path" : "Path it follows"}>
          <Select label="Curve" layout="row" value={route.curve} options={CURVES} onChange={setCurve} />
        </Section>
      )}
      <Fold title="Points" summary={`${points.length}`}>
        <PointsTable instruction={instruction} lastFrame={lastFrame} />
      </Fold>
    </>
  );
}

function CircleFields({ circle, set }: { circle: Circle; set: SetStep<Circle> }) {
  const [radius] = curveFields(circle);
  return (
    <Section title="Circle">
      <PlaceFields
        label="Centre"
        value={circle.center}
        onChange={(center) => set("Move %", (each) => ({ ...each, center }), "centre")}
      />
      <NumberField
        label="Radius at first"
        layout="row"
        unit="px"
        value={circle.radius}
        min={0.01}
        onChange={(value) => set("Change radius of %", (each) => ({ ...each, radius: value }), "radius")}
      />
      {radius && <CurveFields instruction={circle} field={{ ...radius, label: "Radius" }} />}
      {circle.angles ? (
        <div className="insp-line">
          <span>{circle.angles.length} points at angles of their own</span>
          <Button
            size="small"
            onClick={() =>
              set("Spread points of %", ({ angles, ...each }) => ({
                ...each,
                count: angles?.length ?? each.count,
              }))
            }
          >
            Spread evenly
          </Button>
        </div>
      ) : (
        <NumberField
          label="Count"
          hint="Points, evenly around"
          layout="row"
          value={circle.count}
          min={1}
          max={4096}
          digits={0}
          onChange={(count) => set("Change count of %", (each) => ({ ...each, count }), "count")}
        />
      )}
    </Section>
  );
}

function StaticFields({ instruction, set }: { instruction: Static; set: SetStep<Static> }) {
  const { grid } = instruction;
  return (
    <Section title="Anchors">
      <Checkbox
        label="Pin the rest"
        hint="A grid of points that stay, wherever nothing else moves"
        checked={grid !== undefined}
        disabled={grid !== undefined && instruction.points.length === 0}
        onChange={(on) =>
          set(on ? "Pin the rest with %" : "Remove grid of %", ({ grid: _, ...each }) =>
            on ? { ...each, grid: { spacing: 64 } } : each,
          )
        }
      />
      {grid && (
        <div className="insp-two">
          <NumberField
            label="Grid spacing"
            unit="px"
            value={grid.spacing}
            min={1}
            max={65_536}
            onChange={(spacing) =>
              set("Change grid of %", (each) => ({ ...each, grid: { ...grid, spacing } }), "spacing")
            }
          />
          <NumberField
            label="Margin"
            unit="px"
            value={grid.margin ?? null}
            placeholder={String(grid.spacing / 2)}
            min={0}
            max={65_536}
            onChange={(margin) =>
              set("Change grid of %", (each) => ({ ...each, grid: { ...grid, margin } }), "margin")
            }
            onClear={() => {
              const { margin: _, ...rest } = grid;
              set("Change grid of %", (each) => ({ ...each, grid: rest }));
            }}
          />
        </div>
      )}
    </Section>
  );
}

function BoxFields({ box, set }: { box: Box; set: SetStep<Box> }) {
  return (
    <Section title="Box">
      <RectangleFields
        label="Source"
        value={box.source}
        onChange={(source) => set("Change source of %", (each) => ({ ...each, source }), "source")}
      />
      {box.target ? (
        <>
          <RectangleFields
            label="Target"
            value={box.target}
            onChange={(target) => set("Change target of %", (each) => ({ ...each, target }), "target")}
          />
          <Button
            size="small"
            variant="quiet"
            onClick={() => set("Remove target of %", ({ target: _, ...each }) => each)}
          >
            Remove the target
          </Button>
        </>
      ) : (
        <Button
          size="small"
          icon="plus"
          onClick={() => set("Add target to %", (each) => ({ ...each, target: each.source }))}
        >
          Add a target
        </Button>
      )}
      <NumberField
        label="Spacing"
        hint="Of points inside; empty: corners and centre alone"
        layout="row"
        unit="px"
        value={box.spacing ?? null}
        placeholder="none"
        min={1}
        onChange={(spacing) => set("Change spacing of %", (each) => ({ ...each, spacing }), "spacing")}
        onClear={() => set("Change spacing of %", ({ spacing: _, ...each }) => each)}
      />
    </Section>
  );
}

function RegionFields({ region, set }: { region: Region; set: SetStep<Region> }) {
  return (
    <Section
      title="Region"
      aside={
        <span className="insp-summary">
          {region.polygon ? `${region.polygon.length} corners` : "Painted mask"}
        </span>
      }
    >
      {curveFields(region).map((field) => (
        <CurveFields key={field.field} instruction={region} field={field} />
      ))}
      {region.pivot ? (
        <div className="insp-with-remove">
          <PlaceFields
            label="Pivot"
            value={region.pivot}
            onChange={(pivot) => set("Move pivot of %", (each) => ({ ...each, pivot }), "pivot")}
          />
          <Button
            size="small"
            variant="quiet"
            onClick={() => set("Reset pivot of %", ({ pivot: _, ...each }) => each)}
          >
            Back to the middle
          </Button>
        </div>
      ) : (
        <div className="insp-line">
          <span>Turns about its middle</span>
          <Button
            size="small"
            disabled={!region.polygon}
            title={region.polygon ? undefined : "Drag the pivot on the picture"}
            onClick={() => set("Set pivot of %", (each) => ({ ...each, pivot: middle(each.polygon ?? []) }))}
          >
            Set a pivot
          </Button>
        </div>
      )}
      <SpacingField
        value={region.spacing}
        onChange={(spacing) => set("Change spacing of %", (each) => ({ ...each, spacing }), "spacing")}
      />
    </Section>
  );
}

function RotateFields({ rotate, set }: { rotate: Rotate; set: SetStep<Rotate> }) {
  return (
    <Section title="Rotation">
      <PlaceFields
        label="Centre"
        value={rotate.center}
        onChange={(center) => set("Move centre of %", (each) => ({ ...each, center }), "centre")}
      />
      {curveFields(rotate).map((field) => (
        <CurveFields key={field.field} instruction={rotate} field={field} />
      ))}
      {rotate.region && (
        <SpacingField
          value={rotate.spacing}
          onChange={(spacing) => set("Change spacing of %", (each) => ({ ...each, spacing }), "spacing")}
        />
      )}
    </Section>
  );
}

function SpacingField({ value, onChange }: { value: number; onChange(value: number): void }) {
  return (
    <NumberField
      label="Spacing"
      hint="Of the points that cover it"
      layout="row"
      unit="px"
      value={value}
      min={1}
      max={65_536}
      onChange={onChange}
    />
  );
}

function middle(polygon: readonly (readonly [number, number])[]): readonly [number, number] {
  const xs = polygon.map(([x]) => x);
  const ys = polygon.map(([, y]) => y);
  return [(Math.min(...xs) + Math.max(...xs)) / 2, (Math.min(...ys) + Math.max(...ys)) / 2];
}
