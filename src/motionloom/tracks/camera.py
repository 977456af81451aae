"""Pinhole camera geometry: intrinsics, poses over time, projection, and what a depth map hides.

Conventions (OpenCV): x right, y down, z forward; a pose is world-to-camera, ``X_camera = R X_world + t``, as [R | t]
of shape [3, 4]. Pixels are continuous, the image spans [0, W] x [0, H]. Depth is z in the camera of the first frame.
Legend: T frames, N points, K intrinsics [3, 3] or per frame [T, 3, 3].
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

Array = NDArray[np.float64]

# What lies nearer than this share of the scene's nearest depth counts as behind the camera.
NEAR_SHARE = 1e-3
FAR_AWAY = 1e6
OCCLUDER_SAMPLES = 65_536


def intrinsics(size: tuple[int, int], *, focal: float | None = None, fov: float | None = None) -> Array:
    """K [3, 3] for an image of ``size`` (height, width) with its principal point in the middle.

    Args:
        focal: focal length in pixels, or
        fov: horizontal field of view in degrees.
    """
    height, width = size
    if (focal is None) == (fov is None):
        raise InputError("intrinsics: give either focal (pixels) or fov (degrees)")
    if fov is not None:
        if not 0 < fov < 180:
            raise InputError(f"fov: found {fov}, expected degrees between 0 and 180")
        focal = width / (2 * np.tan(np.radians(fov) / 2))
    assert focal is not None
    if not (np.isfinite(focal) and focal > 0):
        raise InputError(f"focal: found {focal}, expected pixels above zero")
    return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float64)


def zoomed(K: Array, zoom: ArrayLike) -> Array:
    """Intrinsics [T, 3, 3] with the focal length times ``zoom`` [T]; the principal point stays."""
    zoom = np.atleast_1d(np.asarray(zoom, np.float64))
    result = np.repeat(K[None], len(zoom), axis=0)
    result[:, 0, 0] *= zoom
    result[:, 1, 1] *= zoom
    return result


def rotation(axis: int, degrees: ArrayLike) -> Array:
    """Right-handed rotation matrices [T, 3, 3] about axis 0 (x), 1 (y) or 2 (z)."""
    angle = np.radians(np.atleast_1d(np.asarray(degrees, np.float64)))
    result = np.zeros((len(angle), 3, 3))
    a, b = [(1, 2), (2, 0), (0, 1)][axis]
    result[:, axis, axis] = 1.0
    result[:, a, a] = result[:, b, b] = np.cos(angle)
    result[:, b, a] = np.sin(angle)
    result[:, a, b] = -np.sin(angle)
    return result


def pose(
    num_frames: int,
    *,
    pan: ArrayLike = 0.0,
    tilt: ArrayLike = 0.0,
    roll: ArrayLike = 0.0,
    dolly: ArrayLike = 0.0,
    truck: ArrayLike = 0.0,
    pedestal: ArrayLike = 0.0,
    orbit: ArrayLike = 0.0,
    orbit_depth: float = 1.0,
) -> Array:
    """World-to-camera poses [T, 3, 4]; every argument is a number or [T], all zero is the identity.

    The camera first orbits the point straight ahead at ``orbit_depth`` (positive: it moves to the right, looking at
    the point), then moves in its own frame (``truck`` right, ``pedestal`` up, ``dolly`` forward, in units of depth),
    then turns as on a tripod head: ``pan`` to the right, ``tilt`` up, ``roll`` clockwise. Angles in degrees.
    """

    def over_time(value: ArrayLike) -> Array:
        return np.broadcast_to(np.asarray(value, np.float64), (num_frames,))

    around = rotation(1, -over_time(orbit))
    target = np.array([0.0, 0.0, orbit_depth])
    moved = np.stack([over_time(truck), -over_time(pedestal), over_time(dolly)], axis=1)
    position = target + np.einsum("tij,tj->ti", around, moved - target)
    camera_to_world = around @ rotation(1, over_time(pan)) @ rotation(0, over_time(tilt)) @ rotation(2, over_time(roll))
    turn = camera_to_world.transpose(0, 2, 1)
    return np.concatenate([turn, -(turn @ position[:, :, None])], axis=2)


def unproject(points: Array, depth: ArrayLike, K: Array, w2c: Array) -> Array:
    """World points [N, 3] seen at ``points`` [N, 2] pixels at z ``depth`` (number or [N]) by one camera [3, 4]."""
    homogeneous = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    in_camera = (homogeneous @ np.linalg.inv(K).T) * np.broadcast_to(np.asarray(depth, np.float64), (len(points),))[
        :, None
    ]
    return (in_camera - w2c[:, 3]) @ w2c[:, :3]


def project(world: Array, K: Array, w2c: Array) -> tuple[Array, Array]:
    """Pixels [T, N, 2] and depths z [T, N] of world points [N, 3] in cameras ``w2c`` [T, 3, 4].

    Where z is not above zero the pixels mean nothing (they are finite all the same).
    """
    in_camera = np.einsum("tij,nj->tni", w2c[:, :, :3], world) + w2c[:, None, :, 3]
    z = in_camera[..., 2]
    image = np.einsum("tij,tnj->tni", np.broadcast_to(K, (len(w2c), 3, 3)), in_camera)
    points = image[..., :2] / np.where(z > 0, z, 1.0)[..., None]
    return np.clip(points, -FAR_AWAY, FAR_AWAY), z


def plane_homography(K_first: Array, K: Array, w2c: Array, depth: float) -> Array:
    """Homographies [T, 3, 3] from the first camera's pixels to frame t's, for the plane z = ``depth`` of frame 0."""
    last_row = np.array([[0.0, 0.0, 0.0, 1.0]])
    first = np.concatenate([w2c[0], last_row])
    relative = w2c @ np.linalg.inv(first)
    # A pixel p on the plane is depth * K^-1 p, whose third component is the depth: t can be carried by it.
    inside = relative[:, :, :3].copy()
    inside[:, :, 2] += relative[:, :, 3] / depth
    result = np.broadcast_to(K, (len(w2c), 3, 3)) @ inside @ np.linalg.inv(K_first)
    return result


def apply_homography(H: Array, points: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Points [T, N, 2] under ``H`` [T, 3, 3], from [N, 2] or [T, N, 2], and whether they lie in front, bool [T, N].

    The sign of the third component counts: scale ``H`` so that it is positive in front, as `plane_homography` does.
    """
    points = np.broadcast_to(points, (len(H), *points.shape[-2:]))
    mapped = np.einsum("tij,tnj->tni", H[:, :, :2], points) + H[:, None, :, 2]
    w = mapped[..., 2]
    front = w > NEAR_SHARE
    return np.clip(mapped[..., :2] / np.where(front, w, 1.0)[..., None], -FAR_AWAY, FAR_AWAY), front


