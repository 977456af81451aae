"""From instructions to points: every instruction of a motion, traced over time on its canvas.

Everything here is float64 in canvas pixels and in frames of the motion; scaling to the wanted size comes last.
Legend: T times, N points of one instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import singledispatch
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError, MotionloomError
from motionloom.tracks import camera as geometry
from motionloom.tracks.assets import Folder, read_depth, read_mask
from motionloom.tracks.easing import ease, keyframed, progress
from motionloom.tracks.instructions import (
    Area,
    Box,
    Camera,
    Circle,
    DepthMap,
    FreePath,
    Instruction,
    Keyframe,
    Region,
    Rotate,
    Route,
    Static,
    ValueCurve,
)
from motionloom.tracks.paths import flatten, travel
from motionloom.tracks.shapes import Mask, Polygon, Shape, fill, lattice, rectangle
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

Array = NDArray[np.float64]

MAX_POINTS = 20_000_000
DEFAULT_FOV = 50.0
# Frames that differ by less are the same moment: other rates give frames such as 23.999999999.
SAME_FRAME = 1e-6


@dataclass(frozen=True, eq=False)
class Scene:
    """What instructions are traced against: the canvas, the moments wanted, and where files lie."""

    canvas: tuple[int, int]
    times: Array
    last_frame: float
    folder: Folder = field(default_factory=Folder)

    def span(self, instruction: Instruction) -> tuple[float, float]:
        """Start and end of an instruction in frames."""
        frames = _route_frames(instruction)
        start, end = instruction.start, instruction.end
        if start is None:
            start = frames[0] if frames and frames[0] is not None else 0.0
        if end is None:
            end = frames[-1] if len(frames) > 1 and frames[-1] is not None else max(self.last_frame, start)
        if end < start:
            raise InputError(f"end: found {end:g} before start {start:g}")
        return start, end

    def curve(self, value: ValueCurve, instruction: Instruction, neutral: float) -> Array:
        """A value over time [T]: from ``neutral`` to a number with the instruction's easing, or by keyframes."""
        if isinstance(value, tuple):
            keys = [key for key in value if isinstance(key, Keyframe)]
            frames = [key.frame for key in keys]
            if any(later <= earlier for earlier, later in pairwise(frames)):
                raise InputError(f"keyframes: found frames {frames}, expected them to increase")
            return keyframed(self.times, frames, [key.value for key in keys], [key.easing for key in keys])
        return neutral + (float(value) - neutral) * ease(
            progress(self.times, *self.span(instruction)), instruction.easing
        )

    def route(self, route: Route, instruction: Instruction) -> Array:
        """Positions [T, 2] on a route."""
        points = np.array([(point.x, point.y) for point in route.points])
        into = np.array([point.handle_in or (0.0, 0.0) for point in route.points])
        out = np.array([point.handle_out or (0.0, 0.0) for point in route.points])
        frames = [point.frame for point in route.points]
        return travel(
            flatten(points, route.curve, into, out), self.times, frames, *self.span(instruction), instruction.easing
        )

    def afford(self, count: int) -> None:
        """Refuses more points than memory should hold, before they are made."""
        if count * len(self.times) > MAX_POINTS:
            raise InputError(
                f"{count} tracks in {len(self.times)} frames are more than {MAX_POINTS} points in all; "
                "choose a wider spacing or fewer frames"
            )

    def shape(self, area: Area) -> Shape:
        if area.polygon is not None:
            return Polygon(np.array(area.polygon, np.float64), self.canvas)
        assert area.mask is not None
        return Mask(read_mask(area.mask, self.folder), self.canvas)


def _route_frames(instruction: Instruction) -> list[float | None]:
    route = instruction if isinstance(instruction, FreePath) else getattr(instruction, "path", None)
    return [point.frame for point in route.points] if isinstance(route, Route) else []


@dataclass(frozen=True, eq=False)
class Trace:
    """An instruction over time.

    Args:
        instruction: where it comes from.
        points: float64 [T, N, 2] canvas pixels; visible: bool [T, N].
        shape: the area of the picture that moves as one, or None.
        transform: float64 [T, 3, 3], from the picture to frame t, for points that move as one; None for the others.
    """

    instruction: Instruction
    points: Array
    visible: NDArray[np.bool_]
    shape: Shape | None = None
    transform: Array | None = None


