"""Trajectories from dense flow, for clips that nobody has drawn on: where they start, and where they go.

Source: Tora's ``sat/train_video.py``: starts on a grid of 32 pixels with a random offset, likelier where the first
frame's flow is large (`start_probabilities`, `draw_starts`), then from frame to frame with the flow at the point
(`chain`). All randomness comes from a numpy generator.

Shapes: T frames, N trajectories, G places of a grid, H W pixels. Flow is (x, y) in pixels from a frame to the next.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from motionloom.errors import InputError

SPACING = 32  # lambda of the paper, pixels
MOST = 16
"""Trajectories of a clip: 1 to this many, each number as likely."""


def grid(size: tuple[int, int], *, spacing: int = SPACING, offset: tuple[int, int] = (0, 0)) -> NDArray[np.int64]:
    """Places (x, y) [G, 2] every ``spacing`` pixels, row by row, the first at ``offset`` (row, column)."""
    if spacing < 1 or min(offset) < 0:
        raise InputError(
            f"spacing, offset: found {spacing}, {offset}, expected a pixel or more, and no negative offset"
        )
    y, x = np.meshgrid(np.arange(offset[0], size[0], spacing), np.arange(offset[1], size[1], spacing), indexing="ij")
    return np.stack([x.ravel(), y.ravel()], 1)


def start_probabilities(flow: ArrayLike, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """[G]: how likely a trajectory starts at each place (x, y), in proportion to the speed there.

    Where nothing moves, which the published program stops at, every place is as likely.

    Args:
        flow: [2, H, W] of the first frame.
    """
    flow = np.asarray(flow, np.float64)
    speed = np.hypot(*flow[:, places[:, 1], places[:, 0]])
    total = speed.sum()
    return speed / total if total > 0 else np.full(len(places), 1 / max(1, len(places)))


def draw_starts(
    flow: ArrayLike, rng: np.random.Generator, *, spacing: int = SPACING, most: int = MOST
) -> NDArray[np.int64]:
    """Pixels (x, y) [N, 2] to start from, all different: 1 to ``most`` of them, fewer where fewer places move.

    The middle of a pixel, for `chain` with interpolated flow, is at +0.5.

    Args:
        flow: [2, H, W] of the first frame.
    """
    flow = np.asarray(flow)
    if flow.ndim != 3 or flow.shape[0] != 2:
        raise InputError(f"flow: found shape {flow.shape}, expected [2, H, W] of the first frame")
    if most < 1:
        raise InputError(f"most: found {most}, expected one trajectory or more")
    height, width = flow.shape[1:]
    # In pictures smaller than the spacing there is still one place.
    offset = (int(rng.integers(min(spacing, height))), int(rng.integers(min(spacing, width))))
    places = grid((height, width), spacing=spacing, offset=offset)
    likely = start_probabilities(flow, places)
    count = min(int(rng.integers(1, most + 1)), int(np.count_nonzero(likely)))
    return places[rng.choice(len(places), count, replace=False, p=likely)]


def chain(
    flow: ArrayLike, starts: ArrayLike, *, backward: ArrayLike | None = None, whole_pixels: bool = False
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Trajectories that follow the flow of a clip: points [T, N, 2] and visible [T, N].

    Args:
        flow: [T - 1, 2, H, W].
        starts: (x, y) [N, 2] in pixels of the first frame, continuous (a pixel's centre is at +0.5).
        backward: [T - 1, 2, H, W] from each frame to the one before it; a point is hidden from where the way there and
            back does not return (Sundaram et al. 2010, eq. 5).
        whole_pixels: as published: starts are pixels, steps are cut to whole pixels (so that what moves less than one
            stands still), points stop at the border, and all are visible. Otherwise flow is interpolated, and points
            are hidden once they have left the picture.

    Raises:
        InputError: shapes that disagree.
    """
    there = np.asarray(flow, np.float64)
    place = np.array(starts, np.float64)
    if there.ndim != 4 or there.shape[1] != 2:
        raise InputError(f"flow: found shape {there.shape}, expected [T - 1, 2, H, W]")
    if place.ndim != 2 or place.shape[1] != 2:
        raise InputError(f"starts: found shape {place.shape}, expected [N, 2]")
    back = None if backward is None else np.asarray(backward, np.float64)
    if back is not None and (back.shape != there.shape or whole_pixels):
        raise InputError(
            f"backward: found shape {back.shape}, expected {there.shape} as flow has, and not with whole_pixels"
        )
    limit = np.array([there.shape[3], there.shape[2]])
    points = np.empty((len(there) + 1, len(place), 2), np.float64)
    visible = np.ones(points.shape[:2], np.bool_)
    points[0] = np.trunc(place) if whole_pixels else place
    visible[0] = _inside(points[0], limit)
    for t in range(len(there)):
        if whole_pixels:
            column, row = np.clip(points[t], 0, limit - 1).astype(np.int64).T
            points[t + 1] = np.clip(points[t] + np.trunc(there[t][:, row, column].T), 0, limit - 1)
            continue
        step = _at(there[t], points[t])
        points[t + 1] = points[t] + step
        visible[t + 1] = visible[t] & _inside(points[t + 1], limit)
        if back is not None:
            home = _at(back[t], points[t + 1])
            tolerance = 0.01 * (np.square(step) + np.square(home)).sum(-1) + 0.5
            visible[t + 1] &= np.square(step + home).sum(-1) <= tolerance
    return points.astype(np.float32), visible


def _at(flow: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Flow [2, H, W] at points [N, 2]: bilinear, held beyond the border."""
    place = [points[:, 1] - 0.5, points[:, 0] - 0.5]
    return np.stack([map_coordinates(axis, place, order=1, mode="nearest") for axis in flow], 1)


def _inside(points: NDArray[np.float64], limit: NDArray[np.int64]) -> NDArray[np.bool_]:
    return np.all((points >= 0) & (points < limit), axis=-1)
