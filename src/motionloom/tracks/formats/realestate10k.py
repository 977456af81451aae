"""RealEstate10K / CameraCtrl camera paths: a text file of poses, turned into tracks of a scene.

First line free text, then per frame ``timestamp fx fy cx cy 0 0`` and a 3x4 world-to-camera matrix by rows (x right,
y down, z forward); intrinsics are parts of the image. The file knows no scene: a plane facing the first camera or a
depth map stands in for it, and a grid of its points is followed. Timestamps are microseconds where they rise by more
than a millisecond a frame. Tracks are not cameras, so there is no writer.
"""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.formats.base import Ask, Detection, Format, afford, make_tracks, stretch
from motionloom.tracks.formats.source import MIB, Source
from motionloom.tracks.formats.text import parse_numbers
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

KIND = "camera paths"
COLUMNS = 19
MAX_BYTES = 32 * MIB
MICROSECONDS = 1e6
# The poses of both data sets belong to 16:9 videos; CameraCtrl and EasyAnimate adapt them to other shapes this way.
SOURCE_ASPECT = 16 / 9
MAX_GRID = 1_000_000


def sniff(source: Source) -> Detection | None:
    if not source.looks_like_text:
        return None
    lines = [line.split() for line in source.head.splitlines() if line.strip()]
    rows = lines[1:] if lines and not _is_row(lines[0]) else lines
    if source.size > len(source.head):
        rows = rows[:-1]
    if not rows or not all(_is_row(row) for row in rows):
        return None
    return Detection("realestate10k", f"text rows of {COLUMNS} numbers: camera intrinsics and poses", ("size",))


def _is_row(cells: list[bytes]) -> bool:
    try:
        return len(cells) == COLUMNS and all(np.isfinite(float(cell)) for cell in cells)
    except ValueError:
        return False


def read(
    source: Source,
    ask: Ask,
    *,
    depth: float | str | Path | NDArray[np.floating] = 1.0,
    encoding: str = "metric",
    near: float = 1.0,
    far: float = 5.0,
    scale: float = 1.0,
    spacing: float = 32.0,
    points: NDArray[np.floating] | None = None,
    source_aspect: float | None = SOURCE_ASPECT,
) -> Tracks:
    """Tracks of a scene seen by the camera.

    Args:
        depth: distance of the plane, in the unit of the poses' translations; or the depth of every pixel: an array
            [H, W], or the path of a depth map (a grey image of 8 or 16 bits, or ``.npy``) of the image's size.
        encoding, near, far, scale: what the values of a depth file mean, as in `motionloom.tracks.assets.read_depth`.
        spacing: distance of the grid points in pixels.
        points: own points [N, 2] instead of the grid.
        source_aspect: width / height of the video the intrinsics belong to; they are adapted as if the image were cut
            from it. None takes them as they are.
    """
    from motionloom.tracks.camera import project_grid

    size = ask.need_size(source, KIND)
    table = _table(source)
    fps = ask.fps or _fps(table[:, 0]) or ask.need_fps(source, KIND)
    if isinstance(depth, str | Path):
        depth = read_depth_file(depth, encoding, near, far, scale)
    scene = _depth(depth, size)
    grid = _grid(size, spacing) if points is None else np.asarray(points, np.float64)
    afford(source, len(table), len(grid))
    found, visible = project_grid(scene, intrinsics(table, size, source_aspect), relative_poses(table), grid, size=size)
    return stretch(make_tracks(source, found, visible, size, fps), ask.num_frames)


def intrinsics(table: NDArray[np.float64], size: tuple[int, int], source_aspect: float | None) -> NDArray[np.float64]:
    """K [T, 3, 3] in pixels of ``size``."""
    height, width = size
    fx, fy = table[:, 1] * width, table[:, 2] * height
    if source_aspect is not None:
        if source_aspect > width / height:
            fx = table[:, 1] * height * source_aspect
        else:
            fy = table[:, 2] * width / source_aspect
    K = np.zeros((len(table), 3, 3))
    K[:, 0, 0], K[:, 1, 1], K[:, 2, 2] = fx, fy, 1.0
    K[:, 0, 2], K[:, 1, 2] = table[:, 3] * width, table[:, 4] * height
    return K


