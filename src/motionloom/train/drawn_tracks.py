"""Tracks as people draw them, chosen from the exact ones of a clip: a few, a few spread out, boxes, anchors.

Shapes: F frames, N exact tracks, M drawn ones. Points are float32 [F, N, 2] in pixels, visibility is bool [F, N].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.interpolate import densify
from motionloom.tracks.shapes import lattice
from motionloom.tracks.tracks import Tracks

Drawn = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Points [F, M, 2] and visibility [F, M]."""

STILL = 0.5
"""Pixels: what never leaves its place by more is a static anchor, as `motionloom.tracks.interpolate.MOVING`."""

_LEAST_BOX = 8.0  # pixels of a side
_SCALES = 0.3, 3.0  # of a box, at the least and at the most


def few(points: NDArray[np.float32], visible: NDArray[np.bool_], count: int, rng: np.random.Generator) -> Drawn:
    """``count`` of the tracks that are seen at the start; all of them where there are fewer, one at least."""
    seen = np.flatnonzero(visible[0])
    chosen = rng.choice(seen, max(1, min(count, len(seen))), replace=False) if len(seen) else np.arange(1)
    return points[:, chosen], visible[:, chosen]


def with_anchors(
    points: NDArray[np.float32], visible: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> Drawn:
    """``count`` tracks of which at least one stays where it is, if anything does: an anchor put on a static thing.

    Half of the tracks on average are anchors; the others begin on what moves, if anything does.
    """
    rests = (np.abs(points - points[:1]).max(axis=(0, 2)) <= STILL) & visible[0]
    moves = visible[0] & ~rests
    anchors = int(rng.integers(1, max(count, 2)))
    parts = []
    for among, wanted in ((rests, anchors), (moves, count - anchors)):
        here = np.flatnonzero(among)
        parts.append(rng.choice(here, min(wanted, len(here)), replace=False))
    chosen = np.concatenate(parts)
    return (points[:, chosen], visible[:, chosen]) if len(chosen) else few(points, visible, count, rng)


def spread(drawn: Drawn, size: tuple[int, int], spacing: float) -> Drawn:
    """Tracks spread over the picture (height, width) as the package does it for users, ``spacing`` pixels apart."""
    tracks = densify(Tracks(drawn[0], drawn[1], size, 8.0), spacing=spacing, keep=False)
    return tracks.points, tracks.visible


def boxes(
    points: NDArray[np.float32],
    visible: NDArray[np.bool_],
    size: tuple[int, int],
    count: int,
    spacing: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    """Boxes drawn around things that move, filled with tracks that move and grow with their box.

    A box is put around the neighbours of a random track that go the same way; its own way is the translation and
    scaling that fits them best, as for `motionloom.tracks.instructions.Box`.

    Args:
        size: (height, width) of the picture.
        count: of the boxes.
        spacing: pixels between the tracks in a box.

    Returns:
        points [F, M, 2], visible [F, M] and bool [N]: which exact tracks begin in a box. A box is visible while most of
        what it was drawn around is.
    """
    taken = np.zeros(points.shape[1], bool)
    filled: list[Drawn] = []
    for _ in range(count):
        free = np.flatnonzero(visible[0] & ~taken)
        if not len(free):
            break
        # Boxes are drawn around what moves; things that rest get one now and then.
        travel = np.hypot(*(points[-1, free] - points[0, free]).T)
        weight = travel + 1.0
        first = rng.choice(free, p=weight / weight.sum())
        alike = free[_goes_with(points, first, free, rng.uniform(0.15, 0.6) * min(size))]
        low, high = points[0, alike].min(axis=0), points[0, alike].max(axis=0)
        middle = (low + high) / 2
        half = np.maximum(high - low, _LEAST_BOX) / 2
        low, high = np.maximum(middle - half, 0), np.minimum(middle + half, [size[1], size[0]])
        inside = ((points[0] >= low) & (points[0] <= high)).all(axis=1)
        taken |= inside

        centre = points[:, alike].mean(axis=1)
        rest, later = points[0, alike] - centre[0], points[:, alike] - centre[:, None]
        spread_of_rest = (rest**2).sum()
        scale = (later * rest).sum(axis=(1, 2)) / spread_of_rest if spread_of_rest > 1.0 else np.ones(len(points))
        grid = lattice(low[0], low[1], high[0], high[1], spacing)
        moved = centre[:, None] + np.clip(scale, *_SCALES)[:, None, None] * (grid - centre[0])
        within = ((moved >= 0) & (moved < [size[1], size[0]])).all(axis=-1)
        seen = visible[:, alike].mean(axis=1) >= 0.5
        filled.append((moved.astype(np.float32), within & seen[:, None]))
    if not filled:
        return points[:, :0], visible[:, :0], taken
    return np.concatenate([part for part, _ in filled], 1), np.concatenate([part for _, part in filled], 1), taken


def _goes_with(points: NDArray[np.float32], first: int, among: NDArray[np.int64], radius: float) -> NDArray[np.bool_]:
    """Which of some tracks begin within ``radius`` of a track and go the same way, but for turning and growing."""
    offset = points[:, among] - points[:, first : first + 1]
    near = np.hypot(*offset[0].T) <= radius
    apart = np.hypot(*np.moveaxis(offset - offset[0], -1, 0)).max(axis=0)
    return near & (apart <= 1.0 + 0.3 * np.hypot(*offset[0].T))
