"""Curves through control points, and travelling along them at a given pace.

All curves become one polyline with known lengths; a place on a path is a distance from its beginning in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.easing import Easing, keyframed

CurveKind = Literal["polyline", "catmull-rom", "bezier"]

# A vertex about every two pixels, so that speed along the polyline is even to well under a percent.
PIXELS_PER_VERTEX = 2.0
MAX_VERTICES_PER_SEGMENT = 256


@dataclass(frozen=True, eq=False)
class Curve:
    """A curve flattened to a polyline.

    Args:
        vertices: float64 [M, 2] pixels.
        lengths: float64 [M], distance from the beginning to each vertex.
        knots: float64 [P], distance from the beginning to each control point.
    """

    vertices: NDArray[np.float64]
    lengths: NDArray[np.float64]
    knots: NDArray[np.float64]

    @property
    def length(self) -> float:
        return float(self.lengths[-1])

    def at(self, distances: NDArray[np.float64]) -> NDArray[np.float64]:
        """Positions [T, 2] at ``distances`` [T] in pixels; beyond either end the curve goes on straight."""
        if self.length == 0.0:
            return np.broadcast_to(self.vertices[0], (len(distances), 2)).copy()
        # np.interp needs increasing lengths: repeated vertices carry no place of their own.
        keep = np.concatenate([[True], np.diff(self.lengths) > 0])
        vertices, lengths = self.vertices[keep], self.lengths[keep]
        found = np.stack([np.interp(distances, lengths, vertices[:, axis]) for axis in (0, 1)], axis=1)
        head = (vertices[1] - vertices[0]) / (lengths[1] - lengths[0])
        tail = (vertices[-1] - vertices[-2]) / (lengths[-1] - lengths[-2])
        found += np.minimum(distances, 0.0)[:, None] * head
        return found + np.maximum(distances - lengths[-1], 0.0)[:, None] * tail


def flatten(
    points: NDArray[np.float64],
    kind: CurveKind = "polyline",
    handles_in: NDArray[np.float64] | None = None,
    handles_out: NDArray[np.float64] | None = None,
) -> Curve:
    """The curve of a kind through control ``points`` [P, 2].

    Args:
        kind: ``polyline`` straight lines; ``catmull-rom`` the centripetal spline, which passes every point without
            loops; ``bezier`` cubic segments with ``handles_in`` and ``handles_out`` [P, 2] as offsets from the points.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 1:
        raise InputError(f"points: found shape {points.shape}, expected [P, 2] with at least one point")
    if kind == "polyline":
        # Nothing to flatten; tracks that were read from a file have a control point in every frame.
        lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        return Curve(points, lengths, lengths)
    if kind == "catmull-rom":
        handles_in, handles_out = _catmull_rom_handles(points)
    zero = np.zeros_like(points)
    into = zero if handles_in is None else np.asarray(handles_in, np.float64)
    out = zero if handles_out is None else np.asarray(handles_out, np.float64)
    vertices, knots = [points[:1]], [0]
    for k in range(len(points) - 1):
        corners = np.stack([points[k], points[k] + out[k], points[k + 1] + into[k + 1], points[k + 1]])
        straight = not (out[k].any() or into[k + 1].any())
        span = np.linalg.norm(np.diff(corners, axis=0), axis=1).sum()
        count = 1 if straight else int(np.clip(np.ceil(span / PIXELS_PER_VERTEX), 8, MAX_VERTICES_PER_SEGMENT))
        s = (np.arange(1, count + 1) / count)[:, None]
        basis = np.concatenate([(1 - s) ** 3, 3 * (1 - s) ** 2 * s, 3 * (1 - s) * s**2, s**3], axis=1)
        piece = basis @ corners
        piece[-1] = points[k + 1]
        vertices.append(piece)
        knots.append(knots[-1] + count)
    flat = np.concatenate(vertices)
    lengths = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(flat, axis=0), axis=1))])
    return Curve(flat, lengths, lengths[knots])


def _catmull_rom_handles(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Bézier handles (in, out) [P, 2] of the centripetal Catmull-Rom spline (Yuksel et al. 2011, alpha = 0.5)."""
    into, out = np.zeros_like(points), np.zeros_like(points)
    last = len(points) - 1
    for k in range(last):
        here, there = points[k], points[k + 1]
        before = points[k - 1] if k > 0 else 2 * here - there
        after = points[k + 2] if k + 2 <= last else 2 * there - here
        d1, d2, d3 = (np.sqrt(np.linalg.norm(step)) for step in (here - before, there - here, after - there))
        if d2 == 0.0:
            continue
        if d1 > 0.0:
            pull = d1**2 * there - d2**2 * before + (2 * d1**2 + 3 * d1 * d2 + d2**2) * here
            out[k] = pull / (3 * d1 * (d1 + d2)) - here
        if d3 > 0.0:
            pull = d3**2 * here - d2**2 * after + (2 * d3**2 + 3 * d3 * d2 + d2**2) * there
            into[k + 1] = pull / (3 * d3 * (d3 + d2)) - there
    return into, out


def legs(frames: Sequence[float | None], start: float, end: float) -> tuple[list[int], list[float]]:
    """The control points a traveller passes at a known time: their indices and frames, both increasing.

    Points without a frame are passed on the way; the first and last get ``start`` and ``end`` where they have none.

    Raises:
        InputError: frames that do not increase.
    """
    known = list(frames)
    if known[0] is None:
        known[0] = start
    if len(known) > 1 and known[-1] is None:
        known[-1] = end
    indices = [k for k, frame in enumerate(known) if frame is not None]
    times = [frame for frame in known if frame is not None]
    for k in range(1, len(times)):
        untimed = all(frame is None for frame in frames)
        if times[k] < times[k - 1] or (times[k] == times[k - 1] and not untimed):
            raise InputError(
                f"points[{indices[k]}]: found frame {times[k]:g} after frame {times[k - 1]:g}, expected increasing "
                "frames (points without one at the ends count as start and end)"
            )
    return indices, times


def travel(
    curve: Curve,
    times: NDArray[np.float64],
    frames: Sequence[float | None],
    start: float,
    end: float,
    easing: Easing = "linear",
) -> NDArray[np.float64]:
    """Positions [T, 2] at ``times`` [T] of something that travels the curve.

    Between two control points with frames the speed along the curve is even, shaped by ``easing``; a path without
    frames is one such leg from ``start`` to ``end``. Before the first and after the last frame it stands still.
    """
    indices, keys = legs(frames, start, end)
    easings: list[Easing] = [easing] * len(keys)
    distances = [float(curve.knots[k]) for k in indices]
    return curve.at(keyframed(times, keys, distances, easings))
