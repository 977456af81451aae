"""The stage on which instructions are traced: canvas, moments and files, and what a traced instruction is.

Everything here is float64 in canvas pixels and in frames of the motion.
Legend: T times, N points of one instruction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.assets import Folder, read_mask
from motionloom.tracks.easing import ease, keyframed, progress
from motionloom.tracks.instructions import (
    Area,
    FreePath,
    Instruction,
    Route,
    ValueCurve,
)
from motionloom.tracks.paths import flatten, travel
from motionloom.tracks.shapes import Mask, Polygon, Shape

Array = NDArray[np.float64]

MAX_POINTS = 20_000_000
MAX_MASK_PIXELS = 2**28
# Frames that differ by less are the same moment: other rates give frames such as 23.999999999.
SAME_FRAME = 1e-6


@dataclass(frozen=True, eq=False)
class Scene:
    """What instructions are traced against: the canvas, the moments wanted, and where files lie."""

    canvas: tuple[int, int]
    times: Array
    last_frame: float
    folder: Folder = field(default_factory=Folder)
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict[str, NDArray[np.bool_]], repr=False)

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
            frames = [key.frame for key in value]
            for earlier, later in pairwise(frames):
                if later <= earlier:
                    raise InputError(f"keyframes: found frame {later:g} after {earlier:g}, expected them to increase")
            return keyframed(self.times, frames, [key.value for key in value], [key.easing for key in value])
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
        if area.mask not in self.masks:
            mask = read_mask(area.mask, self.folder)
            if mask.size + sum(known.size for known in self.masks.values()) > MAX_MASK_PIXELS:
                raise InputError(f"masks: found more than {MAX_MASK_PIXELS} pixels in all; use smaller mask images")
            self.masks[area.mask] = mask
        return Mask(self.masks[area.mask], self.canvas)


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
