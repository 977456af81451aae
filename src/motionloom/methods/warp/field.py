"""Backward motion: for every pixel of a frame, where in the photograph it comes from.

Fields are displacements (source - target) in pixels on a coarse lattice, [T, rows, columns, 2], whose cells are
`cell_of(size)` pixels wide with values at their centres and `MARGIN` cells around the image; they are smooth, so
`upsample` loses nothing. Paths are complete (`motionloom.tracks.interpolate.complete`): [T, N, 2].
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.interpolate import (
    apply_operator,
    automatic_reach,
    falloff,
    is_moving,
    least_squares_operator,
    limit_length,
)

CELLS = 60
"""Cells along the short side, roughly."""
MARGIN = 2
SUBSTEP = 0.12
"""A dragged neighbourhood moves on by at most this share of its reach at a time, so that it never folds."""
ONE_MAP = 0.02
"""Pixels: paths that one similarity per frame explains this well need no interpolation."""


def cell_of(size: tuple[int, int]) -> int:
    """Width of a lattice cell for an image of (height, width), in pixels: even, 8 for 480x832."""
    return max(2, 2 * round(min(size) / CELLS / 2))


def lattice(size: tuple[int, int]) -> NDArray[Any]:
    """Positions of the lattice: float64 [rows, columns, 2], (x, y) in pixels."""
    cell = cell_of(size)
    rows, columns = (-(-side // cell) + 2 * MARGIN for side in size)
    y = (np.arange(rows) + 0.5 - MARGIN) * cell
    x = (np.arange(columns) + 0.5 - MARGIN) * cell
    return np.stack(np.meshgrid(x, y), axis=-1)


def upsample(field: NDArray[np.float64], size: tuple[int, int]) -> NDArray[Any]:
    """A lattice field [rows, columns, 2] at every pixel centre: float32 [H, W, 2]."""
    rows, columns = field.shape[:2]
    cell = cell_of(size)
    part = min(4, cell // 2)
    down, across = _refinement(rows, part), _refinement(columns, part)
    taller = (down @ field.reshape(rows, -1)).reshape(-1, columns, 2)
    wider = across @ np.ascontiguousarray(taller.transpose(1, 0, 2)).reshape(columns, -1)
    finer = np.ascontiguousarray(wider.reshape(across.shape[0], -1, 2).transpose(1, 0, 2), np.float32)
    fine = cv2.resize(finer, (columns * cell, rows * cell), interpolation=cv2.INTER_LINEAR)
    start = MARGIN * cell
    return np.ascontiguousarray(fine[start : start + size[0], start : start + size[1]])


@lru_cache(maxsize=16)
def _refinement(cells: int, parts: int) -> Any:
    """Sparse [cells * parts, cells]: Catmull-Rom interpolation to cells a few pixels wide, where a line will do.

    It reproduces straight lines and parabolas; OpenCV's own cubic does not, and makes a zoom wobble by a tenth pixel.
    """
    from scipy.sparse import csr_matrix

    count = cells * parts
    place = (np.arange(count) + 0.5) * cells / count - 0.5
    low = np.floor(place).astype(np.int64)
    t = place - low
    weight = 0.5 * np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2], 1)
    column = np.clip(low[:, None] + np.arange(-1, 3), 0, cells - 1)
    row = np.repeat(np.arange(count), 4)
    return csr_matrix((weight.ravel(), (row, column.ravel())), shape=(count, cells))


def similarities(
    paths: NDArray[np.float64], seen: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.complex128], NDArray[np.complex128], float]:
    """The least-squares similarity of every frame, z -> turn * z + shift with z = x + iy, and its largest error.

    Args:
        seen: bool [T, N], the positions that count; default all, as in frames where none is seen.

    Returns:
        turn [T] (scale and rotation), shift [T], error: pixels, over what counts. One path, or all at one place: a
        pure shift.
    """
    position = paths[..., 0] + 1j * paths[..., 1]
    weight = np.ones(position.shape) if seen is None else seen.astype(np.float64)
    weight[weight.sum(axis=1) == 0] = 1.0
    weight /= weight.sum(axis=1, keepdims=True)
    centre = (weight * position).sum(axis=1)
    start = (weight * position[0]).sum(axis=1)
    rest = position[0] - start[:, None]
    spread = (weight * np.abs(rest) ** 2).sum(axis=1)
    matched = (weight * (position - centre[:, None]) * rest.conj()).sum(axis=1)
    turn = np.where(spread > 1e-6, matched / np.maximum(spread, 1e-12), 1.0)
    shift = centre - turn * start
    error = np.abs(turn[:, None] * position[0] + shift[:, None] - position)
    return turn, shift, float(error[weight > 0].max())


def background_field(
    paths: NDArray[np.float64], seen: NDArray[np.bool_], size: tuple[int, int], *, reach: float | None = None
) -> NDArray[np.float64]:
    """The backward field of the whole picture from its tracks, with the reach of `interpolate_motion`."""
    grid = lattice(size)
    if paths.shape[1] == 0 or not is_moving(paths).any():
        return np.zeros((len(paths), *grid.shape))
    if reach is None:
        reach = automatic_reach(paths, size)
    if not np.isfinite(reach):
        return whole_field(paths, seen, size)
    return _dragged_field(paths, grid, reach, cell_of(size))


def whole_field(paths: NDArray[np.float64], seen: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.float64]:
    """The backward field of tracks that act everywhere: moving least squares from each frame back to the first."""
    grid = lattice(size)
    turn, shift, error = similarities(paths, seen)
    if error <= ONE_MAP and (seen.sum(axis=1) >= min(2, seen.shape[1])).all() and np.abs(turn).min() > 1e-3:
        place = grid[..., 0] + 1j * grid[..., 1]
        source = (place[None] - shift[:, None, None]) / turn[:, None, None] - place
        return np.stack([source.real, source.imag], axis=-1)
    trust = _trust(seen)
    flat = grid.reshape(-1, 2)
    field = np.zeros((len(paths), len(flat), 2))
    for t in range(1, len(paths)):
        used = np.flatnonzero(trust[t] > 0.02)
        back = (paths[0, used] - paths[t, used])[None]
        if np.abs(back).max() > 1e-6:
            operator, _ = least_squares_operator(paths[t, used], flat, weight=trust[t, used])
            field[t] = apply_operator(operator, back)[0]
    return field.reshape(len(paths), *grid.shape)


def _trust(seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """[T, N]: visibility that comes and goes over a few frames; 1 for all in a frame where nothing is visible."""
    from scipy.ndimage import gaussian_filter1d

    trust = seen.astype(np.float64)
    if not seen.all() and len(seen) > 1:
        trust = gaussian_filter1d(trust, 1.5, axis=0, mode="nearest")
    lost = trust.max(axis=1) <= 0.02
    trust[lost] = 1.0
    return trust


def _dragged_field(
    paths: NDArray[np.float64], grid: NDArray[np.float64], reach: float, cell: int
) -> NDArray[np.float64]:
    """A few tracks drag their neighbourhood along, in steps too small to fold, the way one pushes wet paint.

    The maps of the steps are chained: source(x at t) = source(x - step(x) at t - 1). A last correction takes out what
    chaining lost, so that every track is met exactly.
    """
    from scipy.ndimage import map_coordinates

    moving = is_moving(paths)
    # Static anchors far from everything that moves change nothing.
    ways = paths[:, moving].reshape(-1, 2)
    low, high = ways.min(axis=0) - 3 * reach, ways.max(axis=0) + 3 * reach
    kept = moving | ((paths[0] >= low) & (paths[0] <= high)).all(axis=1)
    paths, moving = paths[:, kept], moving[kept]
    flat = grid.reshape(-1, 2)
    field = np.zeros((len(paths), len(flat), 2))
    shape = grid.shape[:2]
    chained = np.zeros_like(flat)
    for t in range(1, len(paths)):
        longest = np.hypot(*(paths[t] - paths[t - 1]).T).max()
        steps = int(np.ceil(longest / (SUBSTEP * reach)))
        for k in range(steps):
            ahead = paths[t - 1] + (paths[t] - paths[t - 1]) * ((k + 1) / steps)
            back = (paths[t - 1] - paths[t]) / steps
            factor = falloff(flat, ahead[moving], reach)
            near = np.flatnonzero(factor > 0)
            operator, _ = least_squares_operator(ahead, flat[near])
            step = limit_length(apply_operator(operator, back[None]), back[None])[0] * factor[near, None]
            origin = (flat[near] + step) / cell - 0.5 + MARGIN
            maps = chained.reshape(*shape, 2)
            for axis in (0, 1):
                old = map_coordinates(maps[..., axis], [origin[:, 1], origin[:, 0]], order=3, mode="nearest")
                chained[near, axis] = step[:, axis] + old
        field[t] = chained + _correction(chained.reshape(*shape, 2), paths[0], paths[t], moving, flat, reach, cell)
    return field.reshape(len(paths), *grid.shape)


def _correction(
    maps: NDArray[np.float64],
    rest: NDArray[np.float64],
    now: NDArray[np.float64],
    moving: NDArray[np.bool_],
    flat: NDArray[np.float64],
    reach: float,
    cell: int,
) -> NDArray[np.float64]:
    from scipy.ndimage import map_coordinates

    place = now / cell - 0.5 + MARGIN
    found = [map_coordinates(maps[..., axis], [place[:, 1], place[:, 0]], order=3, mode="nearest") for axis in (0, 1)]
    missing = rest - now - np.stack(found, axis=-1)
    correction = np.zeros_like(flat)
    if np.abs(missing).max() < 0.01:
        return correction
    factor = falloff(flat, now[moving], reach)
    near = np.flatnonzero(factor > 0)
    operator, _ = least_squares_operator(now, flat[near], rigidity="translation")
    correction[near] = apply_operator(operator, missing[None])[0] * factor[near, None]
    return correction


def scale_of(field: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """[T]: source pixels per target pixel (above 1 the picture shrinks), the median over the lattice."""
    inner = field[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    if min(inner.shape[1:3]) < 2:
        return np.ones(len(field))
    cell = cell_of(size)
    across, down = np.diff(inner, axis=2)[:, :-1] / cell, np.diff(inner, axis=1)[:, :, :-1] / cell
    area = (1 + across[..., 0]) * (1 + down[..., 1]) - across[..., 1] * down[..., 0]
    return np.sqrt(np.abs(np.median(area.reshape(len(field), -1), axis=1)))
