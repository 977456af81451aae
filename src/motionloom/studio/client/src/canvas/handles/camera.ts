// The camera as a viewfinder on the picture: the frame is what the camera sees at the end of the move. Dragging the
// frame pans and tilts, its corners zoom, the arm on top rolls.

import { lensOf, type Moves, planeHomography } from "../../motion/camera";
import type { Camera, CameraMove, XY } from "../../motion/document";
import { inverse } from "../../motion/matrices";
import type { Canvas } from "../../motion/shapes";
import { type Handle, onAxis } from "./handle";
import { endValue, rounded, withEndValue } from "./values";

const DEGREES = 180 / Math.PI;
/** Frames and handles farther away than this many pictures are of no use on the screen. */
const FARTHEST = 20;

export function endMoves(camera: Camera): Moves {
  const value = (name: CameraMove) => endValue(camera[name]);
  return {
    pan: value("pan"),
    tilt: value("tilt"),
    roll: value("roll"),
    zoom: value("zoom"),
    dolly: value("dolly"),
    truck: value("truck"),
    pedestal: value("pedestal"),
    orbit: value("orbit"),
  };
}

/**
 * Where a point of the moved camera's image lies on the picture, taken as a plane at the camera's depth. Undefined for
 * what does not meet the plane in front of the camera, or only far away.
 */
export function seenAt(camera: Camera, moves: Moves, canvas: Canvas, [x, y]: XY): XY | undefined {
  const back = inverse(planeHomography(lensOf(camera, canvas), moves));
  const w = back[6] * x + back[7] * y + back[8];
  if (!(w > 1e-6)) return undefined;
  const at: XY = [(back[0] * x + back[1] * y + back[2]) / w, (back[3] * x + back[4] * y + back[5]) / w];
  const far = FARTHEST * Math.max(canvas.width, canvas.height);
  return Math.abs(at[0]) < far && Math.abs(at[1]) < far ? at : undefined;
}

/** The corners of what the camera sees at the end, clockwise from the top left; undefined when it looks away. */
export function cameraFrame(camera: Camera, canvas: Canvas): readonly XY[] | undefined {
  const moves = endMoves(camera);
  const { width, height } = canvas;
  const corners = [
    [0, 0],
    [width, 0],
    [width, height],
    [0, height],
  ] as const;
  const seen = corners.map((corner) => seenAt(camera, moves, canvas, corner));
  return seen.every((corner) => corner !== undefined) ? (seen as XY[]) : undefined;
}

export function cameraHandles(camera: Camera, canvas: Canvas): Handle[] {
  const moves = endMoves(camera);
  const middle: XY = [canvas.width / 2, canvas.height / 2];
  const seen = (at: XY) => seenAt(camera, moves, canvas, at);
  const center = seen(middle);
  const frame = cameraFrame(camera, canvas);
  if (!center || !frame) return [];
  // Where the camera looks without pan and tilt: what Shift keeps level with.
  const straight = seenAt(camera, { ...moves, pan: 0, tilt: 0 }, canvas, middle) ?? middle;
  const handles: Handle[] = [
    {
      key: "aim",
      label: "pan and tilt",
      at: center,
      look: "center",
      from: middle,
      says: `pan ${rounded(moves.pan, 1)}°, tilt ${rounded(moves.tilt, 1)}°`,
      drag: (to, how) => {
        const { pan, tilt } = aimedAt(camera, moves, canvas, how.shift ? onAxis(straight, to) : to);
        return {
          ...camera,
          pan: withEndValue(camera.pan, rounded(pan)),
          tilt: withEndValue(camera.tilt, rounded(tilt)),
        };
      },
    },
  ];
  const names = ["top left", "top right", "bottom right", "bottom left"];
  frame.forEach((corner, k) => {
    handles.push({
      key: `zoom-${k}`,
      label: `zoom ${names[k]}`,
      at: corner,
      look: "corner",
      says: `zoom ${rounded(moves.zoom)} ×`,
      drag: (to, how) => {
        const before = Math.hypot(corner[0] - center[0], corner[1] - center[1]);
        const now = Math.hypot(to[0] - center[0], to[1] - center[1]);
        const zoom = Math.min(Math.max((moves.zoom * before) / Math.max(now, 1), 0.05), 50);
        const value = how.shift ? Math.max(Math.round(zoom * 10) / 10, 0.1) : rounded(zoom, 3);
        return { ...camera, zoom: withEndValue(camera.zoom, value) };
      },
    });
  });
  const top = seen([middle[0], canvas.height * 0.12]);
  if (top) {
    const before = Math.atan2(top[1] - center[1], top[0] - center[0]);
    let turnedBy = 0;
    handles.push({
      key: "roll",
      label: "roll",
      at: top,
      look: "turn",
      from: center,
      says: `roll ${rounded(moves.roll, 1)}°`,
      drag: (to, how) => {
        const turn = (Math.atan2(to[1] - center[1], to[0] - center[0]) - before) * DEGREES - turnedBy;
        turnedBy += turn - 360 * Math.round(turn / 360);
        const roll = moves.roll + turnedBy;
        return {
          ...camera,
          roll: withEndValue(camera.roll, how.shift ? Math.round(roll / 5) * 5 : rounded(roll, 1)),
        };
      },
    });
  }
  return handles;
}

/** Pan and tilt, in degrees, with which the middle of the image comes to lie at `to` on the picture. */
function aimedAt(camera: Camera, moves: Moves, canvas: Canvas, to: XY): { pan: number; tilt: number } {
  const { focal } = lensOf(camera, canvas);
  const middle: XY = [canvas.width / 2, canvas.height / 2];
  const straight = seenAt(camera, { ...moves, pan: 0, tilt: 0 }, canvas, middle) ?? middle;
  let aim = to;
  let found = { pan: moves.pan, tilt: moves.tilt };
  // Exact at once for a camera that only turns; one that moved as well is nearer or farther, which a few steps even out.
  for (let step = 0; step < 8; step += 1) {
    const pan = Math.atan2(aim[0] - straight[0], focal) * DEGREES;
    const tilt = -Math.atan2((aim[1] - straight[1]) * Math.cos(pan / DEGREES), focal) * DEGREES;
    const got = seenAt(camera, { ...moves, pan, tilt }, canvas, middle);
    if (!got) break;
    found = { pan, tilt };
    aim = [aim[0] + to[0] - got[0], aim[1] + to[1] - got[1]];
  }
  return found;
}
