// A camera instruction as geometry, as motionloom/tracks/camera.py has it (x right, y down, z forward). A depth map is
// shown as a plane at a middle depth here; the server follows the map itself.

import { DEFAULT_FOV } from "./defaults";
import type { Camera } from "./document";
import { clip, inverse, type Matrix, multiply, NEAR_SHARE, rotation, transposed } from "./matrices";
import type { Canvas } from "./shapes";

/** The moves of a camera at one moment. */
export type Moves = Readonly<
  Record<"pan" | "tilt" | "roll" | "zoom" | "dolly" | "truck" | "pedestal" | "orbit", number>
>;

/** World to camera: turn, then shift. */
interface Pose {
  readonly turn: Matrix;
  readonly shift: readonly [number, number, number];
}

export interface Lens {
  readonly focal: number;
  readonly cx: number;
  readonly cy: number;
  readonly depth: number;
  readonly orbitDepth: number;
}

export function lensOf(camera: Camera, canvas: Canvas): Lens {
  const fov = camera.fov ?? DEFAULT_FOV;
  const focal = camera.focal ?? canvas.width / (2 * Math.tan((fov * Math.PI) / 180 / 2));
  const depth = middleDepth(camera.depth);
  return {
    focal,
    cx: canvas.width / 2,
    cy: canvas.height / 2,
    depth,
    orbitDepth: camera.orbit_depth ?? depth,
  };
}

/** Of a depth map: half way between near and far, in the way the map is encoded. */
function middleDepth(depth: Camera["depth"]): number {
  if (typeof depth === "number") return depth;
  const number = (name: string, other: number) => (typeof depth[name] === "number" ? depth[name] : other);
  const near = number("near", 1);
  const far = number("far", 5);
  if (depth.encoding === "metric") return number("scale", 1);
  return depth.encoding === "disparity" ? 2 / (1 / near + 1 / far) : (near + far) / 2;
}

function pose(moves: Moves, orbitDepth: number): Pose {
  const around = rotation(1, -moves.orbit);
  const [x, y, z] = [moves.truck, -moves.pedestal, moves.dolly - orbitDepth];
  const position = [
    around[0] * x + around[1] * y + around[2] * z,
    around[3] * x + around[4] * y + around[5] * z,
    orbitDepth + around[6] * x + around[7] * y + around[8] * z,
  ] as const;
  const turned = multiply(
    multiply(multiply(around, rotation(1, moves.pan)), rotation(0, moves.tilt)),
    rotation(2, moves.roll),
  );
  const turn = transposed(turned);
  const shift = [0, 1, 2].map(
    (k) =>
      -(
        (turn[3 * k] as number) * position[0] +
        (turn[3 * k + 1] as number) * position[1] +
        (turn[3 * k + 2] as number) * position[2]
      ),
  );
  return { turn, shift: shift as unknown as Pose["shift"] };
}

const zoomOf = (moves: Moves) => Math.max(moves.zoom, 1e-3);

/** Where a point of the picture goes: x, y, 1 when it is in front of the camera and inside the picture, else 0. */
export function projector(
  lens: Lens,
  moves: Moves,
  canvas: Canvas,
): (x: number, y: number) => readonly [number, number, 0 | 1] {
  const { turn, shift } = pose(moves, lens.orbitDepth);
  const focal = lens.focal * zoomOf(moves);
  return (px, py) => {
    const x = ((px - lens.cx) / lens.focal) * lens.depth;
    const y = ((py - lens.cy) / lens.focal) * lens.depth;
    const z = lens.depth;
    const u = turn[0] * x + turn[1] * y + turn[2] * z + shift[0];
    const v = turn[3] * x + turn[4] * y + turn[5] * z + shift[1];
    const w = turn[6] * x + turn[7] * y + turn[8] * z + shift[2];
    if (!(w > NEAR_SHARE * lens.depth)) return [px, py, 0];
    const atX = clip((focal * u + lens.cx * w) / w);
    const atY = clip((focal * v + lens.cy * w) / w);
    return [atX, atY, atX >= 0 && atX < canvas.width && atY >= 0 && atY < canvas.height ? 1 : 0];
  };
}

/** From the picture's pixels to those of the moved camera, for the plane at a depth. */
export function planeHomography(lens: Lens, moves: Moves): Matrix {
  const { turn, shift } = pose(moves, lens.orbitDepth);
  const inside: Matrix = [
    turn[0],
    turn[1],
    turn[2] + shift[0] / lens.depth,
    turn[3],
    turn[4],
    turn[5] + shift[1] / lens.depth,
    turn[6],
    turn[7],
    turn[8] + shift[2] / lens.depth,
  ];
  const focal = lens.focal * zoomOf(moves);
  const image: Matrix = [focal, 0, lens.cx, 0, focal, lens.cy, 0, 0, 1];
  const picture: Matrix = [lens.focal, 0, lens.cx, 0, lens.focal, lens.cy, 0, 0, 1];
  return multiply(multiply(image, inside), inverse(picture));
}
