"""Tracing: each kind of instruction as points over time.

Legend: T times, N points of one instruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks import camera as geometry
from motionloom.tracks.assets import read_depth
from motionloom.tracks.easing import ease, progress
from motionloom.tracks.instructions import (
    Box,
    Camera,
    Circle,
    DepthMap,
    FreePath,
    Instruction,
    Region,
    Rotate,
    Static,
)
from motionloom.tracks.scene import SAME_FRAME, Array, Scene, Trace
from motionloom.tracks.shapes import Shape, fill, lattice, rectangle

DEFAULT_FOV = 50.0


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
def trace_grid(instruction: Instruction, scene: Scene, others: Sequence[Trace]) -> Trace:
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


def window(scene: Scene, instruction: Instruction, count: int) -> NDArray[np.bool_]:
    """bool [T, count]: when an instruction's points are there at all."""
    start, end = scene.span(instruction)
    there = np.ones(len(scene.times), np.bool_)
    if instruction.before == "vanish":
        there &= scene.times >= start - SAME_FRAME
    if instruction.after == "vanish":
        there &= scene.times <= end + SAME_FRAME
    return np.repeat(there[:, None], count, axis=1)
