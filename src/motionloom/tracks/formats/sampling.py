"""From key points to one position per frame.

Shapes: key points float64 [P, 2] or, for N paths of equal length, [P, N, 2]; results have T in front.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BEZIER_STEPS = 32


def by_index(points: NDArray[np.float64], num_frames: int) -> NDArray[np.float64]:
    """Equal time from key point to key point, linear between them; the first and the last are kept. [T, ...]."""
    last = len(points) - 1
    times = np.linspace(0.0, last, num_frames) if num_frames > 1 else np.zeros(1)
    low = np.minimum(np.floor(times).astype(np.int64), last)
    high = np.minimum(low + 1, last)
    part = (times - low).reshape((-1,) + (1,) * (points.ndim - 1))
    return points[low] * (1.0 - part) + points[high] * part


def by_length(points: NDArray[np.float64], num_frames: int) -> NDArray[np.float64]:
    """Constant speed along the polyline through key points [P, 2]; the first and the last are kept. [T, 2]."""
    steps = np.hypot(*np.diff(points, axis=0).T) if len(points) > 1 else np.zeros(0)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    if length[-1] == 0.0:
        return np.repeat(points[:1], num_frames, axis=0)
    wanted = np.linspace(0.0, length[-1], num_frames) if num_frames > 1 else np.zeros(1)
    return np.stack([np.interp(wanted, length, points[:, axis]) for axis in (0, 1)], axis=1)


def bezier(
    points: NDArray[np.float64], before: NDArray[np.float64], after: NDArray[np.float64], steps: int = BEZIER_STEPS
) -> NDArray[np.float64]:
    """A cubic Bezier through [P, 2] with absolute handles before and after each point, as a polyline.

    Every segment gives ``steps`` points, so index k * steps of the result is key point k.
    """
    if len(points) < 2:
        return points
    t = np.arange(steps)[:, None, None] / steps
    s = 1.0 - t
    a, b, c, d = points[:-1], after[:-1], before[1:], points[1:]
    curve = s**3 * a + 3 * s**2 * t * b + 3 * s * t**2 * c + t**3 * d
    return np.concatenate([curve.transpose(1, 0, 2).reshape(-1, 2), points[-1:]])


def cardinal_handles(
    points: NDArray[np.float64], tension: float = 0.5
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Handles (before, after) that make `bezier` the cardinal spline of the KJNodes editor.

    Inner points get the offset (1 - tension) / 2 times the step between their neighbours; the first and the last
    segment are quadratic, as in the protovis rule the editor follows. Tension 1 is straight lines.
    """
    before, after = points.copy(), points.copy()
    if len(points) < 3:
        return before, after
    offset = (1.0 - tension) / 2.0 * (points[2:] - points[:-2])
    before[1:-1] -= offset
    after[1:-1] += offset
    # A quadratic with control q is the cubic whose handles lie two thirds of the way to q.
    first, last = points[1] - offset[0] * 2 / 3, points[-2] + offset[-1] * 2 / 3
    after[0] = points[0] + (first - points[0]) * 2 / 3
    before[1] = points[1] + (first - points[1]) * 2 / 3
    after[-2] = points[-2] + (last - points[-2]) * 2 / 3
    before[-1] = points[-1] + (last - points[-1]) * 2 / 3
    return before, after