def timeline(num_frames: int, fps: float, wanted_frames: int | None, wanted_fps: float | None) -> tuple[Array, float]:
    """The moments to compile, in frames of the motion [T], and the rate they are played at. As `Tracks.resample`."""
    last = num_frames - 1
    if wanted_frames is not None and not 1 <= wanted_frames <= MAX_FRAMES:
        raise InputError(f"num_frames: found {wanted_frames}, expected 1 to {MAX_FRAMES}")
    if wanted_fps is not None and not (np.isfinite(wanted_fps) and wanted_fps > 0):
        raise InputError(f"fps: found {wanted_fps}, expected a number above zero")
    if wanted_fps is None:
        if wanted_frames is None or wanted_frames == num_frames:
            return np.arange(num_frames, dtype=np.float64), fps
        times = np.linspace(0.0, last, wanted_frames) if wanted_frames > 1 else np.zeros(1)
        return times, fps * (wanted_frames - 1) / last if last and wanted_frames > 1 else fps
    if wanted_frames is None:
        wanted_frames = int(np.floor(last / fps * wanted_fps + SAME_FRAME)) + 1
        if wanted_frames > MAX_FRAMES:
            raise InputError(f"fps: {wanted_fps:g} makes {wanted_frames} frames, expected at most {MAX_FRAMES}")
    return np.minimum(np.arange(wanted_frames) * (fps / wanted_fps), float(last)), wanted_fps


def trace_motion(motion: Motion, times: Array, *, occlusion: bool) -> list[Trace]:
    """Every instruction that is not hidden, in order.

    Args:
        times: float64 [T] in frames of the motion.
        occlusion: points become invisible where an area in front of them covers them.

    Raises:
        InputError, FileFormatError: an instruction that cannot be traced; the message begins with its id.
    """
    scene = Scene((motion.canvas.height, motion.canvas.width), times, float(motion.num_frames - 1), motion.folder)
    shown = [instruction for instruction in motion.instructions if not instruction.hidden]
    traces: list[Trace] = []
    count = 0
    grids: list[tuple[int, Instruction]] = []
    for place, instruction in enumerate(shown):
        if isinstance(instruction, Camera) or (isinstance(instruction, Static) and instruction.grid is not None):
            grids.append((place, instruction))
        else:
            traces.append(_named(instruction, trace, scene))
            count += traces[-1].points.shape[1]
            scene.afford(count)
    # Grids keep clear of everything else, so they come when everything else is known.
    others = list(traces)
    for place, instruction in grids:
        traces.insert(place, _named(instruction, _trace_grid, scene, others))
        count += traces[place].points.shape[1]
        scene.afford(count)
    traces = _apply_cameras(traces, scene)
    traces = [_pan(found, motion, times) for found in traces]
    return _occlude(traces) if occlusion else traces


def _named(instruction: Instruction, step, *arguments) -> Trace:
    try:
        return step(instruction, *arguments)
    except MotionloomError as error:
        raise type(error)(f"instruction {instruction.id!r}: {error}") from None


def window(scene: Scene, instruction: Instruction, count: int) -> NDArray[np.bool_]:
    """bool [T, count]: when an instruction's points are there at all."""
    start, end = scene.span(instruction)
    there = np.ones(len(scene.times), np.bool_)
    if instruction.before == "vanish":
        there &= scene.times >= start - SAME_FRAME
    if instruction.after == "vanish":
        there &= scene.times <= end + SAME_FRAME
    return np.repeat(there[:, None], count, axis=1)


def assemble(
    traces: Sequence[Trace], num_frames: int, canvas: tuple[int, int], size: tuple[int, int], fps: float
) -> Tracks:
    """Traces as tracks on a canvas scaled to ``size`` (height, width)."""
    if not traces:
        return Tracks.empty(num_frames, size, fps)
    scale = np.array([size[1] / canvas[1], size[0] / canvas[0]])
    points = np.concatenate([found.points for found in traces], axis=1) * scale
    visible = np.concatenate([found.visible for found in traces], axis=1)
    return Tracks(points.astype(np.float32), visible, size, fps)


