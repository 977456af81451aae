"""What kind of motion tracks show: translation, rotation, zoom, curve, or none to speak of.

Everything follows from one fit. In each frame the similarity that best carries the positions of the first frame to
those of the frame is found (robustly: a track that goes its own way counts little),

    p_t = c + d_t + a_t (p_0 - c),        a_t = scale_t exp(i angle_t),

with c the middle of the points. The mean square displacement is then |d|^2 + r^2 |a - 1|^2, r the points' root mean
square distance from c: what the middle does, and what happens around it. Whichever of |d|, r |angle| and r |log scale|
reaches farthest names the motion; a middle that does not go straight is a curve.

Shapes: positions [T, N, 2] in pixels, visibility bool [T, N]. Angles in degrees, clockwise on the screen (y is down).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

Category = Literal["translation", "rotation", "zoom", "curve", "static"]
CATEGORIES: tuple[Category, ...] = ("translation", "rotation", "zoom", "curve", "static")

STILL = 0.01
"""Share of the canvas' diagonal: points that reach less far from their start are static."""
BEND = 0.1
"""Width over length of the path above which it is a curve: that of an arc of 45 degrees. There and back is straight."""
LEAST_BEND = 0.004
"""Share of the diagonal that a curved path is wide at least; less may be noise of the tracks."""
SPREAD = 0.004
"""Share of the diagonal that points lie apart at least (root mean square); nearer ones turn and scale like one."""
TOGETHER, SEVERAL = 0.5, 0.3
"""A track goes astray if the fit leaves more than the first of its motion (root mean square over time) unexplained; if
more than the second of all tracks do, they are several things."""

_ROUNDS = 12  # of reweighting; three or four are enough unless a third of the tracks are wrong
_SETTLED = 1e-3  # change of a weight, 0 to 1, below which the fit is done
_LEAST_MISS = 1e-3  # share of the diagonal (or of the points' spread): misses below it are not told apart


@dataclass(frozen=True)
class Similarities:
    """The shift, turn and scale of each frame against the first one on which points are seen.

    Attributes:
        scale: float64 [T], 1 where not known; angle: float64 [T], degrees, without jumps of 360.
        shift: float64 [T, 2], pixels, of ``centre``.
        known: bool [T], frames with a point of the first one.
        centre: (x, y), the middle of the points; radius: their root mean square distance from it, pixels.
        missed: float64 [T], root mean square distance in pixels that the fit leaves.
    """

    scale: NDArray[np.float64]
    angle: NDArray[np.float64]
    shift: NDArray[np.float64]
    known: NDArray[np.bool_]
    centre: tuple[float, float]
    radius: float
    missed: NDArray[np.float64]


@dataclass(frozen=True)
class CameraError:
    """How far the shift, turn and zoom found are from those wanted, as means over all frames but the first.

    Attributes:
        scale: mean of |found / wanted - 1|; None for fewer than two points.
        rotation: mean absolute difference in degrees; None for fewer than two points.
        translation: mean distance in pixels at the middle of the points.
        frames: how many were compared.
        scale_curve, rotation_curve, translation_curve: per frame; None where a frame has no point.
    """

    scale: float | None
    rotation: float | None
    translation: float
    frames: int
    scale_curve: tuple[float | None, ...]
    rotation_curve: tuple[float | None, ...]
    translation_curve: tuple[float | None, ...]


def categorise(tracks: Tracks) -> Category:
    """The kind of motion of one thing, or of the camera; of several things, that of the largest motion among them.

    The thresholds are the constants above. Tracks without a visible point are static.
    """
    diagonal = float(np.hypot(*tracks.size))
    points, seen = tracks.points.astype(np.float64), tracks.visible
    fit = _fit(points, seen, diagonal)
    if fit is None:
        return "static"
    moved = _moved(points, seen)
    if moved < STILL * diagonal:
        return "static"
    if _astray(points, seen, fit, diagonal) > SEVERAL:
        return _of_many(points, seen, diagonal)
    turned = fit.radius * float(np.abs(np.radians(fit.angle)).max())
    # Growing moves points by more than the logarithm says, and their middle with them.
    grown = fit.radius * float(np.maximum(np.abs(np.log(fit.scale)), np.abs(fit.scale - 1)).max())
    path = fit.shift[fit.known]
    gone = float(np.linalg.norm(path, axis=1).max())
    if turned >= max(gone, grown):
        return "rotation"
    if grown >= gone:
        return "zoom"
    return "curve" if _is_curve(path, diagonal) else "translation"


