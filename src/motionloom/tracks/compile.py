"""From instructions to tracks: all instructions of a motion together, then scaled to the wanted size.

Legend: T times, N points of one instruction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from motionloom.errors import MotionloomError
from motionloom.tracks import camera as geometry
from motionloom.tracks.instructions import Camera, Instruction, Static
from motionloom.tracks.scene import Array, Scene, Trace
from motionloom.tracks.traces import Shot, shot, trace, trace_grid
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion


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
        traces.insert(place, _named(instruction, trace_grid, scene, others))
        count += traces[place].points.shape[1]
        scene.afford(count)
    traces = _apply_cameras(traces, scene)
    traces = [_pan(found, motion, times) for found in traces]
    return _occlude(traces) if occlusion else traces


def _named(instruction: Instruction, step: Callable[..., Trace], *arguments: object) -> Trace:
    """A step whose errors begin with the instruction's id."""
    try:
        return step(instruction, *arguments)
    except MotionloomError as error:
        raise type(error)(f"instruction {instruction.id!r}: {error}") from None


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
