"""From a few tracks to the motion of any point: moving least squares.

Schaefer, McPhail and Warren, "Image deformation using moving least squares" (SIGGRAPH 2006): the motion of a point is
that of the similarity (or affine map, or translation) which fits the tracks best in its neighbourhood, every track
weighted by 1 / distance^(2 alpha). The result is smooth, exact at every track, and reproduces any similarity exactly.

Three things are added, because drawn tracks are not a clean set of anchors:

- A hidden stretch of a track is completed first (`complete`): it goes along with the tracks around it.
- A few tracks that move on their own drag a neighbourhood of radius `reach` along and leave the rest of the picture
  where it is. Tracks that cover the picture, or that all follow one similarity (a camera move), act everywhere.
- Above `MAX_EXACT` tracks only the nearest `NEAREST` count for a point, so cost grows linearly with the tracks.

Everything is one matrix from tracks to points, applied to all frames at once. Shapes: T frames, N tracks, M points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.tracks.tracks import Tracks

Rigidity = Literal["similarity", "affine", "translation"]

ALPHA = 1.5
REACH = 0.25
"""Default reach as a share of the canvas' short side."""
MOVING = 0.5
"""Pixels: a track that never leaves its place by more than this is a static anchor."""
COVERAGE = 0.5
"""Share of the canvas within reach of a moving track from which on the tracks describe the whole picture."""
CAMERA_AREA = 0.08
"""Share of the canvas that tracks following one similarity must span to be taken for a camera move."""
CAMERA_RESIDUAL = 0.02
"""How far, relative to the motion, such tracks may deviate from that similarity (root mean square)."""
MAX_EXACT = 256
NEAREST = 48


