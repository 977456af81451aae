"""From a few drawn tracks to many: a grid of tracks over the picture, every layer moved with its own.

Models that were trained on one feature per latent cell see one moving point as one moving cell. Spreading the motion
over the whole layer first tells them what the person meant: this thing moves, the rest does not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.interpolate import interpolate_motion
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks

_GROWN = 1.5
"""Times as far apart as at the start: from there on neighbours leave cells between them that nobody writes to."""

_FINEST = 4
"""Tracks along each side of a grid cell, at most."""


def dense_tracks(layers: Sequence[Layer], spacing: float) -> Tracks:
    """One track per grid cell of the first frame, each moved with the foremost layer that covers it.

    Where a layer grows as a whole, as in a zoom, further tracks begin between those of the grid, so many that they lie
    a cell apart when it is largest. They are visible while it is large, and in the first frame.

    Args:
        layers: at least one, back to front, on one canvas and one time grid.
        spacing: pixels between grid points; the first ones are at half of it.

    Returns:
        Tracks of the layers' canvas: those of the grid, row by row, then those between them. A point is hidden where it
        leaves the canvas or where a layer in front has moved over it. Without any drawn track there is none.

    Raises:
        InputError: no layer, or a spacing that is not above zero.
    """
    if not layers:
        raise InputError("layers: found none, expected at least one")
    if not spacing > 0:
        raise InputError(f"spacing: found {spacing}, expected pixels above zero")
    sample = layers[0].tracks
    if not any(layer.tracks.num_tracks for layer in layers):
        return Tracks.empty(sample.num_frames, sample.size, sample.fps)
    ordered = sorted(layers, key=lambda layer: layer.order)
    y, x = np.mgrid[spacing / 2 : sample.height : spacing, spacing / 2 : sample.width : spacing]
    grid, owner = np.stack([x.ravel(), y.ravel()], axis=-1), _owners(ordered, x.ravel(), y.ravel())
    points = _moved(ordered, grid, owner)
    growth = _growth(points.reshape(-1, *x.shape, 2), owner.reshape(x.shape), spacing)
    between, cells = _between(grid, growth.max(0), spacing, sample.size)
    owner_between = _owners(ordered, *between.T)
    moved = _moved(ordered, between, owner_between)
    needed = growth[:, cells] > _GROWN

    every = np.concatenate([points, moved], axis=1)
    tracks = Tracks(every, np.ones(every.shape[:2], bool), sample.size, sample.fps)
    visible = tracks.inside() & ~_covered(points, owner, every, np.concatenate([owner, owner_between]), spacing)
    visible[:, len(grid) :] &= needed
    visible[0] = True
    return Tracks(every, visible, sample.size, sample.fps)


def _owners(ordered: Sequence[Layer], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int_]:
    """Places of the foremost layers that cover points of the first frame."""
    height, width = ordered[0].tracks.size
    rows, columns = np.minimum(y.astype(int), height - 1), np.minimum(x.astype(int), width - 1)
    owner = np.zeros(len(x), int)
    for place, layer in enumerate(ordered):
        if layer.region is not None:
            owner[layer.region[rows, columns]] = place
    return owner


def _moved(ordered: Sequence[Layer], start: NDArray[np.float64], owner: NDArray[np.int_]) -> NDArray[np.float32]:
    """Points [M, 2] of the first frame, each moved with its layer, [T, M, 2]."""
    points = np.repeat(start[None], ordered[0].tracks.num_frames, axis=0).astype(np.float32)
    for place, layer in enumerate(ordered):
        mine = owner == place
        if mine.any() and layer.tracks.num_tracks:
            # A region moves as a whole: no fall-off towards its edge.
            reach = None if layer.region is None else 1e6
            points[:, mine], _ = interpolate_motion(layer.tracks, start[mine], reach=reach)
    return points


def _growth(points: NDArray[np.float32], owner: NDArray[np.int_], spacing: float) -> NDArray[np.float32]:
    """How many times as far apart as at the start the neighbours in each cell's layer are, [T, cells].

    The larger of across and down; of each, the median of the layer: where parts of it go different ways the stretch
    between them is no growth, but a gap that other things will be seen in.

    Args:
        points: [T, rows, columns, 2]; owner: [rows, columns].
    """
    growth = np.ones((len(points), owner.size), np.float32)
    for axis in (1, 2):
        step = np.linalg.norm(np.diff(points, axis=axis), axis=-1) / spacing
        before, after = (np.delete(owner, end, axis - 1) for end in (-1, 0))
        for place in np.unique(owner):
            within = (before == place) & (after == place)
            if within.any():
                mine = owner.ravel() == place
                growth[:, mine] = np.maximum(growth[:, mine], np.median(step[:, within], axis=1)[:, None])
    return growth


def _between(
    grid: NDArray[np.float64], most: NDArray[np.float32], spacing: float, size: tuple[int, int]
) -> tuple[NDArray[np.float64], NDArray[np.int_]]:
    """Points [M, 2] inside the cells that grow, and the cell of each, [M]."""
    fineness = np.minimum(np.ceil(most), _FINEST).astype(int)
    points, cells = [np.zeros((0, 2))], [np.zeros(0, int)]
    for fine in range(2, _FINEST + 1):
        here = np.flatnonzero((fineness == fine) & (most > _GROWN))
        along = ((np.arange(fine) + 0.5) / fine - 0.5) * spacing
        offsets = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
        offsets = offsets[np.abs(offsets).max(1) > 0]  # the middle is the grid's own
        points.append((grid[here, None] + offsets).reshape(-1, 2))
        cells.append(np.repeat(here, len(offsets)))
    found, cell = np.concatenate(points), np.concatenate(cells)
    inside = (found < [size[1], size[0]]).all(-1)  # cells at the border may be cut
    return found[inside], cell[inside]


def _covered(
    grid: NDArray[np.float32],
    grid_owner: NDArray[np.int_],
    points: NDArray[np.float32],
    owner: NDArray[np.int_],
    spacing: float,
) -> NDArray[np.bool_]:
    """bool [T, M]: a grid point of a layer in front is so near that its cell lies over this point."""
    from scipy.spatial import KDTree

    covered = np.zeros(points.shape[:2], bool)
    for place in range(1, int(grid_owner.max(initial=0)) + 1):
        front, behind = grid_owner == place, owner < place
        if not front.any() or not behind.any():
            continue
        for frame in range(1, points.shape[0]):
            tree = KDTree(grid[frame, front])
            # Half the diagonal of a cell, wider where the layer has grown: its points are then further apart.
            apart, _ = tree.query(grid[frame, front], k=2)
            gap = np.median(apart[:, 1]) if front.sum() > 1 else spacing
            distance, _ = tree.query(points[frame, behind], distance_upper_bound=0.6 * max(spacing, float(gap)))
            covered[frame, behind] |= np.isfinite(distance)
    return covered
