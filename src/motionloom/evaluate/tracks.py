"""How well a video follows its tracks: pure functions of requested and measured positions.

Shapes: positions [T, N, 2] in pixels, visibility bool [T, N]. Every mean is over what is visible in the requested
tracks; where nothing is, the result is None and never a number that looks like one. A position that counts and is not
finite is refused with an InputError; those that do not count may be anything. Values in pixels depend on the size of
the canvas: `score` gives them also as if the longer side had 256.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

TRACKABLE = 0.01
"""Share of the diagonal within which a tracker counts as having found a point in the true video."""

SCORES = (
    *("epe", "epe_256", "epe_median", "epe_with_first", "epe_pessimistic", "final_error", "objmc"),
    *("trajectory_error_mean_xy", "trajectory_error_sum_xy", "trajectory_error_sum_xy_256"),
    *("velocity_error", "displacement_correlation"),
    *("pck_02", "pck_05", "pck_10", "pck_4px", "pck_8px", "pck_16px", "lost_fraction"),
)
"""Names of what `score` gives."""

_TAP_THRESHOLDS = (1, 2, 4, 8, 16)  # pixels at 256x256


def epe(
    measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None, *, first: bool = False
) -> float | None:
    """End-point error: mean Euclidean distance in pixels (Wan-Move's EPE on tracks).

    Args:
        first: count the first frame, where the error is zero by construction when the points were queried there.
    """
    distance, seen = _distances(measured, wanted, visible)
    begin = 0 if first else 1
    return _mean(distance[begin:], seen[begin:])


def median_error(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> float | None:
    """Median Euclidean distance in pixels, first frame left out: a few points that the tracker lost do not move it."""
    distance, seen = _distances(measured, wanted, visible)
    found = distance[1:][seen[1:]]
    return float(np.median(found)) if found.size else None


def epe_over_time(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> list[float | None]:
    """The end-point error of every frame [T]; None where nothing is visible."""
    distance, seen = _distances(measured, wanted, visible)
    return [_mean(distance[t], seen[t]) for t in range(len(distance))]


def trackable(
    measured_in_reference: ArrayLike,
    wanted: ArrayLike,
    visible: ArrayLike | None = None,
    *,
    size: tuple[int, int],
    within: float = TRACKABLE,
) -> NDArray[np.bool_]:
    """Which points a tracker can follow, bool [T, N]: it finds them in the true video where they are known to be.

    Args:
        measured_in_reference: what the tracker finds in the true video, which moves as ``wanted`` says.
        size: (height, width) of the canvas; within: share of its diagonal that counts as found.
    """
    distance, seen = _distances(measured_in_reference, wanted, visible)
    return seen & (distance <= within * float(np.hypot(*size)))


def final_error(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> float | None:
    """Mean Euclidean distance in pixels at each track's last visible frame, of tracks seen after the first one."""
    distance, seen = _distances(measured, wanted, visible)
    last = len(seen) - 1 - seen[::-1].argmax(0)
    return _mean(distance[last, np.arange(seen.shape[1])], np.asarray(seen[1:].any(0)))


def pck(
    measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None, *, threshold: float, first: bool = False
) -> float | None:
    """Percentage of correct key points: the share, 0 to 1, whose distance is below ``threshold`` pixels."""
    distance, seen = _distances(measured, wanted, visible)
    begin = 0 if first else 1
    return _mean((distance < threshold)[begin:].astype(np.float64), seen[begin:])


def objmc(measured: ArrayLike, wanted: ArrayLike) -> float | None:
    """ObjMC of DragAnything: EPE over every frame, hidden or not, cut to the shorter of the two.

    Over several videos its program pools all (object, frame) pairs, so that long videos count more: the mean of these
    means weighted by T * N.
    """
    a, b = np.asarray(measured, np.float64), np.asarray(wanted, np.float64)
    frames = min(len(a), len(b))
    return epe(a[:frames], b[:frames], first=True)


def trajectory_error(
    measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None, *, summed: bool = False
) -> float | None:
    """TrajError of Tora: mean absolute difference, over x and y, or of their sum where ``summed``.

    Its authors published no code and do not say which, nor the size of the videos behind their main table; name the
    variant wherever a number is quoted. A point that was lost counts from where it was seen last.
    """
    a, b, seen = _checked(measured, wanted, visible)
    difference = np.abs(a - b).sum(-1)
    return _mean(difference if summed else difference / 2, seen)


def velocity_error(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> float | None:
    """Mean Euclidean distance between the steps from frame to frame, pixels per frame, where both ends are visible."""
    a, b, seen = _checked(measured, wanted, visible)
    return _mean(np.linalg.norm(np.diff(a, axis=0) - np.diff(b, axis=0), axis=-1), seen[1:] & seen[:-1])


def displacement_correlation(measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None = None) -> float | None:
    """Pearson correlation, -1 to 1, of displacements from the first frame, of points that are visible there and then;
    None where one side does not move."""
    a, b, seen = _checked(measured, wanted, visible)
    counts = seen[1:] & seen[:1]
    moved_a, moved_b = (a - a[:1])[1:][counts].ravel(), (b - b[:1])[1:][counts].ravel()
    if moved_a.size < 2 or min(moved_a.std(), moved_b.std()) < 1e-9:
        return None
    return float(np.corrcoef(moved_a, moved_b)[0, 1])


def tap_vid(
    measured: ArrayLike,
    measured_visible: ArrayLike,
    wanted: ArrayLike,
    visible: ArrayLike,
    *,
    size: tuple[int, int] | None = None,
) -> dict[str, float | None]:
    """TAP-Vid's average Jaccard, position accuracy and occlusion accuracy, queries on the first frame.

    Source: `compute_tapvid_metrics` in `tapnet/tapvid/evaluation_datasets.py` of google-deepmind/tapnet, mode "first".

    Args:
        size: (height, width) that positions are in; they are scaled to 256x256, where the thresholds 1, 2, 4, 8 and
            16 px are meant. Left as they are when not given.
    """
    a, b, seen = _checked(measured, wanted, visible)
    found = np.asarray(measured_visible, np.bool_)
    if size is not None:
        scale = np.array([256 / size[1], 256 / size[0]])
        a, b = a * scale, b * scale
    squared, seen, found = ((a - b) ** 2).sum(-1)[1:], seen[1:], found[1:]
    scores: dict[str, float | None] = {
        "occlusion_accuracy": _mean((seen == found).astype(np.float64), np.ones_like(seen))
    }
    within, jaccard = [], []
    for threshold in _TAP_THRESHOLDS:
        close = squared < threshold**2
        accuracy = _mean((close & seen).astype(np.float64), seen)
        correct = (close & seen & found).sum()
        false = (found & (~seen | ~close)).sum()
        overlap = float(correct / (seen.sum() + false)) if seen.sum() + false else None
        scores[f"pts_within_{threshold}"], scores[f"jaccard_{threshold}"] = accuracy, overlap
        within.append(accuracy)
        jaccard.append(overlap)
    scores["average_pts_within_thresh"] = None if None in within else float(np.mean(within))
    scores["average_jaccard"] = None if None in jaccard else float(np.mean(jaccard))
    return scores


def score(measured: Tracks, wanted: Tracks) -> dict[str, float | None]:
    """All of the above for tracks measured on a generated video against those that were asked for.

    ``measured`` is resized to the canvas of ``wanted``; both have the same frames and tracks. Points the tracker lost
    keep their last position; ``epe_pessimistic`` gives them the error of having stayed at the start where that is more.

    Returns:
        Numbers by name, None for all of them where there is one frame: points are looked for where they were asked for
        on the first, and an error of zero there says nothing.

    Raises:
        InputError: another number of frames or tracks.
    """
    if (measured.num_frames, measured.num_tracks) != (wanted.num_frames, wanted.num_tracks):
        raise InputError(
            f"measured: found {measured.num_frames} frames and {measured.num_tracks} tracks, expected "
            f"{wanted.num_frames} and {wanted.num_tracks}; resample the wanted tracks to the video first"
        )
    found = measured.resize(wanted.size)
    if wanted.num_frames == 1:
        return dict.fromkeys(SCORES)
    a, b, seen = found.points.astype(np.float64), wanted.points.astype(np.float64), wanted.visible
    lost = seen & ~found.visible
    stayed = np.linalg.norm(a[:1] - b, axis=-1) > np.linalg.norm(a - b, axis=-1)
    pessimistic = np.where((lost & stayed)[..., None], a[:1], a)
    diagonal = float(np.hypot(*wanted.size))
    error, trajectory = epe(a, b, seen), trajectory_error(a, b, seen, summed=True)
    movebench = 832 / max(wanted.size)  # its thresholds are pixels of 480x832
    return {
        "epe": error,
        "epe_256": None if error is None else error * 256 / max(wanted.size),
        "epe_median": median_error(a, b, seen),
        "epe_with_first": epe(a, b, seen, first=True),
        "epe_pessimistic": epe(pessimistic, b, seen),
        "final_error": final_error(a, b, seen),
        "objmc": objmc(a, b),
        "trajectory_error_mean_xy": trajectory_error(a, b, seen),
        "trajectory_error_sum_xy": trajectory,
        "trajectory_error_sum_xy_256": None if trajectory is None else trajectory * 256 / max(wanted.size),
        "velocity_error": velocity_error(a, b, seen),
        "displacement_correlation": displacement_correlation(a, b, seen),
        "pck_02": pck(a, b, seen, threshold=0.02 * diagonal),
        "pck_05": pck(a, b, seen, threshold=0.05 * diagonal),
        "pck_10": pck(a, b, seen, threshold=0.1 * diagonal),
        **{f"pck_{px}px": pck(a * movebench, b * movebench, seen, threshold=px) for px in (4, 8, 16)},
        "lost_fraction": _mean(lost[1:].astype(np.float64), seen[1:]),
    }


def _distances(
    measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    a, b, seen = _checked(measured, wanted, visible)
    return np.linalg.norm(a - b, axis=-1), seen


def _checked(
    measured: ArrayLike, wanted: ArrayLike, visible: ArrayLike | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    a, b = np.asarray(measured, np.float64), np.asarray(wanted, np.float64)
    if a.ndim != 3 or a.shape[-1] != 2 or a.shape != b.shape:
        raise InputError(f"measured: found shape {a.shape}, expected [T, N, 2] as wanted has, {b.shape}")
    seen = np.ones(b.shape[:2], np.bool_) if visible is None else np.asarray(visible, np.bool_)
    if seen.shape != b.shape[:2]:
        raise InputError(f"visible: found shape {seen.shape}, expected {b.shape[:2]}")
    for name, values in (("measured", a), ("wanted", b)):
        if not np.isfinite(values[seen]).all():
            raise InputError(f"{name}: found a visible point that is not finite, expected pixels")
    return a, b, seen


def _mean(values: NDArray[Any], where: NDArray[np.bool_]) -> float | None:
    return float(values[where].mean()) if where.any() else None
