import type { Camera } from "../motion/document";
import { curveFields } from "../timeline/curves";
import { Checkbox, NumberField } from "../ui";
import { CurveFields } from "./CurveFields";
import { Fold, Section } from "./Section";
import type { SetStep } from "./ShapeFields";

/** The moves of a camera, its lens, and what it looks at. */
export function CameraFields({ camera, set }: { camera: Camera; set: SetStep<Camera> }) {
  const plane = typeof camera.depth === "number" ? camera.depth : null;
  return (
    <>
      <Section title="Camera moves">
        {curveFields(camera).map((field) => (
          <CurveFields key={field.field} instruction={camera} field={field} />
        ))}
        <Checkbox
          label="Include objects"
          hint="The camera moves what other instructions draw as well"
          checked={camera.include_objects}
          onChange={(include_objects) =>
            set(include_objects ? "Include objects in %" : "Leave objects out of %", (each) => ({
              ...each,
              include_objects,
            }))
          }
        />
      </Section>
      <Fold
        title="Lens and scene"
        summary={camera.focal === undefined ? `${camera.fov ?? 50}°` : `${camera.focal} px`}
      >
        <div className="insp-two">
          <NumberField
            label="Field of view"
            unit="°"
            value={camera.fov ?? null}
            placeholder={camera.focal === undefined ? "50" : "by focal length"}
            min={0.01}
            max={179.9}
            onChange={(fov) => set("Change lens of %", ({ focal: _, ...each }) => ({ ...each, fov }), "fov")}
            onClear={() => set("Reset lens of %", ({ fov: _, ...each }) => each)}
          />
          <NumberField
            label="Focal length"
            unit="px"
            value={camera.focal ?? null}
            placeholder="by view"
            min={0.01}
            onChange={(focal) =>
              set("Change lens of %", ({ fov: _, ...each }) => ({ ...each, focal }), "focal")
            }
            onClear={() => set("Reset lens of %", ({ focal: _, ...each }) => each)}
          />
          {plane === null ? (
            <p className="insp-hint">Depth comes from a depth map.</p>
          ) : (
            <NumberField
              label="Depth of the plane"
              value={plane}
              min={0.001}
              step={0.1}
              digits={3}
              onChange={(depth) => set("Change depth of %", (each) => ({ ...each, depth }), "depth")}
            />
          )}
          <NumberField
            label="Orbit depth"
            value={camera.orbit_depth ?? null}
            placeholder={plane === null ? "middle" : String(plane)}
            min={0.001}
            step={0.1}
            digits={3}
            onChange={(orbit_depth) =>
              set("Change orbit of %", (each) => ({ ...each, orbit_depth }), "orbit")
            }
            onClear={() => set("Reset orbit of %", ({ orbit_depth: _, ...each }) => each)}
          />
          <NumberField
            label="Spacing"
            unit="px"
            value={camera.spacing}
            min={1}
            onChange={(spacing) => set("Change spacing of %", (each) => ({ ...each, spacing }), "spacing")}
          />
          <NumberField
            label="Tolerance"
            value={camera.tolerance}
            min={0}
            max={10}
            step={0.01}
            digits={3}
            onChange={(tolerance) =>
              set("Change tolerance of %", (each) => ({ ...each, tolerance }), "tolerance")
            }
          />
        </div>
      </Fold>
    </>
  );
}
