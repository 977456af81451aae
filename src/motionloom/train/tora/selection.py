"""Which tracks of a clip a training sample shows, and how large their blobs are.

Tora draws starts by the speed of one frame's flow (`flow_tracks`), and its authors advise cleaner trajectories than
that. Where tracks are known, from a tracker or because the clip was made, there is more to choose by: how far a point
travels in the whole clip, how long it is seen, and how close it is to those that were chosen before.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.methods.tora.flow import TRAINED_SIZE, Blob
from motionloom.train.tora.flow_tracks import MOST, SPACING

LEAST_SEEN = 0.5
"""Share of the frames in which a track is visible."""
STILL = 0.05
"""Weight of a point that stands still, as a share of an average one's: also that must be learnt."""


def select_tracks(
    points: ArrayLike,
    visible: ArrayLike,
    size: tuple[int, int],
    rng: np.random.Generator,
    *,
    most: int = MOST,
    spacing: float | None = None,
    least_seen: float = LEAST_SEEN,
    still: float = STILL,
) -> NDArray[np.int64]:
    """Indices [n] of 1 to ``most`` tracks, likelier the farther they travel and the farther apart they start.

    Tracks that are hidden in the first frame, or in too many others, are never chosen: the picture that a model starts
    from does not show what they move. None is left, none is chosen.

    Args:
        points: [T, N, 2] in pixels of ``size`` (height, width). visible: bool [T, N].
        spacing: pixels within which a second track adds little; default 32 at 480x720, in proportion at other sizes.
        least_seen: see `LEAST_SEEN`. still: see `STILL`.

    Raises:
        InputError: shapes that disagree, or no track asked for.
    """
    place, seen = np.asarray(points, np.float64), np.asarray(visible, np.bool_)
    if place.ndim != 3 or place.shape[-1] != 2 or seen.shape != place.shape[:2] or not len(place):
        raise InputError(
            f"points, visible: found shapes {place.shape}, {seen.shape}, expected [T, N, 2] and [T, N], T above zero"
        )
    if most < 1:
        raise InputError(f"most: found {most}, expected one track or more")
    apart = SPACING * _factor(size) if spacing is None else spacing
    candidates = np.flatnonzero(seen[0] & (seen.mean(0) >= least_seen))
    if not len(candidates):
        return candidates
    count = min(int(rng.integers(1, most + 1)), len(candidates))
    steps = np.linalg.norm(np.diff(place[:, candidates], axis=0), axis=-1)
    travel = (steps * (seen[1:, candidates] & seen[:-1, candidates])).sum(0)
    weight = travel + still * travel.mean() if travel.any() else np.ones(len(candidates))
    start = place[0, candidates]
    chosen: list[int] = []
    while len(chosen) < count:
        weight[chosen[-1:]] = 0.0
        if not weight.sum() > 0:
            break  # all others start where chosen ones do
        pick = int(rng.choice(len(candidates), p=weight / weight.sum()))
        chosen.append(pick)
        distance = np.square(start - start[pick]).sum(-1)
        weight = weight * -np.expm1(-distance / (2 * max(apart, 1e-6) ** 2))
    return candidates[chosen]


def draw_blob(rng: np.random.Generator, size: tuple[int, int], *, ratio: float = 1.25) -> Blob:
    """The published blob as large as ``size`` (height, width) asks for, times a factor of 1 / ratio to ratio.

    A model that has seen one width only is lost at sizes where the published 10 pixels are another share of the
    picture. With a ratio of 1 there is no chance in it.

    Raises:
        InputError: a ratio below 1.
    """
    if not ratio >= 1:
        raise InputError(f"ratio: found {ratio}, expected 1 or more")
    return Blob().scaled(_factor(size) * float(np.exp(rng.uniform(-1, 1) * np.log(ratio))))


def _factor(size: tuple[int, int]) -> float:
    return min(size[0] / TRAINED_SIZE[0], size[1] / TRAINED_SIZE[1])
