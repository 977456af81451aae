"""What goes wrong in pictures that a network made: flicker, jumps, fog, melting, blocks. Pure functions of frames.

Frames are uint8 [T, H, W, 3] RGB; everything is measured on their luma. None of these numbers knows what the video
should show, and each depends on what it does show: read them beside those of the true video, or of the first frame.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError


class Light(NamedTuple):
    """How the last frame is lit beside the first: ``shift`` of the mean in grey levels, ``contrast``: ratio of the
    standard deviations, None where the first frame has one colour. Fog is a contrast that falls."""

    shift: float
    contrast: float | None


def flicker(frames: NDArray[np.uint8]) -> float | None:
    """How much pixels change against the trend of their neighbours in time, in grey levels; None below three frames.

    Root mean square of x[t - 1] - 2 x[t] + x[t + 1], divided by the square root of 6: independent noise in every frame
    counts with its standard deviation, a change at a steady rate with nothing. What moves counts too.
    """
    grey = _luma(frames)
    if len(grey) < 3:
        return None
    second = grey[:-2] - 2 * grey[1:-1] + grey[2:]
    return float(np.sqrt(np.square(second).mean(dtype=np.float64) / 6))


def pulse(frames: NDArray[np.uint8], stride: int = 4) -> float | None:
    """How much more changes where a latent frame begins than inside it: mean absolute difference of the frames
    (k stride, k stride + 1) over that of all other neighbours. 1 for a steady video; None where nothing changes inside.

    Args:
        stride: frames of a latent frame; the first frame is one by itself.
    """
    if stride < 2:
        raise InputError(f"stride: found {stride}, expected at least 2 frames")
    change = np.abs(np.diff(_luma(frames), axis=0)).mean((1, 2), dtype=np.float64)
    border = np.arange(len(change)) % stride == 0
    inside = change[~border]
    return float(change[border].mean() / inside.mean()) if inside.any() else None


def gradient_energy(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean squared difference of neighbouring pixels, across and down, of each frame [T]: what blur takes away."""
    grey = _luma(frames)
    return np.array(
        [sum(float(np.square(np.diff(frame, axis=axis)).mean(dtype=np.float64)) for axis in (0, 1)) for frame in grey]
    )


def sharpness_kept(frames: NDArray[np.uint8]) -> float | None:
    """`gradient_energy` of the last frame over that of the first; None where the first has one colour."""
    first, last = gradient_energy(frames[[0, -1]])
    return float(last / first) if first > 0 else None


def light(frames: NDArray[np.uint8]) -> Light:
    """Brightness and contrast of the last frame beside those of the first."""
    first, last = _luma(frames[[0, -1]]).astype(np.float64)
    return Light(float(last.mean() - first.mean()), float(last.std() / first.std()) if first.std() > 0 else None)


def blockiness(frames: NDArray[np.uint8], side: int) -> float | None:
    """How much larger steps between neighbouring pixels are on the borders of blocks of ``side`` pixels than elsewhere.

    Ratio of the mean absolute differences across and down, over all frames but the first, which is given. 1 where the
    grid cannot be seen; a grid of half the side counts in part. None where nothing changes elsewhere, or for a single
    frame.
    """
    if side < 2:
        raise InputError(f"side: found {side}, expected at least 2 pixels")
    border, elsewhere = np.zeros(2), np.zeros(2)  # sum, count
    later = _luma(frames)[1:]
    for axis in (1, 2):
        steps = np.abs(np.diff(later, axis=axis)).mean((0, 3 - axis), dtype=np.float64) if len(later) else np.zeros(0)
        on_grid = np.arange(1, len(steps) + 1) % side == 0
        border += steps[on_grid].sum(), on_grid.sum()
        elsewhere += steps[~on_grid].sum(), (~on_grid).sum()
    if not (elsewhere[0] > 0 and border[1]):
        return None
    return float(border[0] / border[1] / (elsewhere[0] / elsewhere[1]))


def _luma(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(f"frames: found {frames.dtype} of shape {frames.shape}, expected uint8 [T, H, W, 3]")
    return np.stack([cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY) for frame in frames])