# ----------------------------------------------------------------------------------------------- single instructions
@singledispatch
def trace(instruction: Instruction, scene: Scene) -> Trace:
    """An instruction's points over time."""
    raise TypeError(f"no way to trace {type(instruction).__name__}")


@trace.register
def _(instruction: FreePath, scene: Scene) -> Trace:
    return Trace(instruction, scene.route(instruction, instruction)[:, None], window(scene, instruction, 1))


@trace.register
def _(instruction: Circle, scene: Scene) -> Trace:
    degrees = instruction.angles or np.arange(instruction.count) * (360.0 / instruction.count)
    angles = np.radians(np.asarray(degrees, np.float64))
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    radius = scene.curve(instruction.radius_curve, instruction, instruction.radius)
    points = np.array(instruction.center) + radius[:, None, None] * rays
    return Trace(instruction, points, window(scene, instruction, len(rays)))


@trace.register
def _(instruction: Static, scene: Scene) -> Trace:
    points = np.array(instruction.points, np.float64).reshape(-1, 2)
    return _still(instruction, points, scene)


@trace.register
def _(instruction: Box, scene: Scene) -> Trace:
    source, target = instruction.source, instruction.target or instruction.source
    x, y, width, height = source.x, source.y, source.width, source.height
    middle = np.array([x + width / 2, y + height / 2])
    part = ease(progress(scene.times, *scene.span(instruction)), instruction.easing)
    scale = np.stack([1 + part * (target.width / width - 1), 1 + part * (target.height / height - 1)], axis=1)
    if instruction.path is not None:
        route = scene.route(instruction.path, instruction)
        first = instruction.path.points[0]
        shift = route - [first.x, first.y]
    else:
        end = np.array([target.x + target.width / 2, target.y + target.height / 2])
        shift = part[:, None] * (end - middle)
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    points = np.array([*corners, middle])
    if instruction.spacing is not None:
        inner = lattice(x, y, x + width, y + height, instruction.spacing)
        points = np.concatenate([points, inner[np.abs(inner - middle).max(axis=1) > 1e-6]])
    shape = rectangle(x, y, width, height, scene.canvas)
    return _rigid(instruction, points, shape, _affine(middle, shift, scale, np.zeros(len(part))), scene)


@trace.register
def _(instruction: Region, scene: Scene) -> Trace:
    shape = scene.shape(instruction)
    pivot = np.array(instruction.pivot) if instruction.pivot is not None else shape.centroid()
    shift = np.zeros((len(scene.times), 2))
    if instruction.path is not None:
        first = instruction.path.points[0]
        shift = scene.route(instruction.path, instruction) - [first.x, first.y]
    scale = np.repeat(scene.curve(instruction.scale, instruction, 1.0)[:, None], 2, axis=1)
    angle = scene.curve(instruction.rotation, instruction, 0.0)
    points = fill(shape, instruction.spacing, scene.canvas)
    return _rigid(instruction, points, shape, _affine(pivot, shift, scale, angle), scene)


@trace.register
def _(instruction: Rotate, scene: Scene) -> Trace:
    shape = scene.shape(instruction.region) if instruction.region is not None else None
    if shape is not None:
        points = fill(shape, instruction.spacing, scene.canvas)
    else:
        points = np.array(instruction.points, np.float64)
    angle = scene.curve(instruction.angle, instruction, 0.0)
    still = np.zeros((len(angle), 2))
    transform = _affine(np.array(instruction.center), still, still + 1.0, angle)
    return _rigid(instruction, points, shape, transform, scene)


def _affine(pivot: Array, shift: Array, scale: Array, degrees: Array) -> Array:
    """[T, 3, 3]: scale [T, 2] and turn [T] about the pivot [2], then shift [T, 2]."""
    angle = np.radians(degrees)
    result = np.zeros((len(angle), 3, 3))
    result[:, 0, 0], result[:, 0, 1] = np.cos(angle) * scale[:, 0], -np.sin(angle) * scale[:, 1]
    result[:, 1, 0], result[:, 1, 1] = np.sin(angle) * scale[:, 0], np.cos(angle) * scale[:, 1]
    result[:, :2, 2] = pivot + shift - result[:, :2, :2] @ pivot
    result[:, 2, 2] = 1.0
    return result


