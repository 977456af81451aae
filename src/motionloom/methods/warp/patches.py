"""Finding the most similar patch: exhaustively, or by Barnes et al., "PatchMatch" (SIGGRAPH 2009).

A match belongs to a box of targets, some of them active; its rows and columns are centres in the whole image.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

RADIUS = 3
"""Patches are 7x7 (Wexler et al. use 5 to 7)."""
NEARBY = 90.0
"""A match at the other end of the picture has to be better by this many grey levels: a hole resembles what is near."""
Match = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns of the matched centres, each as large as the box of targets."""


class Patches:
    """Patches of an image by their centres, with the image's rim mirrored outwards."""

    def __init__(self, image: NDArray[np.float32]) -> None:
        padded = cv2.copyMakeBorder(image, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT)
        side = 2 * RADIUS + 1
        self.stride = padded.shape[1]
        self.flat = padded.reshape(-1, 3)
        rows, columns = np.mgrid[0:side, 0:side]
        self.around = (rows * self.stride + columns).ravel()

    def at(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[Any]:
        """The patches centred at (y, x) [K]: float32 [K, 7 * 7 * 3]."""
        start = y * self.stride + x
        return self.flat[start[:, None] + self.around[None]].reshape(len(start), -1)


def all_pairs(
    patches: Patches, targets: Match, sources: NDArray[np.int64], active: NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[Match, NDArray[np.float32]]:
    """The best of all source patches [S, 2] for every target, and the squared difference; near ones preferred."""
    offered = patches.at(sources[:, 0], sources[:, 1])
    wanted = patches.at(*targets)
    length = (offered**2).sum(axis=1)
    best = np.empty(len(wanted), np.int64)
    lowest = np.empty(len(wanted), np.float32)
    for start in range(0, len(wanted), 512):
        part = slice(start, start + 512)
        distance = length[None] - 2.0 * (wanted[part] @ offered.T)
        chosen = (distance + remoteness(targets[0][part], targets[1][part], sources, shape)).argmin(axis=1)
        best[part] = chosen
        lowest[part] = distance[np.arange(len(chosen)), chosen] + (wanted[part] ** 2).sum(axis=1)
    match_y, match_x = np.zeros(active.shape, np.int64), np.zeros(active.shape, np.int64)
    cost = np.zeros(active.shape, np.float32)
    match_y[active], match_x[active] = sources[best, 0], sources[best, 1]
    cost[active] = np.maximum(lowest, 0.0)
    return (match_y, match_x), cost


def patch_match(
    patches: Patches,
    active: NDArray[np.bool_],
    corner: tuple[int, int],
    match: Match,
    source: NDArray[np.bool_],
    rng: np.random.Generator,
) -> tuple[Match, NDArray[np.float32]]:
    """Better matches, with their squared differences: the neighbours' shifted along, and random ones around.

    Args:
        active: bool [h, w], the targets of a box whose corner in the image is ``corner``. source: bool [H, W], centres
            of patches that may be matched.
    """
    height, width = source.shape
    ys, xs = np.nonzero(active)
    match_y, match_x = match[0].copy(), match[1].copy()
    best_y, best_x = match_y[active], match_x[active]
    wanted = patches.at(ys + corner[0], xs + corner[1])
    lowest = _cost(patches, wanted, best_y, best_x)

    def consider(new_y: NDArray[np.int64], new_x: NDArray[np.int64]) -> None:
        new_y, new_x = np.clip(new_y, 0, height - 1), np.clip(new_x, 0, width - 1)
        tried = np.flatnonzero(source[new_y, new_x] & ((new_y != best_y) | (new_x != best_x)))
        if not len(tried):
            return
        distance = _cost(patches, wanted[tried], new_y[tried], new_x[tried])
        better = distance < lowest[tried]
        chosen = tried[better]
        lowest[chosen], best_y[chosen], best_x[chosen] = distance[better], new_y[chosen], new_x[chosen]

    for stride in (8, 4, 2, 1):
        for dy, dx in ((0, stride), (0, -stride), (stride, 0), (-stride, 0)):
            match_y[active], match_x[active] = best_y, best_x
            from_y = np.clip(ys + dy, 0, active.shape[0] - 1)
            from_x = np.clip(xs + dx, 0, active.shape[1] - 1)
            alike = active[from_y, from_x]
            new_y = np.where(alike, match_y[from_y, from_x] - (from_y - ys), best_y)
            new_x = np.where(alike, match_x[from_y, from_x] - (from_x - xs), best_x)
            consider(new_y, new_x)
    radius = max(height, width) / 2
    while radius >= 1:
        step = rng.uniform(-radius, radius, (2, len(ys)))
        consider(best_y + np.rint(step[0]).astype(np.int64), best_x + np.rint(step[1]).astype(np.int64))
        radius /= 3
    match_y[active], match_x[active] = best_y, best_x
    cost = np.zeros(active.shape, np.float32)
    cost[active] = lowest
    return (match_y, match_x), cost


def _cost(
    patches: Patches, wanted: NDArray[np.float32], y: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.float32]:
    difference = patches.at(y, x)
    difference -= wanted
    return np.einsum("kp,kp->k", difference, difference)


def carry_over(
    match: Match,
    cost: NDArray[np.float32],
    corner: tuple[int, int],
    y: NDArray[np.int64],
    x: NDArray[np.int64],
    source: NDArray[np.bool_],
) -> tuple[Match, NDArray[np.float32]]:
    """Matches of the coarser level for the centres (y, x) of this one: twice as far, moved onto allowed patches."""
    from scipy.ndimage import distance_transform_edt

    old_y = np.clip(y // 2 - corner[0], 0, match[0].shape[0] - 1)
    old_x = np.clip(x // 2 - corner[1], 0, match[0].shape[1] - 1)
    new_y = np.clip(2 * match[0][old_y, old_x] + y % 2, 0, source.shape[0] - 1)
    new_x = np.clip(2 * match[1][old_y, old_x] + x % 2, 0, source.shape[1] - 1)
    nearest = np.asarray(distance_transform_edt(~source, return_distances=False, return_indices=True), np.int64)
    return (nearest[0][new_y, new_x], nearest[1][new_y, new_x]), cost[old_y, old_x]


def remoteness(
    y: NDArray[np.int64], x: NDArray[np.int64], sources: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[Any]:
    """float32 [K, S]: what distance adds to the squared difference of two patches (`NEARBY`)."""
    values = 3 * (2 * RADIUS + 1) ** 2
    unit = float(NEARBY * np.sqrt(values / (shape[0] ** 2 + shape[1] ** 2)))
    there = sources.astype(np.float32) * unit
    here_y, here_x = y[:, None].astype(np.float32), x[:, None].astype(np.float32)
    return (here_y * unit - there[:, 0]) ** 2 + (here_x * unit - there[:, 1]) ** 2
