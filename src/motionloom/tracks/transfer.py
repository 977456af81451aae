"""Motion transfer: the motion of a video, for a photograph.

The video is tracked, the tracks that hold are laid over the photograph. Coordinates are pixels, (x, y), continuous.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.media import Clip
from motionloom.media.scaled import is_video, read_scaled, scaled
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks

__all__ = ["Transfer", "is_video", "motion_from_video", "transfer"]

Fit = Literal["cover", "contain", "stretch"]
Follow = Literal["tracks", "camera"]
Box = tuple[float, float, float, float]  # left, top, right, bottom

POINTS = 256
_LONGEST = 640  # px; what is tracked is scaled down to this, sub-pixel accuracy is far finer than a latent cell
_TEXTURE = (
    2e-5  # least eigenvalue of the structure tensor, of grey in 0..1: a change of about half a grey level a pixel
)
_LEAST_VISIBLE = 0.25  # of the frames; a track seen for less says too little
_PATCH = 11  # px, side of what is compared from frame to frame
_ALIKE = 0.6  # least correlation of a point's patch with that of the frame before
_CUT = 0.3  # share of the points that has to live on in the next frame
_BORDER = 3  # px that a point keeps from the border of the video, where patches are cut


@dataclass(frozen=True)
class Transfer:
    """The motion of a video on a photograph, and how much of it could be followed.

    Attributes:
        tracks: on the photograph's canvas, at the video's frames and rate.
        followed: points that were given to the tracker.
        lost: of these, points that were seen in too few frames and left out.
        outside: of these, points that start outside the photograph and were left out.
    """

    tracks: Tracks
    followed: int
    lost: int
    outside: int

    def __str__(self) -> str:
        dropped = [f"{count} {why}" for count, why in ((self.lost, "lost"), (self.outside, "outside")) if count]
        return f"{self.tracks.num_tracks} of {self.followed} points followed over {self.tracks.num_frames} frames" + (
            f" ({', '.join(dropped)})" if dropped else ""
        )


def motion_from_video(video: Clip | str | os.PathLike[str], image_size: tuple[int, int], **options: Any) -> Tracks:
    """The tracks of `transfer`, which says what the arguments are."""
    return transfer(video, image_size, **options).tracks


def transfer(
    video: Clip | str | os.PathLike[str],
    image_size: tuple[int, int],
    *,
    points: int | NDArray[Any] = POINTS,
    region: Box | NDArray[np.bool_] | None = None,
    onto: Box | None = None,
    fit: Fit = "cover",
    follow: Follow = "tracks",
    frames: tuple[int, int | None] | None = None,
) -> Transfer:
    """The motion of a video, for a photograph of (height, width).

    Args:
        video: a clip, or a file or folder that `Clip.load` reads; of any length.
        image_size: of the photograph.
        points: how many to follow at most; they are spread evenly, each on the best texture around. Or where they are
            on the first frame, [N, 2] of (x, y) in the video's pixels.
        region: the part of the first frame to follow, (left, top, right, bottom) in pixels or bool [h, w]; None is all.
        onto: where on the photograph that part goes, (left, top, right, bottom) in its pixels. None keeps its place in
            the picture.
        fit: how one shape is laid on another: "cover" (scaled to fill, what is over is cut off), "contain" (scaled to
            fit in) or "stretch" (each axis for itself).
        follow: "tracks" moves each point as it moves in the video. "camera" finds the one shift, turn and zoom that
            most points share and moves the whole photograph with it; things that move for themselves are left out.
        frames: (first, end) of the video's frames to use, end not included.

    Raises:
        FileFormatError: a file that is no video, or damaged.
        InputError: fewer than two frames, nothing to follow, or arguments that make no sense.
    """
    pixels, rate, full = _frames(video, frames or (0, None))
    name = "video" if isinstance(video, Clip) else os.fspath(video)
    if len(pixels) < 2:
        raise InputError(f"{name}: found one frame, expected at least two to see a motion")
    if follow not in ("tracks", "camera"):
        raise InputError(f"follow: found {follow!r}, expected 'tracks' or 'camera'")
    scale = np.array([pixels.shape[2] / full[1], pixels.shape[1] / full[0]])
    mask, source = _region(region, full)
    if isinstance(points, np.ndarray):
        query = _given(points, full, mask)
    else:
        seen = None if mask is None else _shrunk(mask, (pixels.shape[1], pixels.shape[2]))
        query = _textured(pixels[0], points, seen) / scale
    if len(query) == 0:
        where = "the first frame" if region is None else "the region"
        raise InputError(f"{name}: {where} has no texture to follow; choose other frames or another region")

    followed = track(pixels, np.concatenate([np.zeros((len(query), 1)), query * scale], axis=1), fps=rate)
    held = _held(pixels, followed)
    tracks = Tracks((followed.points / scale).astype(np.float32), held, full, rate)
    steady = tracks.visible.mean(0) >= _LEAST_VISIBLE
    # Seen on the first frame alone, a track says nothing, however short the video.
    steady &= tracks.visible[1]
    if not steady.any():
        raise InputError(
            f"{name}: none of {len(query)} points could be followed; the video moves too fast, is cut at the start, or "
            "has too little texture. Choose other frames"
        )
    lost = int((~steady).sum())
    tracks = tracks.select(steady)
    target = (0.0, 0.0, float(image_size[1]), float(image_size[0])) if onto is None else _box("onto", onto, image_size)
    if onto is None:
        source = (0.0, 0.0, float(full[1]), float(full[0]))
    factor, shift = _laid(source, target, fit)
    moved = Tracks((tracks.points * factor + shift).astype(np.float32), tracks.visible, image_size, rate)
    if follow == "camera":
        return Transfer(_camera(moved, name), len(query), lost, 0)
    inside = moved.inside()[0]
    if not inside.any():
        raise InputError(f"{name}: all points lie outside the photograph; choose another fit, region or place for it")
    return Transfer(moved.select(inside), len(query), lost, int((~inside).sum()))


def _frames(
    video: Clip | str | os.PathLike[str], part: tuple[int, int | None]
) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    if not isinstance(video, Clip):
        return read_scaled(Path(video), _LONGEST, part)
    first, end = part
    if first < 0 or (end is not None and end <= first) or first >= video.num_frames:
        raise InputError(f"frames: found {first} to {end}, expected a part of the video's {video.num_frames} frames")
    return np.stack([scaled(frame, _LONGEST) for frame in video.frames[first:end]]), video.fps, video.size


def _textured(frame: NDArray[np.uint8], count: int, mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    """Up to ``count`` points [N, 2], one in each cell of a square grid, where the texture of the cell is best."""
    if count < 1:
        raise InputError(f"points: found {count}, expected at least 1")
    height, width = frame.shape[:2]
    grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32) / 255
    strength = np.asarray(cv2.cornerMinEigenVal(cv2.GaussianBlur(grey, (3, 3), 0), 5, ksize=3), np.float32)
    if mask is not None:
        strength = np.where(mask, strength, 0)
    margin = min(_BORDER, (min(height, width) - 1) // 2)
    strength = np.pad(strength[margin : height - margin, margin : width - margin], margin)
    area = float(mask.sum()) if mask is not None else float(height * width)
    spacing = max(4.0, np.sqrt(max(area, 1.0) / count))
    rows, columns = max(1, int(height // spacing)), max(1, int(width // spacing))
    found: list[tuple[float, float, float]] = []
    for ys in np.array_split(np.arange(height), rows):
        for xs in np.array_split(np.arange(width), columns):
            cell = strength[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
            y, x = np.unravel_index(int(cell.argmax()), cell.shape)
            if cell[y, x] > _TEXTURE:
                found.append((float(cell[y, x]), xs[0] + x + 0.5, ys[0] + y + 0.5))
    # A grid over an area of odd shape may have a few cells too many: the weakest go.
    found = sorted(found, reverse=True)[:count]
    return np.array([place[1:] for place in found], np.float64).reshape(-1, 2)


def _held(frames: NDArray[np.uint8], followed: Tracks) -> NDArray[np.bool_]:
    """bool [T, N]: visible, and up to here the surroundings have looked, from each frame to the next, the same.

    Flow is also smooth across a cut, over noise and where the texture is gone; a changed look gives these away.
    """
    held = followed.visible.copy()
    same = held[0].copy()
    before: NDArray[np.float32] | None = None
    for number, frame in enumerate(frames):
        grey = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.float32)
        # OpenCV counts from the centre of the first pixel, and holds the border.
        places = [(float(x), float(y)) for x, y in followed.points[number] - 0.5]
        cut = [cv2.getRectSubPix(grey, (_PATCH, _PATCH), place) for place in places]
        patches = np.asarray(cut, np.float32).reshape(len(places), -1)
        patches -= patches.mean(1, keepdims=True)
        # A patch without a grey level of contrast correlates with nothing.
        patches /= np.maximum(np.linalg.norm(patches, axis=1, keepdims=True), _PATCH)
        if before is not None:
            same &= (patches * before).sum(1) >= _ALIKE
            held[number] &= same
            # A cut: where nearly all points are lost at once, the others only look alike by chance.
            if held[number].sum() < _CUT * held[number - 1].sum():
                held[number:] = False
                break
        before = patches
    return held


def _given(points: NDArray[Any], size: tuple[int, int], mask: NDArray[np.bool_] | None) -> NDArray[np.float64]:
    places = np.asarray(points, np.float64)
    if places.ndim != 2 or places.shape[1] != 2 or len(places) == 0 or not np.isfinite(places).all():
        raise InputError(f"points: found shape {places.shape}, expected finite [N, 2] of (x, y)")
    inside = (places >= 0).all(1) & (places < [size[1], size[0]]).all(1)
    if not inside.all():
        x, y = places[~inside][0]
        raise InputError(f"points: ({x:g}, {y:g}) is outside the {size[1]}x{size[0]} video")
    if mask is not None:
        column, row = places.astype(np.int64).T
        places = places[mask[row, column]]
    return places


def _region(region: Box | NDArray[np.bool_] | None, size: tuple[int, int]) -> tuple[NDArray[np.bool_] | None, Box]:
    """The part of the video's frame to follow as a mask, and the box around it."""
    height, width = size
    if region is None:
        return None, (0.0, 0.0, float(width), float(height))
    if isinstance(region, np.ndarray):
        if region.shape != size or not region.any():
            raise InputError(
                f"region: found {region.shape} with {int(region.astype(bool).sum())} pixels set, expected bool "
                f"[{height}, {width}] as the video has, with some set"
            )
        rows, columns = (np.flatnonzero(region.any(axis)) for axis in (1, 0))
        return region.astype(bool), (float(columns[0]), float(rows[0]), columns[-1] + 1.0, rows[-1] + 1.0)
    left, top, right, bottom = _box("region", region, size)
    row, column = np.arange(height) + 0.5, np.arange(width) + 0.5
    mask = ((row >= top) & (row < bottom))[:, None] & ((column >= left) & (column < right))
    return mask, (left, top, right, bottom)