def _rigid(instruction: Instruction, points: Array, shape: Shape | None, transform: Array, scene: Scene) -> Trace:
    scene.afford(len(points))
    moved, _ = geometry.apply_homography(transform, points)
    return Trace(instruction, moved, window(scene, instruction, len(points)), shape, transform)


def _still(instruction: Instruction, points: Array, scene: Scene) -> Trace:
    scene.afford(len(points))
    moved = np.repeat(points[None], len(scene.times), axis=0)
    return Trace(instruction, moved, window(scene, instruction, len(points)))


# -------------------------------------------------------------------------------------------------------------- grids
def _trace_grid(instruction: Instruction, scene: Scene, others: Sequence[Trace]) -> Trace:
    height, width = scene.canvas
    if isinstance(instruction, Camera):
        points = lattice(0, 0, width, height, instruction.spacing)
        for other in others:
            if other.shape is not None:
                points = points[~other.shape.contains(points)]
        return _trace_camera(instruction, points, scene)
    assert isinstance(instruction, Static)
    assert instruction.grid is not None
    grid = instruction.grid
    margin = grid.spacing / 2 if grid.margin is None else grid.margin
    points = lattice(0, 0, width, height, grid.spacing)
    if grid.outside is None:
        shapes = [other.shape for other in others if other.shape is not None]
    else:
        known = {other.instruction.id: other.shape for other in others}
        areas = [area for area in grid.outside if isinstance(area, str)]
        # A hidden instruction has no trace and nothing to keep clear of.
        shapes = [found for area in areas if (found := known.get(area)) is not None]
        shapes += [scene.shape(area) for area in grid.outside if not isinstance(area, str)]
    points = points[~_near_shapes(points, shapes, margin, scene.canvas)]
    begins = [other.points[0] for other in others if not isinstance(other.instruction, Static)]
    if begins and margin > 0:
        from scipy.spatial import KDTree

        distance, _ = KDTree(np.concatenate(begins)).query(points)
        points = points[np.asarray(distance) > margin]
    fixed = np.array(instruction.points, np.float64).reshape(-1, 2)
    return _still(instruction, np.concatenate([fixed, points]), scene)


def _near_shapes(points: Array, shapes: Sequence[Shape], margin: float, canvas: tuple[int, int]) -> NDArray[np.bool_]:
    """bool [N]: inside one of the shapes or at most ``margin`` pixels from one."""
    near = np.zeros(len(points), np.bool_)
    if not shapes:
        return near
    covered = np.zeros(canvas, np.bool_)
    for shape in shapes:
        near |= shape.contains(points)
        covered |= shape.raster(canvas)
    if margin > 0 and covered.any():
        import cv2

        distance = cv2.distanceTransform((~covered).astype(np.uint8), cv2.DIST_L2, 5).astype(np.float64)
        near |= geometry.sample_depth(distance, points) <= margin
    return near


# ------------------------------------------------------------------------------------------------------------- camera
@dataclass(frozen=True, eq=False)
class Shot:
    """A camera instruction as geometry: intrinsics of the picture, lens [T, 3, 3] and poses [T, 3, 4] over time."""

    K: Array
    lens: Array
    w2c: Array
    depth: Array | float