def relative_poses(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """World-to-camera [T, 3, 4] with the first camera as the world."""
    full = np.zeros((len(table), 4, 4))
    full[:, :3] = table[:, 7:].reshape(-1, 3, 4)
    full[:, 3, 3] = 1.0
    return (full @ np.linalg.inv(full[0]))[:, :3]


def _table(source: Source) -> NDArray[np.float64]:
    if source.size > MAX_BYTES:
        raise source.error(f"found {source.size} bytes, expected at most {MAX_BYTES} of poses")
    lines = [line.split() for line in source.text.splitlines() if line.strip()]
    if lines and not _is_row([cell.encode() for cell in lines[0]]):
        lines = lines[1:]
    if not 1 <= len(lines) <= MAX_FRAMES:
        raise source.error(f"found {len(lines)} poses, expected 1 to {MAX_FRAMES}")
    for number, cells in enumerate(lines, 1):
        if len(cells) != COLUMNS:
            raise source.error(f"pose {number}: found {len(cells)} numbers, expected {COLUMNS}")
    table = parse_numbers(source, ",".join(",".join(cells) for cells in lines).encode(), "poses").reshape(-1, COLUMNS)
    rotation = table[:, 7:].reshape(-1, 3, 4)[:, :, :3]
    if not np.isfinite(table).all() or (table[:, 1:3] <= 0).any():
        raise source.error("found a number that is not finite, or a focal length that is not above zero")
    if np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max() > 1e-2:
        raise source.error("a pose is not a rotation and a translation; expected 3x4 world-to-camera matrices by rows")
    return table


def _fps(timestamps: NDArray[np.float64]) -> float | None:
    steps = np.diff(timestamps)
    if len(steps) == 0 or (steps <= 0).any() or np.median(steps) < 1000:
        return None
    return float(MICROSECONDS / np.median(steps))


def read_depth_file(path: str | Path, encoding: str, near: float, far: float, scale: float) -> NDArray[np.float64]:
    """A depth map from a file of the caller's choice, in the unit of the poses' translations."""
    from motionloom.tracks.assets import DepthEncoding, Folder, read_depth

    for known in get_args(DepthEncoding):
        if encoding == known:
            break
    else:
        raise InputError(f"encoding: found {encoding!r}, expected one of {', '.join(get_args(DepthEncoding))}")
    if not (0 < near < far and scale > 0):
        raise InputError(f"near, far, scale: found {near:g}, {far:g}, {scale:g}, expected 0 < near < far and scale > 0")
    return read_depth(str(Path(path).absolute()), Folder(allow_absolute=True), known, near, far, scale)


def _depth(depth: float | NDArray[np.floating], size: tuple[int, int]) -> NDArray[np.float64] | float:
    if isinstance(depth, int | float):
        if not (np.isfinite(depth) and depth > 0):
            raise InputError(f"depth: found {depth}, expected a distance above zero")
        return float(depth)
    values = np.asarray(depth, np.float64)
    if values.shape != size:
        raise InputError(f"depth: found shape {values.shape}, expected {size}, the size of the image")
    return values


def _grid(size: tuple[int, int], spacing: float) -> NDArray[np.float64]:
    if not spacing >= 1:
        raise InputError(f"spacing: found {spacing}, expected pixels, one or more")
    height, width = size
    columns, rows = max(1, round(width / spacing)), max(1, round(height / spacing))
    x, y = (np.arange(columns) + 0.5) * width / columns, (np.arange(rows) + 0.5) * height / rows
    if columns * rows > MAX_GRID:
        raise InputError(f"spacing: {spacing} gives {columns * rows} points; use a larger one")
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


FORMAT = Format(
    name="realestate10k",
    title="RealEstate10K / CameraCtrl poses",
    suffixes=(".txt",),
    units="camera poses; intrinsics are parts of the image",
    frames="one per pose; rate from the timestamps",
    sniff=sniff,
    read=read,
    write=None,
)