def interpolate_motion(
    tracks: Tracks,
    queries: NDArray[Any],
    *,
    rigidity: Rigidity = "similarity",
    alpha: float = ALPHA,
    reach: float | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where points of the first frame are in every frame.

    Args:
        tracks: N tracks over T frames; tracks that are never visible do not count.
        queries: [M, 2] positions at frame 0, (x, y) in pixels of ``tracks.size``; they may lie outside.
        rigidity: what the neighbourhood of a point may do. "similarity" keeps shapes (turn, scale, shift), "affine"
            also shears, "translation" only shifts.
        alpha: locality, above zero: the weight of a track is 1 / distance^(2 alpha).
        reach: pixels from the nearest moving track at which motion has fallen to one half; at twice that nothing
            moves. None takes `REACH` of the short side, and infinity (no falloff) where the tracks describe the whole
            picture: moving tracks within reach of half of it, or all tracks following one similarity.

    Returns:
        points float32 [T, M, 2] and visible bool [T, M]: hidden where most of the tracks it follows are hidden.

    Raises:
        InputError: queries that are not finite [M, 2], an unknown rigidity, alpha or reach not above zero.
    """
    queries = _check_queries(queries)
    _check_options(rigidity, alpha, reach)
    num_frames, num_queries = tracks.num_frames, len(queries)
    still = np.broadcast_to(queries[None], (num_frames, num_queries, 2))
    paths, seen = complete(tracks)
    if paths.shape[1] == 0 or num_queries == 0:
        return still.astype(np.float32), np.ones((num_frames, num_queries), np.bool_)
    rest, moves = paths[0], paths - paths[0]
    operator, share = least_squares_operator(rest, queries, rigidity=rigidity, alpha=alpha)
    displacement = apply_operator(operator, moves)
    follow = (share @ seen.T.astype(np.float64)).T
    if reach is None:
        reach = automatic_reach(paths, tracks.size)
    if np.isfinite(reach):
        factor = falloff(queries, rest[is_moving(paths)], reach)
        displacement = limit_length(displacement, moves) * factor[:, None]
        follow = factor * follow + (1.0 - factor)
    return (still + displacement).astype(np.float32), follow >= 0.5 - 1e-9


def densify(
    tracks: Tracks,
    *,
    spacing: float = 8.0,
    region: NDArray[np.bool_] | None = None,
    keep: bool = True,
    rigidity: Rigidity = "similarity",
    reach: float | None = None,
) -> Tracks:
    """Many tracks from few: a grid of points that moves as `interpolate_motion` says.

    Args:
        tracks: the drawn tracks. Without any visible track nothing is known, and the result has no grid.
        spacing: pixels between grid points; the first lies at (spacing / 2, spacing / 2).
        region: bool [H, W] on the canvas at frame 0: only grid points inside it, and (unless ``reach`` is given)
            all of them follow the tracks, however far away. None is the whole canvas.
        keep: put the given tracks first.
        rigidity, reach: see `interpolate_motion`.

    Raises:
        InputError: spacing below one pixel, or a region of another size than the canvas.
    """
    if not (np.isfinite(spacing) and spacing >= 1.0):
        raise InputError(f"spacing: found {spacing}, expected pixels, one or more")
    columns = np.arange(spacing / 2, tracks.width, spacing)
    rows = np.arange(spacing / 2, tracks.height, spacing)
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    if region is not None:
        region = np.asarray(region)
        if region.shape != tracks.size or region.dtype != np.bool_:
            raise InputError(
                f"region: found {region.dtype} {region.shape}, expected bool {tracks.size}, the canvas of the tracks"
            )
        grid = grid[region[grid[:, 1].astype(np.int64), grid[:, 0].astype(np.int64)]]
        reach = np.inf if reach is None else reach
    if not tracks.visible.any():
        grid = grid[:0]
    points, visible = interpolate_motion(tracks, grid, rigidity=rigidity, reach=reach)
    dense = tracks._replace(points=points, visible=visible)
    return tracks.concat(dense) if keep else dense


def complete(tracks: Tracks) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Tracks without gaps: float64 [T, N', 2] and where they were seen, bool [T, N']; never visible ones are left out.

    A hidden stretch moves along with the tracks that are visible around it (moving least squares of their motion from
    frame to frame; it stands still when there are none), carried forward from the last visible frame and backward from
    the first. A stretch between two visible frames is bent linearly to meet both.
    """
    kept = tracks.visible.any(axis=0)
    seen = tracks.visible[:, kept]
    paths = tracks.points[:, kept].astype(np.float64)
    if seen.all():
        return paths, seen
    forward = _carry(paths, seen)
    backward = _carry(paths[::-1], seen[::-1])[::-1]
    frames = np.arange(len(paths))[:, None]
    before = np.maximum.accumulate(np.where(seen, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(seen, frames, len(paths))[::-1], axis=0)[::-1]
    part = (frames - before) / np.maximum(after - before, 1)
    part = np.where(before < 0, 1.0, np.where(after >= len(paths), 0.0, part))[..., None]
    return np.where(seen[..., None], paths, forward * (1.0 - part) + backward * part), seen


def _carry(paths: NDArray[np.float64], seen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Hidden positions continued from the frame before with the motion of the visible tracks around."""
    carried = paths.copy()
    known = seen[0].copy()
    for t in range(1, len(paths)):
        hidden = np.flatnonzero(known & ~seen[t])
        guides = np.flatnonzero(seen[t] & seen[t - 1])
        if len(hidden):
            carried[t, hidden] = carried[t - 1, hidden]
        if len(hidden) and len(guides):
            operator, _ = least_squares_operator(carried[t - 1, guides], carried[t - 1, hidden])
            step = carried[t, guides] - carried[t - 1, guides]
            carried[t, hidden] += limit_length(apply_operator(operator, step[None]), step[None])[0]
        known |= seen[t]
    return carried


def least_squares_operator(
    anchors: NDArray[np.float64],
    queries: NDArray[np.float64],
    *,
    rigidity: Rigidity = "similarity",
    alpha: float = ALPHA,
    weight: NDArray[np.float64] | None = None,
) -> tuple[Any, Any]:
    """The moving least squares fit as a matrix from anchor displacements [N] to query displacements [M].

    With r = anchor - query, normalised weights w and r* = sum w r, the fitted affine map moves the query by
    sum_i w_i (1 - r*^T C^-1 (r_i - r*)) d_i, C the weighted covariance of r (Schaefer et al. eq. 5, in displacements).
    For similarities the same holds with r as complex numbers and C their variance, for translations the bracket is 1.

    Args:
        anchors: [N, 2], N >= 1. queries: [M, 2]. weight: [N], trust in each anchor, default 1.

    Returns:
        (operator, share): operator [M, N], complex for "similarity"; share [M, N] real, rows sum to one: how much each
        anchor counts. Both dense, or SciPy CSR above `MAX_EXACT` anchors.
    """
    if len(anchors) > MAX_EXACT:
        return _nearest_operator(anchors, queries, rigidity, alpha, weight)
    offset = (anchors[:, 0] + 1j * anchors[:, 1])[None] - (queries[:, 0] + 1j * queries[:, 1])[:, None]
    weights = _inverse_distance(offset, alpha) if weight is None else _inverse_distance(offset, alpha) * weight[None]
    share = weights / weights.sum(axis=1, keepdims=True)
    return _fit(offset, share, rigidity), share


def _nearest_operator(
    anchors: NDArray[np.float64],
    queries: NDArray[np.float64],
    rigidity: Rigidity,
    alpha: float,
    weight: NDArray[np.float64] | None,
) -> tuple[Any, Any]:
    from scipy.sparse import csr_matrix
    from scipy.spatial import KDTree

    distance, index = KDTree(anchors).query(queries, k=NEAREST)
    near = anchors[index]
    offset = near[..., 0] - queries[:, :1] + 1j * (near[..., 1] - queries[:, 1:])
    # Fading out towards the farthest neighbour keeps the motion continuous where the set of neighbours changes.
    fade = (1.0 - distance / (distance[:, -1:] * (1.0 + 1e-6) + 1e-9)) ** 2
    weights = _inverse_distance(offset, alpha) * fade * (1.0 if weight is None else weight[index])
    share = weights / weights.sum(axis=1, keepdims=True)
    starts = np.arange(0, index.size + 1, NEAREST)
    shape = (len(queries), len(anchors))
    operator = csr_matrix((_fit(offset, share, rigidity).ravel(), index.ravel(), starts), shape=shape)
    return operator, csr_matrix((share.ravel(), index.ravel(), starts), shape=shape)


def _inverse_distance(offset: NDArray[np.complex128], alpha: float) -> NDArray[np.float64]:
    square = offset.real**2 + offset.imag**2 + 1e-9  # the constant: 3e-5 px, so that a query on an anchor is finite
    return square ** (-alpha) if alpha != 1.5 else 1.0 / (square * np.sqrt(square))


def _fit(offset: NDArray[np.complex128], share: NDArray[np.float64], rigidity: Rigidity) -> NDArray[Any]:
    if rigidity == "translation":
        return share
    mean = (share * offset).sum(axis=1, keepdims=True)
    spread = offset - mean
    if rigidity == "similarity":
        variance = (share * (spread.real**2 + spread.imag**2)).sum(axis=1, keepdims=True)
        return share * (1.0 - mean * spread.conj() / (variance + 1e-9))
    x, y = spread.real, spread.imag
    xx = (share * x * x).sum(axis=1, keepdims=True)
    yy = (share * y * y).sum(axis=1, keepdims=True)
    xy = (share * x * y).sum(axis=1, keepdims=True)
    # Anchors on a line say nothing across it: a ridge makes the map leave that direction as it is.
    ridge = 1e-9 + 1e-7 * (xx + yy)
    xx, yy = xx + ridge, yy + ridge
    inner = mean.real * (yy * x - xy * y) + mean.imag * (xx * y - xy * x)
    return share * (1.0 - inner / (xx * yy - xy * xy))


def apply_operator(operator: Any, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacements [T, N, 2] through an operator [M, N] to float64 [T, M, 2]."""
    if len(displacement) == 1 and isinstance(operator, np.ndarray) and np.iscomplexobj(operator):
        # One frame at a time: a threaded product of this size waits longer than it works.
        moved = np.einsum("mn,n->m", operator, displacement[0, :, 0] + 1j * displacement[0, :, 1])
        return np.stack([moved.real, moved.imag], axis=-1)[None]
    if np.iscomplexobj(operator):
        moved = operator @ (displacement[..., 0] + 1j * displacement[..., 1]).T
        return np.stack([moved.real.T, moved.imag.T], axis=-1)
    return np.stack([(operator @ displacement[..., axis].T).T for axis in (0, 1)], axis=-1)


def is_moving(paths: NDArray[np.float64]) -> NDArray[np.bool_]:
    """bool [N]: tracks [T, N, 2] that leave their first position by more than `MOVING` pixels."""
    return np.hypot(*np.moveaxis(paths - paths[0], -1, 0)).max(axis=0) > MOVING


def automatic_reach(paths: NDArray[np.float64], size: tuple[int, int]) -> float:
    """The falloff radius for complete tracks [T, N, 2]: pixels, or infinity where they describe the whole picture."""
    height, width = size
    reach = REACH * min(size)
    moving = is_moving(paths)
    if not moving.any():
        return reach
    columns, rows = (np.arange(16) + 0.5) * width / 16, (np.arange(16) + 0.5) * height / 16
    grid = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2)
    if (_nearness(grid, paths[0, moving]) <= reach).mean() >= COVERAGE or _is_camera(paths, size):
        return float("inf")
    return reach


def _is_camera(paths: NDArray[np.float64], size: tuple[int, int]) -> bool:
    """All tracks, static ones too, follow one similarity per frame and span a good part of the canvas."""
    if paths.shape[1] < 3 or _hull_area(paths[0]) < CAMERA_AREA * size[0] * size[1]:
        return False
    position = paths[..., 0] + 1j * paths[..., 1]
    rest = position[0] - position[0].mean()
    moved = position - position.mean(axis=1, keepdims=True)
    turn = (moved @ rest.conj()) / (rest @ rest.conj())
    residual = np.abs(moved - turn[:, None] * rest)
    motion = np.abs(position - position[0])
    return bool(np.sqrt((residual**2).mean()) <= CAMERA_RESIDUAL * np.sqrt((motion**2).mean()))


def _hull_area(points: NDArray[np.float64]) -> float:
    from scipy.spatial import ConvexHull, QhullError

    try:
        return float(ConvexHull(points).volume)
    except QhullError:  # on one line, or all the same
        return 0.0


def falloff(queries: NDArray[np.float64], moving: NDArray[np.float64], reach: float) -> NDArray[np.float64]:
    """[M]: 1 on a moving anchor, 1/2 at ``reach`` pixels, 0 from twice that on (smoothstep)."""
    if len(moving) == 0:
        return np.ones(len(queries))
    part = np.clip(_nearness(queries, moving) / (2.0 * reach), 0.0, 1.0)
    return 1.0 - part * part * (3.0 - 2.0 * part)


def _nearness(queries: NDArray[np.float64], anchors: NDArray[np.float64]) -> NDArray[np.float64]:
    """[M]: distance to the nearest anchors, as a smooth minimum (the -8 norm of the distances, 16 nearest)."""
    from scipy.spatial import KDTree

    count = min(16, len(anchors))
    distance, _ = KDTree(anchors).query(queries, k=count)
    distance = np.maximum(distance.reshape(len(queries), count), 1e-6)
    nearest = distance[:, :1]
    return nearest[:, 0] * ((nearest / distance) ** 8).sum(axis=1) ** (-1.0 / 8.0)


def limit_length(displacement: NDArray[np.float64], moves: NDArray[np.float64]) -> NDArray[np.float64]:
    """Displacements [T, M, 2] no longer than 1.25 times the longest of the anchors' [T, N, 2] in each frame.

    Two close tracks that part fit a violent zoom; away from them it must not throw the picture about.
    """
    longest = 1.25 * np.hypot(moves[..., 0], moves[..., 1]).max(axis=1)[:, None]
    length = np.hypot(displacement[..., 0], displacement[..., 1])
    return displacement * np.minimum(1.0, longest / np.maximum(length, 1e-12))[..., None]


def _check_queries(queries: NDArray[Any]) -> NDArray[np.float64]:
    checked = np.asarray(queries, np.float64)
    if checked.ndim != 2 or checked.shape[1] != 2:
        raise InputError(f"queries: found shape {checked.shape}, expected [M, 2]")
    if not np.isfinite(checked).all():
        raise InputError("queries: found a position that is not finite")
    return checked


def _check_options(rigidity: str, alpha: float, reach: float | None) -> None:
    if rigidity not in ("similarity", "affine", "translation"):
        raise InputError(f"rigidity: found {rigidity!r}, expected similarity, affine or translation")
    if not (np.isfinite(alpha) and alpha > 0):
        raise InputError(f"alpha: found {alpha}, expected a number above zero")
    if reach is not None and not reach > 0:
        raise InputError(f"reach: found {reach}, expected pixels above zero, or None to choose")
