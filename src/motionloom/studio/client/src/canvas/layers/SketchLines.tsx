// What is being drawn before it is an instruction, and the keyboard's crosshair.

import { memo } from "react";
import { useStage } from "../stageStore";
import { lineData, polygonData } from "./lines";

export const SketchLines = memo(function SketchLines() {
  return (
    <g className="sketch">
      <Sketched />
      <Ghost />
      <BrushCircle />
      <Crosshair />
      <Readout />
    </g>
  );
});

function Sketched() {
  const sketch = useStage((state) => state.sketch);
  switch (sketch?.kind) {
    case "line":
    case "area": {
      const data = lineData(sketch.points.flat(), sketch.kind === "area");
      return (
        <>
          {sketch.kind === "area" && <path className="area" d={data} />}
          <path className="casing" d={data} />
          <path className="line" d={data} />
        </>
      );
    }
    case "marquee": {
      const [x, y] = [Math.min(sketch.from[0], sketch.to[0]), Math.min(sketch.from[1], sketch.to[1])];
      const [width, height] = [
        Math.abs(sketch.from[0] - sketch.to[0]),
        Math.abs(sketch.from[1] - sketch.to[1]),
      ];
      return <rect className="marquee" x={x} y={y} width={width} height={height} />;
    }
    case "brush": {
      const [first] = sketch.points;
      const points =
        sketch.points.length === 1 && first ? [first, [first[0] + 0.01, first[1]]] : sketch.points;
      return (
        <path
          className="paint"
          data-erase={sketch.erase || undefined}
          d={lineData(points.flat())}
          strokeWidth={2 * sketch.radius}
        />
      );
    }
    default:
      return null;
  }
}

function Ghost() {
  const ghost = useStage((state) => state.ghost);
  return ghost && <path className="line ending" d={polygonData(ghost)} />;
}

function BrushCircle() {
  const brush = useStage((state) => state.brushAt);
  if (!brush) return null;
  const [x, y] = brush.at;
  return (
    <>
      <circle className="casing thin" cx={x} cy={y} r={brush.radius} />
      <circle className="brush-circle" cx={x} cy={y} r={brush.radius} />
    </>
  );
}

function Crosshair() {
  const at = useStage((state) => state.crosshair);
  if (!at) return null;
  const cross = "M-22 0H-6M6 0H22M0 -22V-6M0 6V22";
  return (
    <g transform={`translate(${at[0]} ${at[1]})`}>
      <g className="constant crosshair">
        <path className="casing" d={cross} />
        <path className="line" d={cross} />
        <circle className="core" r={2} />
      </g>
    </g>
  );
}

function Readout() {
  const readout = useStage((state) => state.readout);
  if (!readout) return null;
  const [x, y] = readout.at;
  return (
    <g transform={`translate(${x} ${y})`}>
      <g className="constant">
        <text className="readout" x={14} y={-14}>
          {readout.text}
        </text>
      </g>
    </g>
  );
}