def similarities(points: ArrayLike, visible: ArrayLike | None = None) -> Similarities | None:
    """The similarity of each frame of [T, N, 2] against the first; None where no point is ever seen.

    Robust: least squares, reweighted by 1 / (1 + (miss / scale)^2). Fewer than two points, or points that all but
    coincide, tell of the shift alone; scale and angle stay 1 and 0.

    Raises:
        InputError: another shape, or a visible point that is not finite.
    """
    where, seen = _checked("points", points, visible)
    return _fit(where, seen, None)


def camera_similarity(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> CameraError | None:
    """Camera motion found in a video against the one asked for: fits of both over the same points, compared.

    Args:
        measured, wanted: [T, N, 2], pixels of one canvas; visible: bool [T, N], points to look at.

    Returns:
        None where there is nothing to compare: one frame, or no point seen on the first frame and a later one.

    Raises:
        InputError: shapes that disagree, or visible points that are not finite.
    """
    (a, seen), (b, _) = _checked("measured", measured, visible), _checked("wanted", wanted, visible)
    if a.shape != b.shape:
        raise InputError(f"measured: found shape {a.shape}, expected {b.shape} as wanted has")
    if len(a) < 2 or not seen[0].any():
        return None
    scale = float(np.hypot(*np.ptp(b[seen], axis=0)))
    found, asked = _fit(a, seen, scale), _fit(b, seen, scale)
    if found is None or asked is None:
        return None
    known = found.known & asked.known
    known[0] = False
    if not known.any():
        return None
    # The shift is that of one place: the middle of the wanted points, wherever the video's own points have theirs.
    offset = complex(*np.subtract(asked.centre, found.centre))
    carried = found.shift + _pairs((found.scale * np.exp(1j * np.radians(found.angle)) - 1) * offset)
    translation = np.linalg.norm(carried - asked.shift, axis=1)
    # One point, or several on one spot, has no size to compare.
    solid = min(found.radius, asked.radius) > max(_LEAST_MISS * scale, 1e-9)
    growth, turn = np.abs(found.scale / asked.scale - 1), np.abs(found.angle - asked.angle)
    return CameraError(
        scale=float(growth[known].mean()) if solid else None,
        rotation=float(turn[known].mean()) if solid else None,
        translation=float(translation[known].mean()),
        frames=int(known.sum()),
        scale_curve=_curve(growth, known & solid),
        rotation_curve=_curve(turn, known & solid),
        translation_curve=_curve(translation, known),
    )


# ------------------------------------------------------------------------------------------------------------ the fit
def _fit(points: NDArray[np.float64], seen: NDArray[np.bool_], diagonal: float | None) -> Similarities | None:
    frames = len(points)
    anchors = np.flatnonzero(seen.any(1))
    if len(anchors) == 0:
        return None
    anchor = int(anchors[0])
    used = seen[anchor]
    z = np.where(seen, points[..., 0] + 1j * points[..., 1], 0)[:, used]
    both = seen[:, used]
    start = z[anchor]
    origin = complex(start.mean())
    offset = start - origin
    spread = float(np.sqrt(np.mean(np.abs(offset) ** 2)))
    if diagonal is None:
        diagonal = max(spread, float(np.abs(z - start)[both].max(initial=0.0)), 1e-9)
    rigid = spread > SPREAD * diagonal
    weight = both.astype(np.float64)
    a, b = np.ones(frames, np.complex128), np.zeros(frames, np.complex128)
    miss = np.zeros(z.shape)
    middle_of = (np.maximum(both.sum(1), 1) // 2).clip(max=both.shape[1] - 1)[:, None]
    for _ in range(_ROUNDS):
        total = np.maximum(weight.sum(1), 1e-12)
        mean_from, mean_to = (weight * offset).sum(1) / total, (weight * (z - origin)).sum(1) / total
        if rigid:
            x, y = offset - mean_from[:, None], z - origin - mean_to[:, None]
            power = (weight * np.abs(x) ** 2).sum(1)
            enough = (both.sum(1) >= 2) & (power / total > (SPREAD * diagonal) ** 2 / 4)
            product = (weight * np.conj(x) * y).sum(1)
            a = np.where(enough & (np.abs(product) > 0), product / np.where(enough, power, 1.0), 1.0)
        b = mean_to - a * mean_from
        miss = np.where(both, np.abs(a[:, None] * offset + b[:, None] - (z - origin)), 0.0)
        if both.shape[1] < 3:
            break
        # The median over the points of each frame; those not seen are sorted behind.
        usual = np.take_along_axis(np.sort(np.where(both, miss, np.inf), axis=1), middle_of, axis=1)
        usual = np.maximum(1.5 * np.where(np.isfinite(usual), usual, 0.0), _LEAST_MISS * diagonal)
        before, weight = weight, both / (1 + (miss / usual) ** 2)
        if np.abs(weight - before).max() < _SETTLED:
            break
    known = np.asarray(both.any(1))
    # Where nothing is seen nothing is known; between known frames the fit is simply held.
    index = np.maximum.accumulate(np.where(known, np.arange(frames), anchor))
    a, b = a[index], b[index]
    # What belongs together has its middle where its own tracks are, not where one that went astray began.
    share = weight.sum(0) / weight.sum()
    middle = complex((share * offset).sum())
    radius = float(np.sqrt((share * np.abs(offset - middle) ** 2).sum()))
    count = np.maximum(both.sum(1), 1)
    return Similarities(
        scale=np.maximum(np.abs(a), 1e-6),
        angle=np.degrees(np.unwrap(np.angle(a))),
        shift=_pairs(b + (a - 1) * middle),
        known=known,
        centre=((origin + middle).real, (origin + middle).imag),
        radius=radius if rigid else 0.0,
        missed=np.sqrt((miss**2).sum(1) / count),
    )


def _moved(points: NDArray[np.float64], seen: NDArray[np.bool_]) -> float:
    """How far from its start the usual point gets: the largest over time of the upper quartile of the points."""
    anchor = int(np.flatnonzero(seen.any(1))[0])
    both = seen & seen[anchor]
    reach = np.sort(np.where(both, np.linalg.norm(points - points[anchor], axis=-1), np.inf), axis=1)
    # Of a turning thing the points near its middle stay: the upper quartile speaks.
    place = np.ceil(0.75 * (both.sum(1) - 1)).astype(np.int64).clip(min=0)
    upper = np.take_along_axis(reach, place[:, None], axis=1)
    return float(upper[np.isfinite(upper)].max(initial=0.0))


def _astray(points: NDArray[np.float64], seen: NDArray[np.bool_], fit: Similarities, diagonal: float) -> float:
    """Share of the tracks that do not go with the fit."""
    anchor = int(np.flatnonzero(fit.known)[0])
    both = seen & seen[anchor]
    offset = (points[anchor] - fit.centre) @ np.array([1.0, 1j])
    turn = fit.scale * np.exp(1j * np.radians(fit.angle))
    carried = _pairs(turn[:, None] * offset) + fit.centre + fit.shift[:, None]
    missed, gone = (
        np.sqrt((np.where(both, np.linalg.norm(way, axis=-1), 0.0) ** 2).sum(0) / np.maximum(both.sum(0), 1))
        for way in (points - carried, points - points[anchor])
    )
    astray = missed > TOGETHER * np.maximum(gone, STILL * diagonal)
    return float(astray[seen[anchor]].mean())


def _of_many(points: NDArray[np.float64], seen: NDArray[np.bool_], diagonal: float) -> Category:
    """Each track alone; those that go farther count more."""
    votes: dict[Category, float] = {}
    for number in range(points.shape[1]):
        mine = seen[:, number]
        if not mine.any():
            continue
        path = points[mine, number] - points[mine, number][0]
        reach = float(np.linalg.norm(path, axis=1).max())
        kind: Category = "static" if reach < STILL * diagonal else "translation"
        if kind != "static" and _is_curve(path, diagonal):
            kind = "curve"
        votes[kind] = votes.get(kind, 0.0) + reach
    return max(votes, key=lambda kind: votes[kind]) if votes else "static"


def _is_curve(path: NDArray[np.float64], diagonal: float) -> bool:
    """Whether positions [T, 2] leave a straight line, there and back on one included."""
    if len(path) < 3:
        return False
    smooth = path
    if len(path) >= 5:  # jitter of a tracker is not a curve
        padded = np.concatenate([2 * path[:1] - path[1:2], path, 2 * path[-1:] - path[-2:-1]])
        smooth = (padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4
    centred: NDArray[Any] = smooth - smooth.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    length, width = np.ptp(centred @ axes.T, axis=0)
    return bool(width > BEND * length and width > LEAST_BEND * diagonal)


# ------------------------------------------------------------------------------------------------------------- borders
def _pairs(values: NDArray[Any]) -> NDArray[np.float64]:
    return np.stack([np.real(values), np.imag(values)], axis=-1)


def _curve(values: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[float | None, ...]:
    return tuple(float(value) if on else None for value, on in zip(values, known, strict=True))


def _checked(name: str, points: ArrayLike, visible: ArrayLike | None) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    where = np.asarray(points, np.float64)
    if where.ndim != 3 or where.shape[-1] != 2 or len(where) < 1:
        raise InputError(f"{name}: found shape {where.shape}, expected [T, N, 2] with at least one frame")
    seen = np.ones(where.shape[:2], np.bool_) if visible is None else np.asarray(visible, np.bool_)
    if seen.shape != where.shape[:2]:
        raise InputError(f"visible: found shape {seen.shape}, expected {where.shape[:2]}")
    if not np.isfinite(where[seen]).all():
        raise InputError(f"{name}: found a visible point that is not finite")
    return where, seen
