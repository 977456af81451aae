"""Things that move in a video, from the tracks of many points: groups of points that keep their distances."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.evaluate.categories import Similarities, similarities
from motionloom.tracks.tracks import Tracks

# Shares of the canvas' diagonal.
MOVES = 0.02
"""How far from where the camera's motion would carry it a point of a thing gets."""
NEAR = 0.12
"""How far apart neighbours of one thing are on the first frame at most."""
STIFF, SLACK = 0.35, 0.006
"""How much the distance of two neighbours of one thing changes at most: a share of itself, and of the diagonal."""
STRAY = 0.02
"""How far from where its thing's shift, turn and scale would carry it a point of it gets at most (root mean square).
A thing sweeps up points that it passes over; they go along from then on, and would count as part of it."""
PATCH, ALIKE, LOOKS = 11, 0.5, 5
"""Pixels, least correlation and number of the looks at a point's surroundings, turned and scaled back with its thing,
that have to be as on the first frame in the median: another way to tell what was swept up."""
LEAST_POINTS = 4
LEAST_SEEN = 0.5
"""Share of the frames a point is visible on at least to speak for a thing."""


def moving_things(tracks: Tracks, most: int = 4, frames: NDArray[np.uint8] | None = None) -> list[NDArray[np.int64]]:
    """The things that move, those of most points and longest ways first: indices of their tracks.

    Motion is against the camera's, which is what most points share. Where nothing moves by itself but the camera does,
    the picture as a whole is the only thing; where nothing moves at all there is none.

    Args:
        most: things to name at most.
        frames: uint8 [T, H, W, 3], the video; points that come to look like something else are left out.
    """
    diagonal = float(np.hypot(*tracks.size))
    points, seen = tracks.points.astype(np.float64), tracks.visible
    fit = similarities(points, seen)
    if fit is None or not seen[0].any():
        return []
    steady = seen[0] & (seen.mean(0) >= LEAST_SEEN)
    own = _missed(points, seen, fit).max(0)
    moves = steady & (own > MOVES * diagonal)
    linked = _groups(points, seen, np.flatnonzero(moves), diagonal)
    kept = (_without_strays(points, seen, each, diagonal) for each in linked if len(each) >= LEAST_POINTS)
    if frames is not None:
        kept = (same_look(frames, tracks, each) for each in kept if len(each) >= LEAST_POINTS)
    groups = [group for group in kept if len(group) >= LEAST_POINTS]
    groups.sort(key=lambda group: -float(np.sqrt(len(group)) * np.median(own[group])))
    if groups:
        return groups[:most]
    rest = np.flatnonzero(steady & ~moves)
    way = np.linalg.norm(points - points[0], axis=-1)
    gone = np.where(seen, way, 0.0).max(0)
    if len(rest) >= LEAST_POINTS and np.quantile(gone[rest], 0.75) > MOVES * diagonal:
        return [rest]
    return []


def same_look(frames: NDArray[np.uint8], tracks: Tracks, group: NDArray[np.int64]) -> NDArray[np.int64]:
    """The members of a thing whose surroundings stay what they were on the first frame."""
    points, seen = tracks.points[:, group].astype(np.float64), tracks.visible[:, group]
    fit = similarities(points, seen)
    if fit is None:
        return group
    reach = np.arange(PATCH) - PATCH // 2
    around = (reach[None, :] + 1j * reach[:, None]).ravel()
    places = points @ np.array([1.0, 1j])
    scores = np.full((LOOKS, len(group)), np.nan)
    before = _patches(frames[0], places[0][:, None] + around)
    for look, frame in enumerate(np.linspace(1, len(frames) - 1, LOOKS).astype(np.int64)):
        turn = fit.scale[frame] * np.exp(1j * np.radians(fit.angle[frame]))
        now = _patches(frames[frame], places[frame][:, None] + turn * around)
        scores[look] = np.where(seen[frame], (before * now).sum(1), np.nan)
    looked = ~np.isnan(scores).all(0)
    alike = np.zeros(len(group), np.bool_)
    alike[looked] = np.nanmedian(scores[:, looked], axis=0) >= ALIKE
    return group[alike]


def _patches(frame: NDArray[np.uint8], places: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Grey levels at places [N, P] of a frame, each row without its mean and of length one."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    x, y = (np.asarray(part - 0.5, np.float32) for part in (places.real, places.imag))
    found = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float64)
    found -= found.mean(1, keepdims=True)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), PATCH)


def _groups(
    points: NDArray[np.float64], seen: NDArray[np.bool_], members: NDArray[np.int64], diagonal: float
) -> list[NDArray[np.int64]]:
    """Connected neighbours that keep their distances."""
    if len(members) == 0:
        return []
    from scipy.sparse import csr_matrix  # pyright: ignore[reportMissingTypeStubs]
    from scipy.sparse.csgraph import connected_components  # pyright: ignore[reportMissingTypeStubs]

    place, there = points[:, members], seen[:, members]
    start = np.linalg.norm(place[0][:, None] - place[0][None], axis=-1)
    change = np.zeros_like(start)
    for frame in range(1, len(place)):  # frame by frame: pairs times frames would be large
        now = np.linalg.norm(place[frame][:, None] - place[frame][None], axis=-1)
        both = there[frame][:, None] & there[frame][None]
        change = np.maximum(change, np.where(both, np.abs(now - start), 0.0))
    linked = (start < NEAR * diagonal) & (change < STIFF * start + SLACK * diagonal)
    found: Any = connected_components(csr_matrix(linked), directed=False)
    return [members[found[1] == number] for number in range(found[0])]


def _without_strays(
    points: NDArray[np.float64], seen: NDArray[np.bool_], group: NDArray[np.int64], diagonal: float
) -> NDArray[np.int64]:
    """The members that one similarity carries."""
    fit = similarities(points[:, group], seen[:, group])
    if fit is None or len(group) < LEAST_POINTS:
        return group
    there = seen[:, group]
    missed = np.sqrt((_missed(points[:, group], there, fit) ** 2).sum(0) / np.maximum(there.sum(0), 1))
    return group[missed < STRAY * diagonal]


def _missed(points: NDArray[np.float64], seen: NDArray[np.bool_], fit: Similarities) -> NDArray[np.float64]:
    """Pixels [T, N] from where the fit carries the points of the first frame; 0 where they are hidden."""
    turn, centre = fit.scale * np.exp(1j * np.radians(fit.angle)), complex(*fit.centre)
    flat, shift = points @ np.array([1.0, 1j]), fit.shift @ np.array([1.0, 1j])
    return np.where(seen, np.abs(flat - (centre + shift[:, None] + turn[:, None] * (flat[0] - centre))), 0.0)
