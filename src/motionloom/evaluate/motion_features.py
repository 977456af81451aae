"""Features of motion and of appearance without a network, for distances of sets of videos offline.

They stand in for FVD and FID where no weights are at hand and are comparable within one report only: with each other's
numbers over the same true videos, never with published FID or FVD.

- `motion_histograms`: how points move and accelerate, by place and direction, after the idea of the Fréchet Video
  Motion Distance (Liu et al. 2024), with our offline tracker instead of a learned one.
- `appearance`: colours by place and the spectrum of single frames.
- `spectrum`: amplitude over spatial and temporal frequency of short clips: texture, flicker and motion together.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

Array = NDArray[np.float64]

WINDOW = 16
"""Frames of a window of motion."""

MOST_DIMENSIONS = 32
"""That features are reduced to before they are compared."""

CELLS, DIRECTIONS = 4, 8
_GRID = 8  # points along each side of the tracked grid: two per cell and axis
_LONGEST = 256  # px of the longer side of the canvas motion is counted on
_SIDE = 64  # px a frame is reduced to before its spectrum is taken
_BLOCK = 8  # px of a block of the cosine transform
_CLIP_SIDE = 32
_GREY_LEVEL = 1e-5  # about (0.8 / 255)², of brightness from 0 to 1


def windows_of(num_frames: int, length: int = WINDOW, shortest: int = 3) -> Iterator[tuple[int, int]]:
    """(start, stop) of the windows of a video that do not overlap; all of a shorter video is one, down to ``shortest``.

    Frames behind the last whole window are left out.
    """
    if shortest <= num_frames < length:
        yield 0, num_frames
    for start in range(0, num_frames - length + 1, length):
        yield start, start + length


def motion_of_frames(frames: NDArray[np.uint8]) -> Array:
    """`motion_histograms` [256] of a window of frames uint8 [T, H, W, 3]: our tracker follows a grid of 8x8 points.

    Larger frames are reduced to 256 pixels on the longer side first, the size in whose pixels motion is counted.

    It follows by flow alone here, without registering points or looking for what is hidden: over 16 frames that costs
    tenths of a pixel, the same in both sets, and a fifth of the time.
    """
    from motionloom.media.scaled import scaled
    from motionloom.media.stream import HeldFrames
    from motionloom.tracks.trackers.offline import OfflineTracker

    frames = np.stack([scaled(frame, _LONGEST) for frame in frames])
    height, width = frames.shape[1:3]
    y, x = np.meshgrid(*((np.arange(_GRID) + 0.5) * side / _GRID for side in (height, width)), indexing="ij")
    queries = np.stack([np.zeros(x.size), x.ravel(), y.ravel()], 1)
    found = OfflineTracker(refine=False, occlusion=False).track(HeldFrames(frames, 1.0), queries)
    return motion_histograms(found.points, found.visible, found.size)


def motion_histograms(points: ArrayLike, visible: ArrayLike, size: tuple[int, int]) -> Array:
    """How much is moving where and in which direction: histograms of velocity and of acceleration.

    Each step of a point counts with its length, in pixels at 256 on the longer side, in the cell of a 4x4 grid it
    starts from and in the two of eight directions around its own, by nearness. Divided by the number of steps seen, so
    that lengths of videos and numbers of points do not matter. Steps with a hidden end are left out.

    Args:
        points: [T, N, 2] in pixels; visible: bool [T, N]; size: (height, width) of their canvas.

    Returns:
        [256]: velocity, then acceleration, each [4, 4, 8] over rows, columns and directions from +x towards +y. Zero
        where nothing was seen to move.

    Raises:
        InputError: shapes that do not fit, fewer than three frames, or positions that are not finite.
    """
    place, seen = np.asarray(points, np.float64), np.asarray(visible, np.bool_)
    if place.ndim != 3 or place.shape[-1] != 2 or seen.shape != place.shape[:2] or len(place) < 3:
        raise InputError(
            f"points: found shape {place.shape} with visibility {seen.shape}, expected [T, N, 2] and [T, N] of at "
            "least three frames"
        )
    if not np.isfinite(place).all():
        raise InputError("points: found a position that is not finite, expected pixels")
    scale = _LONGEST / max(size)
    velocity = np.diff(place, axis=0) * scale
    moving = seen[1:] & seen[:-1]
    acceleration = np.diff(velocity, axis=0)
    cell = np.clip((place / [size[1], size[0]] * CELLS).astype(np.int64), 0, CELLS - 1)
    cell = cell[..., 1] * CELLS + cell[..., 0]
    parts = (
        _histogram(velocity, moving, cell[:-1]),
        _histogram(acceleration, moving[1:] & moving[:-1], cell[1:-1]),
    )
    return np.concatenate(parts)


def appearance(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What frames look like: [T, 80] of mean colours in 4x4 cells (48), their spread (3), spectra (29).

    The spectra are amplitudes of 8x8 cosine blocks at 64x64 pixels, in decades per frequency u + v: 15 of brightness, 7
    of each difference of colours.

    Args:
        frames: uint8 [T, H, W, 3].
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3:
        raise InputError(f"frames: found {frames.dtype} {frames.shape}, expected uint8 [T, H, W, 3]")
    found = [_appearance(frame) for frame in frames]
    return np.asarray(found, np.float32).reshape(len(frames), 80)


def spectrum(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Amplitude of a clip per band of spatial and temporal frequency, in decades, [64].

    Brightness at 32x32 pixels, cosine transform over time, rows and columns; eight bands of each kind.

    Args:
        frames: uint8 [T, H, W, 3], at least three of them.
    """
    frames = np.asarray(frames)
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or len(frames) < 3:
        raise InputError(f"frames: found {frames.dtype} {frames.shape}, expected at least three, uint8 [T, H, W, 3]")
    clip = np.stack([_reduced(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), _CLIP_SIDE) for frame in frames]) / 255
    axis = _cosines(_CLIP_SIDE)
    energy = (np.einsum("ts,ui,vj,sij->tuv", _cosines(len(clip)), axis, axis, clip, optimize=True)) ** 2
    bands = 8
    time = np.minimum(np.arange(len(clip)) * bands // len(clip), bands - 1)
    radius = np.add.outer(np.arange(_CLIP_SIDE), np.arange(_CLIP_SIDE)) * bands // (2 * _CLIP_SIDE - 1)
    band = time[:, None, None] * bands + radius
    total = np.bincount(band.ravel(), energy.ravel(), minlength=bands**2)
    number = np.bincount(band.ravel(), minlength=bands**2)
    return _decades(total / np.maximum(number, 1)).astype(np.float32)


def reduce(real: ArrayLike, generated: ArrayLike, most: int = MOST_DIMENSIONS) -> tuple[Array, Array]:
    """Both sets on the principal axes of the true one, as many as its size bears and at most ``most``.

    With few videos a covariance of hundreds of dimensions says nothing: there are at least two true samples for each
    dimension that is left, where there are four at all. What lies beyond the axes is kept as one more dimension, the
    length of the remainder: else a generated set that differs there alone would look perfect.

    Args:
        real, generated: [N, D] and [M, D].

    Returns:
        [N, K + 1] and [M, K + 1], of the scale of the features.
    """
    a, b = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or len(a) == 0:
        raise InputError(f"features: found {a.shape} and {b.shape}, expected [N, D] and [M, D] with N above zero")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("features: found a value that is not finite, expected numbers; look at the video it is from")
    mean = a.mean(0)
    _, values, axes = np.linalg.svd(a - mean, full_matrices=False)
    carrying = int((values > 1e-9 * max(1.0, float(values.max(initial=0)))).sum())
    kept = min(most, carrying, max(1, len(a) // 2 - 1))
    on, beyond = [], []
    for rows in (a, b):
        centred = rows - mean
        on.append(centred @ axes[:kept].T)
        beyond.append(np.linalg.norm(centred - on[-1] @ axes[:kept], axis=1, keepdims=True))
    return np.hstack([on[0], beyond[0]]), np.hstack([on[1], beyond[1]])


def _histogram(vectors: Array, seen: NDArray[np.bool_], cell: NDArray[np.int64]) -> Array:
    step, cell = vectors[seen], cell[seen]
    size = CELLS**2 * DIRECTIONS
    if len(step) == 0:
        return np.zeros(size)
    length = np.hypot(step[:, 0], step[:, 1])
    turn = np.arctan2(step[:, 1], step[:, 0]) / (2 * np.pi) * DIRECTIONS
    low = np.floor(turn).astype(np.int64)
    share = turn - low
    histogram = np.bincount(cell * DIRECTIONS + low % DIRECTIONS, length * (1 - share), minlength=size)
    histogram += np.bincount(cell * DIRECTIONS + (low + 1) % DIRECTIONS, length * share, minlength=size)
    return histogram / len(step)


def _appearance(frame: NDArray[np.uint8]) -> Array:
    small = _reduced(frame, _SIDE) / 255
    cells = small.reshape(CELLS, _SIDE // CELLS, CELLS, _SIDE // CELLS, 3).mean((1, 3)).ravel()
    red, green, blue = np.moveaxis(small, -1, 0)
    brightness = 0.299 * red + 0.587 * green + 0.114 * blue
    spectra = [_block_spectrum(brightness)]
    spectra += [_block_spectrum(channel - brightness)[:7] for channel in (red, blue)]
    return np.concatenate([cells, small.std((0, 1)), *spectra])


def _block_spectrum(channel: Array) -> Array:
    """Amplitude per frequency u + v of 8x8 cosine blocks, in decades, [15]."""
    count = _SIDE // _BLOCK
    blocks = channel.reshape(count, _BLOCK, count, _BLOCK).transpose(0, 2, 1, 3)
    axis = _cosines(_BLOCK)
    energy = ((axis @ blocks @ axis.T) ** 2).mean((0, 1))
    sums = np.add.outer(np.arange(_BLOCK), np.arange(_BLOCK))
    total = np.bincount(sums.ravel(), energy.ravel()) / np.bincount(sums.ravel())
    return _decades(total)


def _decades(energy: Array) -> Array:
    """The logarithm of the amplitude: a factor of ten is one, and what is below a grey level hardly tells."""
    return np.log10(energy + _GREY_LEVEL) / 2


def _cosines(size: int) -> Array:
    """The orthonormal cosine transform (DCT-II) as a matrix."""
    position = (np.arange(size) + 0.5) * np.pi / size
    matrix = np.cos(np.outer(np.arange(size), position)) * np.sqrt(2 / size)
    matrix[0] /= np.sqrt(2)
    return matrix


def _reduced(image: NDArray[np.uint8], side: int) -> Array:
    shrinks = min(image.shape[:2]) >= side
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return cv2.resize(image.astype(np.float32), (side, side), interpolation=how).astype(np.float64)