def sample_depth(depth: Array, points: Array) -> Array:
    """Depths [N] of the pixels under ``points`` [N, 2]; nearest, so that no depth between two things is made up."""
    height, width = depth.shape
    column = np.clip(np.floor(points[:, 0]), 0, width - 1).astype(np.int64)
    row = np.clip(np.floor(points[:, 1]), 0, height - 1).astype(np.int64)
    return depth[row, column]


def project_grid(
    depth: Array | float,
    K: Array,
    w2c: Array,
    points: Array,
    *,
    size: tuple[int, int] | None = None,
    tolerance: float = 0.05,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Where the scene behind ``points`` goes as the camera moves.

    Args:
        depth: z of the first camera, a number (a plane facing it) or a map [H, W] in the pixels of ``K``.
        K: intrinsics [3, 3], or [T, 3, 3] when the lens zooms.
        w2c: world-to-camera poses [T, 3, 4]; the first is the camera of the picture.
        points: [N, 2] pixels in the picture.
        size: (height, width) of the picture; by default the map's, or twice the principal point of ``K``.
        tolerance: a point is hidden where the depth map holds something nearer by more than this share of its depth.

    Returns:
        points float32 [T, N, 2] and visible bool [T, N]: in front of the camera, inside the picture, and not hidden.
        A point behind the camera keeps its first position.

    Raises:
        InputError: shapes that do not fit, or a depth that is not above zero.
    """
    K, w2c = np.asarray(K, np.float64), np.asarray(w2c, np.float64)
    points, depth_map = np.asarray(points, np.float64), np.asarray(depth, np.float64)
    _check(K, w2c, points, depth_map)
    if size is None:
        centre = K.reshape(-1, 3, 3)[0, :2, 2]
        size = (round(2 * centre[1]), round(2 * centre[0])) if depth_map.ndim == 0 else depth_map.shape  # type: ignore[assignment]
    assert size is not None
    first = K if K.ndim == 2 else K[0]
    at_points = depth_map if depth_map.ndim == 0 else sample_depth(depth_map, points)
    projected, z = project(unproject(points, at_points, first, w2c[0]), K, w2c)
    front = z > NEAR_SHARE * float(depth_map.min())
    projected = np.where(front[..., None], projected, points)
    x, y = projected[..., 0], projected[..., 1]
    visible = front & (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    if depth_map.ndim == 2:
        visible &= ~hidden_by_depth(depth_map, K, w2c, projected, z, tolerance=tolerance)
    return projected.astype(np.float32), visible


def _check(K: Array, w2c: Array, points: Array, depth: Array) -> None:
    if w2c.ndim != 3 or w2c.shape[1:] != (3, 4) or len(w2c) < 1:
        raise InputError(f"w2c: found shape {w2c.shape}, expected [T, 3, 4]")
    if K.shape not in ((3, 3), (len(w2c), 3, 3)):
        raise InputError(f"K: found shape {K.shape}, expected [3, 3] or [{len(w2c)}, 3, 3]")
    if points.ndim != 2 or points.shape[1] != 2:
        raise InputError(f"points: found shape {points.shape}, expected [N, 2]")
    if depth.ndim not in (0, 2) or depth.size == 0:
        raise InputError(f"depth: found shape {depth.shape}, expected a number or [H, W]")
    for name, values in (("K", K), ("w2c", w2c), ("points", points), ("depth", depth)):
        if not np.isfinite(values).all():
            raise InputError(f"{name}: found a value that is not finite")
    if depth.min() <= 0:
        raise InputError(f"depth: found {depth.min():g}, expected every depth above zero")


def hidden_by_depth(
    depth: Array, K: Array, w2c: Array, points: Array, z: Array, *, tolerance: float = 0.05
) -> NDArray[np.bool_]:
    """bool [T, N]: something of the depth map [H, W] of frame 0 lies before ``points`` [T, N, 2] at depths z [T, N].

    A z-buffer: up to `OCCLUDER_SAMPLES` pixels of the map are projected into every frame and the nearest in each cell
    kept. Cells grow with the magnification of the frame, so that near surfaces stay closed when the camera comes close.
    In frames whose camera stands where the first one stood, nothing is hidden, however it turned or zoomed.
    """
    height, width = depth.shape
    stride = max(1, int(np.ceil(np.sqrt(depth.size / OCCLUDER_SAMPLES))))
    rows, columns = np.meshgrid(
        np.arange(stride // 2, height, stride), np.arange(stride // 2, width, stride), indexing="ij"
    )
    pixels = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
    lens = np.broadcast_to(K, (len(w2c), 3, 3))
    z_first = depth[rows, columns].ravel()
    world = unproject(pixels, z_first, lens[0], w2c[0])
    hidden = np.zeros(z.shape, np.bool_)
    near = NEAR_SHARE * float(depth.min())
    centres = -np.einsum("tji,tj->ti", w2c[:, :, :3], w2c[:, :, 3])
    moved = np.linalg.norm(centres - centres[0], axis=1) > near
    for t in np.flatnonzero(moved):
        (at,), (distance,) = project(world, lens[t : t + 1], w2c[t : t + 1])
        seen = distance > near
        if not seen.any():
            continue
        at, distance = at[seen], distance[seen]
        growth = (z_first[seen] / distance) * (lens[t, 0, 0] / lens[0, 0, 0])
        cell = 1.5 * stride * float(np.clip(np.percentile(growth, 99), 1.0, 16.0))
        shape = (int(height / cell) + 1, int(width / cell) + 1)
        buffer = np.full(shape[0] * shape[1], np.inf)
        on, index = _cells(at, cell, shape)
        np.minimum.at(buffer, index[on], distance[on])
        on, index = _cells(points[t], cell, shape)
        hidden[t] = on & (z[t] > buffer[index] * (1 + tolerance))
    return hidden


def _cells(points: Array, cell: float, shape: tuple[int, int]) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    column, row = np.floor(points[:, 0] / cell), np.floor(points[:, 1] / cell)
    on = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    return on, np.where(on, row * shape[1] + column, 0).astype(np.int64)