def shot(instruction: Camera, scene: Scene) -> Shot:
    """The geometry of a camera instruction."""
    height, width = scene.canvas
    if isinstance(instruction.depth, DepthMap):
        wanted = instruction.depth
        found = read_depth(wanted.file, scene.folder, wanted.encoding, wanted.near, wanted.far, wanted.scale)
        rows = ((np.arange(height) + 0.5) * (found.shape[0] / height)).astype(np.int64)
        columns = ((np.arange(width) + 0.5) * (found.shape[1] / width)).astype(np.int64)
        depth: Array | float = found[rows[:, None], columns]
        middle = float(depth[height // 2, width // 2])
    else:
        depth = middle = float(instruction.depth)
    fov = DEFAULT_FOV if instruction.focal is None and instruction.fov is None else instruction.fov
    K = geometry.intrinsics(scene.canvas, focal=instruction.focal, fov=fov)
    zero = ("pan", "tilt", "roll", "dolly", "truck", "pedestal", "orbit")
    moves = {name: scene.curve(getattr(instruction, name), instruction, 0.0) for name in zero}
    target = middle if instruction.orbit_depth is None else instruction.orbit_depth
    w2c = geometry.pose(len(scene.times), **moves, orbit_depth=target)
    lens = geometry.zoomed(K, np.maximum(scene.curve(instruction.zoom, instruction, 1.0), 1e-3))
    return Shot(K, lens, w2c, depth)


def _trace_camera(instruction: Camera, points: Array, scene: Scene) -> Trace:
    scene.afford(len(points))
    view = shot(instruction, scene)
    # The picture is taken by the resting camera, also when the first keyframe is already away from it.
    rest = geometry.pose(1)
    moved, visible = geometry.project_grid(
        view.depth,
        np.concatenate([view.K[None], view.lens]),
        np.concatenate([rest, view.w2c]),
        points,
        size=scene.canvas,
        tolerance=instruction.tolerance,
    )
    there = window(scene, instruction, len(points))
    return Trace(instruction, moved[1:].astype(np.float64), visible[1:] & there)


def _apply_cameras(traces: list[Trace], scene: Scene) -> list[Trace]:
    """The camera with ``include_objects`` moves what the other instructions draw, each at one depth."""
    for found in traces:
        camera = found.instruction
        if not (isinstance(camera, Camera) and camera.include_objects):
            continue
        view = shot(camera, scene)
        rest = geometry.pose(1)
        lens, w2c = np.concatenate([view.K[None], view.lens]), np.concatenate([rest, view.w2c])
        return [
            other if isinstance(other.instruction, Camera) else _seen_by(other, view, lens, w2c) for other in traces
        ]
    return traces


def _seen_by(found: Trace, view: Shot, lens: Array, w2c: Array) -> Trace:
    if found.points.shape[1] == 0:
        return found
    # One depth for the whole thing, that of its middle, so that what is rigid stays rigid.
    if isinstance(view.depth, np.ndarray):
        depth = float(np.median(geometry.sample_depth(view.depth, found.points[0])))
    else:
        depth = view.depth
    H = geometry.plane_homography(view.K, lens, w2c, depth)[1:]
    moved, front = geometry.apply_homography(H, found.points)
    moved = np.where(front[..., None], moved, found.points)
    transform = None if found.transform is None else H @ found.transform
    return replace(found, points=moved, visible=found.visible & front, transform=transform)


# ------------------------------------------------------------------------------------------------- pan and occlusion
def _pan(found: Trace, motion: Motion, times: Array) -> Trace:
    velocity = np.zeros(2)
    for pan in motion.pan:
        if pan.instructions is None or found.instruction.id in pan.instructions:
            velocity += pan.velocity
    if not velocity.any():
        return found
    shift = times[:, None] * velocity
    transform = found.transform
    if transform is not None:
        moved = np.repeat(np.eye(3)[None], len(times), axis=0)
        moved[:, :2, 2] = shift
        transform = moved @ transform
    return replace(found, points=found.points + shift[:, None], transform=transform)


def _occlude(traces: list[Trace]) -> list[Trace]:
    """Hides points where an area in front covers them. Later areas are in front; what has no area is behind all.

    A point that begins on an area is part of it and never hidden by it.
    """
    result = list(traces)
    fronts = [(place, found) for place, found in enumerate(traces) if found.shape is not None]
    for place, front in fronts:
        assert front.shape is not None
        assert front.transform is not None
        # Scaled down to nothing, an area covers nothing.
        there = front.visible.any(axis=1) & (np.abs(np.linalg.det(front.transform)) > 1e-9)
        back_to_picture = np.linalg.inv(np.where(there[:, None, None], front.transform, np.eye(3)))
        for other in range(len(result)):
            behind = result[other]
            if other == place or (behind.shape is not None and other > place) or not behind.points.shape[1]:
                continue
            part_of_it = front.shape.contains(behind.points[0])
            at, ahead = geometry.apply_homography(back_to_picture, behind.points)
            covered = front.shape.contains(at) & ahead & there[:, None] & ~part_of_it
            result[other] = replace(behind, visible=behind.visible & ~covered)
    return result
