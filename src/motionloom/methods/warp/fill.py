"""Filling what was behind: patches of the rest of the picture, from coarse to fine.

Every patch that touches the hole looks for the most similar patch of the known picture, and every pixel of the hole
becomes the weighted mean of what the patches covering it propose; repeated, on ever finer images. After Wexler,
Shechtman and Irani, "Space-time completion of video" (PAMI 2007), with the search of Barnes et al., "PatchMatch"
(SIGGRAPH 2009) where the exhaustive one would be too dear. Unlike diffusion it continues texture and edges.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

RADIUS = 3
"""Patches are 7x7 (Wexler et al. use 5 to 7)."""
COARSEST = 6.0
"""The coarsest level is the first on which no pixel of the hole is further than this from its rim."""
NEARBY = 90.0
"""A match at the other end of the picture has to be better by this many grey levels: a hole resembles what is near."""
EXHAUSTIVE = 3e7
"""Pairs of patches up to which all are compared."""
SEARCH_SIDE = 480
"""Longest side up to which matches are searched; above, they are carried over and only the pixels are finer."""

Match = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Rows and columns of the matched centres, each as large as the box around the hole (`_refine`)."""


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
    match: Match | None = None
    corner = (0, 0)
    for depth in reversed(range(len(levels))):
        known, gap, closed = levels[depth]
        if depth < len(levels) - 1:
            size = (known.shape[1], known.shape[0])
            current = np.where(gap[..., None], cv2.resize(current, size, interpolation=cv2.INTER_LINEAR), known)
        searched = max(known.shape[:2]) <= SEARCH_SIDE or depth == len(levels) - 1
        rounds = (12 if depth == len(levels) - 1 else 3 + depth) if searched else 1
        current, match, corner = _refine(current, gap, closed, match, corner, rounds, searched, rng)
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
    coarse = total / np.maximum(share, 1e-6)[..., None]
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
    offered = _Patches(image).at(source[:, 0], source[:, 1])
    open_ = hole.copy()
    while open_.any():
        ring = open_ & ~cv2.erode(open_.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        if not ring.any():
            break
        y, x = np.nonzero(ring)
        sure = _Patches(np.repeat((~open_)[..., None], 3, axis=2).astype(np.float32)).at(y, x)
        wanted = _Patches(current).at(y, x)
        distance = sure @ (offered**2).T - 2.0 * (sure * wanted) @ offered.T
        distance += _remoteness(y, x, source, hole.shape)
        best = source[distance.argmin(axis=1)]
        current[y, x] = image[best[:, 0], best[:, 1]]
        open_ &= ~ring
    return current


def _remoteness(
    y: NDArray[np.int64], x: NDArray[np.int64], sources: NDArray[np.int64], shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """[K, S]: what distance adds to the squared difference of two patches (`NEARBY`)."""
    square = (y[:, None] - sources[None, :, 0]) ** 2 + (x[:, None] - sources[None, :, 1]) ** 2
    values = 3 * (2 * RADIUS + 1) ** 2
    return (square * (values * NEARBY**2 / (shape[0] ** 2 + shape[1] ** 2))).astype(np.float32)


def _refine(
    current: NDArray[np.float32],
    hole: NDArray[np.bool_],
    forbidden: NDArray[np.bool_],
    match: Match | None,
    match_corner: tuple[int, int],
    rounds: int,
    searched: bool,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], Match | None, tuple[int, int]]:
    """Alternate between finding matches and letting them vote, on one level; corners are those of the match boxes."""
    kernel = np.ones((2 * RADIUS + 1, 2 * RADIUS + 1), np.uint8)
    touching = cv2.dilate(hole.astype(np.uint8), kernel).astype(bool)
    rows, columns = np.flatnonzero(touching.any(axis=1)), np.flatnonzero(touching.any(axis=0))
    top, bottom, left, right = int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
    source = _source_centres(forbidden, hole)
    if not source.any():
        return current, None, (0, 0)
    grid_y, grid_x = np.mgrid[top:bottom, left:right]
    sources = np.argwhere(source)
    exhaustive = float(touching.sum()) * len(sources) <= EXHAUSTIVE
    if match is not None:
        match = _carry_over(match, match_corner, grid_y, grid_x, source)
    # How far a target is from known pixels: what lies at the rim is sure and outvotes the middle.
    depth = cv2.distanceTransform(np.pad(hole, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    trust = 1.3 ** -depth[top:bottom, left:right].astype(np.float32)
    active = touching[top:bottom, left:right]
    targets = (grid_y[active], grid_x[active])
    for round_ in range(rounds):
        patches = _Patches(current)
        if exhaustive and searched:
            match, cost = _all_pairs(patches, targets, sources, active, hole.shape)
        else:
            if match is None:
                pick = sources[rng.integers(len(sources), size=active.shape)]
                match = (pick[..., 0], pick[..., 1])
            match, cost = _patch_match(patches, active, (top, left), match, source, searched, rng)
        sharp = 0.25 if round_ == rounds - 1 else 0.75
        voted = _vote(current, match, cost, trust, active, (top, left), sharp)
        current = np.where(hole[..., None], voted, current)
    return current, match, (top, left)


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


class _Patches:
    """Patches of an image by their centres, with the image's rim mirrored outwards."""

    def __init__(self, image: NDArray[np.float32]) -> None:
        padded = cv2.copyMakeBorder(image, RADIUS, RADIUS, RADIUS, RADIUS, cv2.BORDER_REFLECT)
        side = 2 * RADIUS + 1
        self.stride = padded.shape[1]
        self.flat = padded.reshape(-1, 3)
        rows, columns = np.mgrid[0:side, 0:side]
        self.around = (rows * self.stride + columns).ravel()

    def at(self, y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [K, 7 * 7 * 3]"""
        start = y * self.stride + x
        return self.flat[start[:, None] + self.around[None]].reshape(len(start), -1)


def _all_pairs(
    patches: _Patches, targets: Match, sources: NDArray[np.int64], active: NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[Match, NDArray[np.float32]]:
    offered = patches.at(sources[:, 0], sources[:, 1])
    wanted = patches.at(*targets)
    length = (offered**2).sum(axis=1)
    best = np.empty(len(wanted), np.int64)
    lowest = np.empty(len(wanted), np.float32)
    for start in range(0, len(wanted), 1024):
        part = wanted[start : start + 1024]
        distance = length[None] - 2.0 * (part @ offered.T)
        near = distance + _remoteness(
            targets[0][start : start + 1024], targets[1][start : start + 1024], sources, shape
        )
        chosen = near.argmin(axis=1)
        best[start : start + 1024] = chosen
        lowest[start : start + 1024] = distance[np.arange(len(chosen)), chosen] + (part**2).sum(axis=1)
    match_y, match_x = np.zeros(active.shape, np.int64), np.zeros(active.shape, np.int64)
    cost = np.zeros(active.shape, np.float32)
    match_y[active], match_x[active] = sources[best, 0], sources[best, 1]
    cost[active] = np.maximum(lowest, 0.0)
    return (match_y, match_x), cost


def _patch_match(
    patches: _Patches,
    active: NDArray[np.bool_],
    corner: tuple[int, int],
    match: Match,
    source: NDArray[np.bool_],
    searched: bool,
    rng: np.random.Generator,
) -> tuple[Match, NDArray[np.float32]]:
    """Better matches: those of the neighbours, shifted along, and random ones around, at shrinking distance."""
    height, width = source.shape
    ys, xs = np.nonzero(active)
    wanted = patches.at(ys + corner[0], xs + corner[1])
    match_y, match_x = match[0].copy(), match[1].copy()
    best_y, best_x = match_y[active], match_x[active]
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

    if searched:
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
    patches: _Patches, wanted: NDArray[np.float32], y: NDArray[np.int64], x: NDArray[np.int64]
) -> NDArray[np.float32]:
    difference = patches.at(y, x)
    difference -= wanted
    return np.einsum("kp,kp->k", difference, difference)


def _carry_over(
    match: Match, corner: tuple[int, int], y: NDArray[np.int64], x: NDArray[np.int64], source: NDArray[np.bool_]
) -> Match:
    """Matches of the coarser level for the centres (y, x) of this one: twice as far, moved onto allowed patches."""
    from scipy.ndimage import distance_transform_edt

    old_y = np.clip(y // 2 - corner[0], 0, match[0].shape[0] - 1)
    old_x = np.clip(x // 2 - corner[1], 0, match[0].shape[1] - 1)
    new_y = np.clip(2 * match[0][old_y, old_x] + y % 2, 0, source.shape[0] - 1)
    new_x = np.clip(2 * match[1][old_y, old_x] + x % 2, 0, source.shape[1] - 1)
    nearest = np.asarray(distance_transform_edt(~source, return_distances=False, return_indices=True), np.int64)
    return nearest[0][new_y, new_x], nearest[1][new_y, new_x]


def _vote(
    current: NDArray[np.float32],
    match: Match,
    cost: NDArray[np.float32],
    trust: NDArray[np.float32],
    active: NDArray[np.bool_],
    corner: tuple[int, int],
    sharpness: float,
) -> NDArray[np.float32]:
    """Every pixel as the mean of what the patches over it propose; good matches near the rim count most."""
    scale = np.quantile(cost[active], 0.75) * sharpness + 1e-3
    weight = np.where(active, trust * np.exp(-cost / (2.0 * scale)) + 1e-12, 0.0).astype(np.float32)
    height, width = active.shape
    total = np.zeros((height + 2 * RADIUS, width + 2 * RADIUS, 3), np.float32)
    share = np.zeros(total.shape[:2], np.float32)
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
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