def _box(name: str, box: Box, size: tuple[int, int]) -> Box:
    height, width = size
    left, top, right, bottom = (float(value) for value in box)
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"{name}: found {left:g},{top:g},{right:g},{bottom:g}, expected left < right within {width} and top < "
            f"bottom within {height}"
        )
    return left, top, right, bottom


def _shrunk(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(cv2.resize(mask.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST), np.bool_)


def _laid(source: Box, target: Box, fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factor and shift, (x, y), that bring the source box onto the target, centre on centre."""
    (left, top, right, bottom), goal = source, target
    factor = np.array([(goal[2] - goal[0]) / (right - left), (goal[3] - goal[1]) / (bottom - top)])
    if fit == "cover":
        factor[:] = factor.max()
    elif fit == "contain":
        factor[:] = factor.min()
    elif fit != "stretch":
        raise InputError(f"fit: found {fit!r}, expected 'cover', 'contain' or 'stretch'")
    centre = np.array([(left + right) / 2, (top + bottom) / 2])
    return factor, np.array([(goal[0] + goal[2]) / 2, (goal[1] + goal[3]) / 2]) - factor * centre


def _camera(tracks: Tracks, name: str) -> Tracks:
    """A grid over the canvas, moved by the similarity that most tracks share in each frame."""
    height, width = tracks.size
    across = 16 if width >= height else max(2, round(16 * width / height))
    down = 16 if height >= width else max(2, round(16 * height / width))
    x, y = (np.arange(across) + 0.5) * width / across, (np.arange(down) + 0.5) * height / down
    grid = np.stack(np.meshgrid(x, y), -1).reshape(-1, 2)
    points = np.repeat(grid[None], tracks.num_frames, axis=0)
    matrix = np.eye(2, 3)
    for frame in range(1, tracks.num_frames):
        seen = tracks.visible[frame]
        if seen.sum() >= 3:
            found, _ = cv2.estimateAffinePartial2D(
                tracks.points[0, seen], tracks.points[frame, seen], ransacReprojThreshold=max(tracks.size) / 300
            )
            matrix = matrix if found is None else found
        elif frame == 1:
            raise InputError(f"{name}: too few points to find the motion of the camera; give more points")
        points[frame] = grid @ matrix[:, :2].T + matrix[:, 2]
    moved = points.astype(np.float32)
    return Tracks(moved, np.ones(moved.shape[:2], np.bool_), tracks.size, tracks.fps)
