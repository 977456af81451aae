import { useState } from "react";
import type { Instruction, PathPoint } from "../motion/document";
import { controlPoints, routeOf } from "../motion/points";
import { editor, useEditor } from "../store/react";
import { applyChange } from "../timeline/actions";
import { passingFrames, withPointFrame } from "../timeline/timing";
import { Button, Icon, NumberField } from "../ui";

/** So many rows are shown at once; tracked paths have hundreds of points. */
const PAGE = 40;

/** The control points of an instruction as numbers: where, and for a route also when. */
export function PointsTable({ instruction, lastFrame }: { instruction: Instruction; lastFrame: number }) {
  const [page, setPage] = useState(0);
  const picked = useEditor((state) => state.points);
  const points = controlPoints(instruction);
  const timed = routeOf(instruction) !== undefined;
  const frames = timed ? passingFrames(instruction, lastFrame) : [];
  const pages = Math.ceil(points.length / PAGE);
  const first = Math.min(page, Math.max(0, pages - 1)) * PAGE;
  return (
    <div className="insp-points">
      <table data-timed={timed || undefined}>
        <thead>
          <tr>
            <th scope="col">#</th>
            <th scope="col">x</th>
            <th scope="col">y</th>
            {timed && <th scope="col">frame</th>}
            <th scope="col">
              <span className="visually-hidden">Remove</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {points.slice(first, first + PAGE).map((point, row) => (
            <PointRow
              // biome-ignore lint/suspicious/noArrayIndexKey: points have nothing but their order
              key={first + row}
              instruction={instruction}
              index={first + row}
              point={point}
              passed={frames[first + row]}
              picked={picked.includes(first + row)}
              isLast={points.length === 1}
            />
          ))}
        </tbody>
      </table>
      {pages > 1 && (
        <div className="insp-pages">
          <Button
            size="small"
            variant="quiet"
            disabled={first === 0}
            onClick={() => setPage(first / PAGE - 1)}
          >
            Earlier
          </Button>
          <span>
            {first + 1} to {Math.min(first + PAGE, points.length)} of {points.length}
          </span>
          <Button
            size="small"
            variant="quiet"
            disabled={first + PAGE >= points.length}
            onClick={() => setPage(first / PAGE + 1)}
          >
            Later
          </Button>
        </div>
      )}
    </div>
  );
}

interface PointRowProps {
  instruction: Instruction;
  index: number;
  point: PathPoint;
  /** undefined: the points of this kind have no time. */
  passed: number | undefined;
  picked: boolean;
  isLast: boolean;
}

function PointRow({ instruction, index, point, passed, picked, isLast }: PointRowProps) {
  const { id } = instruction;
  const name = `Point ${index + 1}`;
  const { setPoint, removePoints, selectPoints } = editor.getState();
  const setFrame = (frame: number | null) =>
    applyChange(
      [id],
      `Change time of a point of %`,
      (each, last) => withPointFrame(each, index, frame, last),
      `point frame ${index}`,
    );
  return (
    <tr data-picked={picked || undefined} onFocus={() => selectPoints([index])}>
      <th scope="row">{index + 1}</th>
      <td>
        <NumberField
          label={`${name} x`}
          hideLabel
          value={point.x}
          digits={1}
          onChange={(x) => setPoint(id, index, { ...point, x })}
        />
      </td>
      <td>
        <NumberField
          label={`${name} y`}
          hideLabel
          value={point.y}
          digits={1}
          onChange={(y) => setPoint(id, index, { ...point, y })}
        />
      </td>
      {passed !== undefined && (
        <td>
          <NumberField
            label={`${name} frame`}
            hideLabel
            value={point.frame ?? null}
            placeholder={passed.toFixed(1).replace(/\.0$/, "")}
            min={0}
            onChange={setFrame}
            onClear={() => setFrame(null)}
          />
        </td>
      )}
      <td>
        <button
          type="button"
          className="insp-remove"
          aria-label={`Remove point ${index + 1}`}
          disabled={isLast}
          onClick={() => removePoints(id, [index])}
        >
          <Icon name="close" size={13} />
        </button>
      </td>
    </tr>
  );
}
