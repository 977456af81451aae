"""Filling what was behind: patches of the rest of the picture, from coarse to fine.

Every patch that touches the hole looks for the most similar patch of the known picture, and every pixel of the hole
becomes the weighted mean of what the patches covering it propose; repeated, on ever finer images. After Wexler,
Shechtman and Irani, "Space-time completion of video" (PAMI 2007), with the search of Barnes et al., "PatchMatch"
(SIGGRAPH 2009) where the exhaustive one would be too dear. Unlike diffusion it continues texture and edges.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.methods.warp.patches import (
    RADIUS,
    Match,
    Patches,
    all_pairs,
    carry_over,
    patch_match,
    remoteness,
)

COARSEST = 6.0
"""The coarsest level is the first on which no pixel of the hole is further than this from its rim."""
EXHAUSTIVE = 3e7
"""Pairs of patches up to which all are compared."""
SEARCH_SIDE = 480
"""Longest side up to which matches are searched; above, they are carried over and only the pixels are finer."""


class _Found(NamedTuple):
    """Matches of one level, their squared differences [h, w], and where the box they are for begins."""

    match: Match
    cost: NDArray[np.float32]
    corner: tuple[int, int]


def fill(
    image: NDArray[np.uint8],
    hole: NDArray[np.bool_],
    *,
    avoid: NDArray[np.bool_] | None = None,
    seed: int = 0,
) -> NDArray[np.uint8]:
    """Replace the hole by texture of the rest.

    Args:
        image: uint8 [H, W, 3]. hole: bool [H, W], what to replace.
        avoid: bool [H, W], known pixels that must not be copied from (other objects). Ignored where nothing else is
            left to copy.
        seed: of the random search; the same seed gives the same pixels.

    Returns:
        uint8 [H, W, 3], identical to the image outside the hole. A hole without any known pixel is left as it is.
    """
    if not hole.any() or hole.all():
        return image.copy()
    forbidden = hole if avoid is None else hole | avoid
    top, left, bottom, right = _window(hole, forbidden)
    inner = (slice(top, bottom), slice(left, right))
    result = image.copy()
    filled = _fill_window(image[inner].astype(np.float32), hole[inner], forbidden[inner], np.random.default_rng(seed))
    result[inner] = np.where(hole[inner][..., None], np.clip(np.rint(filled), 0, 255).astype(np.uint8), image[inner])
    return result


def _window(hole: NDArray[np.bool_], forbidden: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """The hole with its surroundings: textures come from nearby, and a large photograph stays affordable."""
    height, width = hole.shape
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    margin = int(max(rows[-1] - rows[0], columns[-1] - columns[0], 0.2 * max(height, width)))
    top, bottom = max(0, rows[0] - margin), min(height, rows[-1] + 1 + margin)
    left, right = max(0, columns[0] - margin), min(width, columns[-1] + 1 + margin)
    if forbidden[top:bottom, left:right].mean() > 0.8:
        return 0, 0, height, width
    return top, left, bottom, right


def _fill_window(
    image: NDArray[np.float32], hole: NDArray[np.bool_], forbidden: NDArray[np.bool_], rng: np.random.Generator
) -> NDArray[np.float32]:
    levels = [(image, hole, forbidden)]
    while _thickness(levels[-1][1]) > COARSEST and min(levels[-1][1].shape) >= 8 * RADIUS:
        levels.append(_halve(*levels[-1]))
    current = _grow(*levels[-1])
    found: _Found | None = None
    for depth in reversed(range(len(levels))):
        known, gap, closed = levels[depth]
        if depth < len(levels) - 1:
            size = (known.shape[1], known.shape[0])
            current = np.where(gap[..., None], cv2.resize(current, size, interpolation=cv2.INTER_LINEAR), known)
        searched = max(known.shape[:2]) <= SEARCH_SIDE or depth == len(levels) - 1
        rounds = (12 if depth == len(levels) - 1 else 3 + depth) if searched else 1
        current, found = _refine(current, gap, closed, found, rounds, searched, rng)
    return current


def _thickness(hole: NDArray[np.bool_]) -> float:
    """Greatest distance in pixels from inside the hole to its rim."""
    padded = np.pad(hole, 1, mode="edge").astype(np.uint8)
    return float(cv2.distanceTransform(padded, cv2.DIST_L2, 3).max())


def _halve(
    image: NDArray[np.float32], hole: NDArray[np.bool_], forbidden: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.bool_]]:
    height, width = (side + 1 for side in hole.shape)
    size = (width // 2, height // 2)
    # Only known pixels count, or the hole's old content would bleed into the coarse picture.
    weight = (~hole).astype(np.float32)
    total = cv2.resize(image * weight[..., None], size, interpolation=cv2.INTER_AREA)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_AREA)
    coarse = (total / np.maximum(share, 1e-6)[..., None]).astype(np.float32)
    closed = cv2.resize(forbidden.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0.25
    return coarse, share < 0.5, closed


def smooth_fill(image: NDArray[np.float32], hole: NDArray[np.bool_]) -> NDArray[np.float32]:
    """The hole filled with the smoothest continuation of its rim: float32 [H, W, C], by a pyramid of known means."""
    if not hole.any() or hole.all():
        return image.copy()
    if min(hole.shape) == 1:
        return np.where(hole[..., None], image[~hole].mean(axis=0), image)
    coarse, gap, _ = _halve(image, hole, hole)
    coarse = smooth_fill(coarse, gap)
    size = (hole.shape[1], hole.shape[0])
    filled = np.where(hole[..., None], cv2.resize(coarse, size, interpolation=cv2.INTER_LINEAR), image)
    for _ in range(2):
        filled = np.where(hole[..., None], cv2.blur(filled, (3, 3)), image)
    return filled.astype(np.float32)


def _grow(image: NDArray[np.float32], hole: NDArray[np.bool_], forbidden: NDArray[np.bool_]) -> NDArray[np.float32]:
    """A first guess on the coarsest level: from the rim inwards, ring by ring, by the best match of what is there.

    Starting from a smooth guess instead makes the matching prefer smooth patches, and edges that lead into the hole
    stop at its rim.
    """
    current = smooth_fill(image, hole)
    source = np.argwhere(_source_centres(forbidden, hole))
    if len(source) < 64:
        return current
    offered = Patches(image).at(source[:, 0], source[:, 1])
    open_ = hole.copy()
    while open_.any():
        ring = open_ & ~cv2.erode(open_.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        if not ring.any():
            break
        y, x = np.nonzero(ring)
        sure = Patches(np.repeat((~open_)[..., None], 3, axis=2).astype(np.float32)).at(y, x)
        wanted = Patches(current).at(y, x)
        distance = sure @ (offered**2).T - 2.0 * (sure * wanted) @ offered.T
        distance += remoteness(y, x, source, hole.shape)
        best = source[distance.argmin(axis=1)]
        current[y, x] = image[best[:, 0], best[:, 1]]
        open_ &= ~ring
    return current


def _refine(
    current: NDArray[np.float32],
    hole: NDArray[np.bool_],
    forbidden: NDArray[np.bool_],
    coarser: _Found | None,
    rounds: int,
    searched: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], _Found | None]:
    """Alternate between finding matches and letting them vote, on one level."""
    kernel = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    touching = cv2.dilate(hole.astype(np.uint8), kernel).astype(bool)
    rows, columns = np.flatnonzero(touching.any(axis=1)), np.flatnonzero(touching.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    source = _source_centres(forbidden, hole)
    if not source.any():
        return current, None
    grid_y, grid_x = np.mgrid[top:bottom, left:right]
    match: Match | None = None
    cost = np.zeros(grid_y.shape, np.float32)
    if coarser is not None:
        match, cost = carry_over(coarser.match, coarser.cost, coarser.corner, grid_y, grid_x, source)
    # How far a target is from known pixels: what lies at the rim is sure and outvotes the middle.
    depth = cv2.distanceTransform(np.pad(hole, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    trust = 1.3 ** -np.minimum(depth[top:bottom, left:right], 60.0).astype(np.float32)
    active = touching[top:bottom, left:right]
    if match is not None and not searched:
        voted = _vote(current, match, cost, trust, active, (top, left), sharpness=0.25, stride=RADIUS)
        return np.where(hole[..., None], voted, current), _Found(match, cost, (top, left))
    targets = (grid_y[active], grid_x[active])
    sources = np.argwhere(source)
    exhaustive = float(touching.sum()) * len(sources) <= EXHAUSTIVE
    for round_ in range(rounds):
        patches = Patches(current)
        if exhaustive:
            match, cost = all_pairs(patches, targets, sources, active, hole.shape)
        else:
            if match is None:
                pick = sources[rng.integers(len(sources), size=active.shape)]
                match = (pick[..., 0], pick[..., 1])
            match, cost = patch_match(patches, active, (top, left), match, source, rng)
        sharpness = 0.25 if round_ == rounds - 1 else 0.75
        voted = _vote(current, match, cost, trust, active, (top, left), sharpness=sharpness)
        current = np.where(hole[..., None], voted, current)
    return current, None if match is None else _Found(match, cost, (top, left))


def _source_centres(forbidden: NDArray[np.bool_], hole: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Centres of patches that may be copied: wholly known, wholly inside the image."""
    kernel = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    for closed in (forbidden, hole):
        centres = ~cv2.dilate(closed.astype(np.uint8), kernel).astype(bool)
        centres[:RADIUS] = centres[-RADIUS:] = False
        centres[:, :RADIUS] = centres[:, -RADIUS:] = False
        if centres.sum() >= 64:
            return centres
    return centres


