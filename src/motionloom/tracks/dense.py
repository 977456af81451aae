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


def dense_tracks(layers: Sequence[Layer], spacing: float) -> Tracks:
    """One track per grid cell of the first frame, each moved with the foremost layer that covers it.

    Args:
        layers: at least one, back to front, on one canvas and one time grid.
        spacing: pixels between grid points; the first ones are at half of it.

    Returns:
        Tracks of the layers' canvas, row by row. A point is hidden where it leaves the canvas or where a layer in front
        has moved over it. Without any drawn track there is none.

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
    grid = np.stack([x.ravel(), y.ravel()], axis=-1)
    rows = np.minimum(grid[:, 1].astype(int), sample.height - 1)
    columns = np.minimum(grid[:, 0].astype(int), sample.width - 1)
    owner = np.zeros(len(grid), int)
    for place, layer in enumerate(ordered):
        if layer.region is not None:
            owner[layer.region[rows, columns]] = place

    points = np.repeat(grid[None], sample.num_frames, axis=0).astype(np.float32)
    for place, layer in enumerate(ordered):
        mine = owner == place
        if mine.any() and layer.tracks.num_tracks:
            # A region moves as a whole: no fall-off towards its edge.
            reach = None if layer.region is None else 1e6
            points[:, mine], _ = interpolate_motion(layer.tracks, grid[mine], reach=reach)
    tracks = Tracks(points, np.ones(points.shape[:2], bool), sample.size, sample.fps)
    visible = tracks.inside() & ~_covered(points, owner, spacing)
    visible[0] = True
    return Tracks(points, visible, sample.size, sample.fps)


def _covered(points: NDArray[np.float32], owner: NDArray[np.int_], spacing: float) -> NDArray[np.bool_]:
    """bool [T, M]: a point of a layer in front is so near that its cell lies over this point."""
    from scipy.spatial import KDTree

    covered = np.zeros(points.shape[:2], bool)
    for place in range(1, int(owner.max(initial=0)) + 1):
        front, behind = owner == place, owner < place
        if not front.any() or not behind.any():
            continue
        for frame in range(1, points.shape[0]):
            tree = KDTree(points[frame, front])
            # Half the diagonal of a cell, wider where the layer has grown: its points are then further apart.
            apart, _ = tree.query(points[frame, front], k=2)
            gap = np.median(apart[:, 1]) if front.sum() > 1 else spacing
            distance, _ = tree.query(points[frame, behind], distance_upper_bound=0.6 * max(spacing, float(gap)))
            covered[frame, behind] |= np.isfinite(distance)
    return covered