def _vote(
    current: NDArray[np.float32],
    match: Match,
    cost: NDArray[np.float32],
    trust: NDArray[np.float32],
    active: NDArray[np.bool_],
    corner: tuple[int, int],
    *,
    sharpness: float,
    stride: int = 1,
) -> NDArray[np.float32]:
    """Every pixel as the mean of what the patches over it propose; good matches near the rim count most."""
    scale = np.quantile(cost[active], 0.75) * sharpness + 1e-3
    weight = np.where(active, trust * (np.exp(-cost / (2.0 * scale)) + 1e-6), 0.0).astype(np.float32)
    height, width = active.shape
    total = np.zeros((height + 2 * RADIUS, width + 2 * RADIUS, 3), np.float32)
    share = np.zeros(total.shape[:2], np.float32)
    for dy in range(-RADIUS, RADIUS + 1, stride):
        for dx in range(-RADIUS, RADIUS + 1, stride):
            colour = current[
                np.clip(match[0] + dy, 0, current.shape[0] - 1), np.clip(match[1] + dx, 0, current.shape[1] - 1)
            ]
            window = (slice(RADIUS + dy, RADIUS + dy + height), slice(RADIUS + dx, RADIUS + dx + width))
            total[window] += colour * weight[..., None]
            share[window] += weight
    inner = (slice(RADIUS, RADIUS + height), slice(RADIUS, RADIUS + width))
    voted = current.copy()
    voted[corner[0] : corner[0] + height, corner[1] : corner[1] + width] = (
        total[inner] / np.maximum(share[inner], 1e-30)[..., None]
    )
    return voted
