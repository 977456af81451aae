"""How much and how smoothly a video moves, without looking at what it should do: pure functions of frames.

Frames are uint8 [T, H, W, 3] RGB; flow is [H, W, 2] of (x, y) in pixels. Most functions give one number per pair of
neighbouring frames, so that a long video can be looked at block by block (each repeating one frame of the one before);
the metric is the mean over all pairs. A video of one frame has no pair: its mean is None.

Sources: Circle-Rotate (Jklaity/Circle-Rotate, ``circle_rotate/metrics/motion.py``) and VBench 0.1.5
(``temporal_flickering.py``, ``dynamic_degree.py``, ``motion_smoothness.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError
from motionloom.media.flow import between, flow_both_ways

Interpolate = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.uint8]]
"""Two frames uint8 [H, W, 3] to the one half-way between them."""

NORMAL_SIDE = 256  # px of the shorter side that normalised lengths are given at
FASTEST = 0.05  # of the pixels, whose flow says how fast a pair is (VBench)
_FARNEBACK = (0.5, 3, 15, 3, 5, 1.2, 0)  # scale, levels, window, iterations, poly_n, poly_sigma, flags (Circle-Rotate)
_SPEED = 6.0  # px between samples, at NORMAL_SIDE, above which a pair moves (VBench)
_SAMPLES_PER_SECOND = 8  # VBench
_NEEDED = 4 / 16  # pairs per sampled frame that have to move (VBench)


class Smoothness(NamedTuple):
    """VBench's motion smoothness: ``score`` in [0, 1], 1 is smooth; ``error`` in grey levels per dropped frame [N]."""

    score: float
    error: NDArray[np.float64]


def flow_magnitudes(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean length of Farneback's flow over the pixels of each pair of neighbours, px/frame [T - 1] (Circle-Rotate)."""
    grey = _grey(frames)
    return np.array([float(np.linalg.norm(farneback(a, b), axis=-1).mean()) for a, b in pairwise(grey)])


def motion_magnitude(frames: NDArray[np.uint8]) -> float | None:
    """Motion magnitude of Circle-Rotate: mean of `flow_magnitudes`, px/frame; None for a single frame."""
    return mean(flow_magnitudes(frames))


def normalised(length: float, size: tuple[int, int]) -> float:
    """A length in pixels of (height, width) as if the shorter side had 256."""
    return length * NORMAL_SIDE / min(size)


def farneback(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Flow [H, W, 2] between two grey frames uint8 [H, W], with Circle-Rotate's parameters.

    Its values depend on the build of OpenCV in the fourth digit.
    """
    # The stubs do not know that no flow to start from is allowed.
    flow = cv2.calcOpticalFlowFarneback(first, second, None, *_FARNEBACK)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return np.asarray(flow, np.float32)


def changed_shares(frames: NDArray[np.uint8], threshold: int = 10) -> NDArray[np.float64]:
    """Share of pixels whose grey value changes by more than ``threshold``, for each pair of neighbours [T - 1].

    Its mean is Circle-Rotate's "dynamic degree", with thresholds 10 and 25; VBench's of that name is `is_dynamic`.
    """
    grey = _grey(frames)
    return np.array([float((cv2.absdiff(a, b) > threshold).mean()) for a, b in pairwise(grey)])


def differences(frames: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean absolute difference in grey levels over pixels and channels of each pair of neighbours, float32 [T - 1]."""
    _check(frames)
    values = [np.abs(a.astype(np.float32) - b.astype(np.float32)).mean() for a, b in pairwise(frames)]
    return np.array(values, np.float32)


def temporal_flickering(difference: NDArray[np.float32]) -> float | None:
    """VBench's temporal flickering from the `differences` of all pairs: (255 - mean) / 255.

    The mean is in single precision, as published. In [0, 1], higher is better; it is meant for scenes that stand still,
    where nothing else changes. None of nothing.
    """
    return (255.0 - float(np.asarray(difference, np.float32).mean())) / 255.0 if len(difference) else None


def sampling_step(fps: float) -> int:
    """Every how many frames VBench's dynamic degree looks: about eight times a second."""
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"fps: found {fps}, expected a number above zero")
    return max(1, round(fps / _SAMPLES_PER_SECOND))


def fastest_flow(flow: NDArray[np.floating]) -> float | None:
    """Mean length, px, of the longest 5 % of the vectors of a flow [H, W, 2] (VBench); None below 20 pixels."""
    if flow.ndim != 3 or flow.shape[-1] != 2:
        raise InputError(f"flow: found shape {flow.shape}, expected [H, W, 2]")
    length = np.linalg.norm(flow, axis=-1).ravel()
    if not np.isfinite(length).all():
        raise InputError("flow: found values that are not finite, expected pixels")
    count = int(FASTEST * length.size)
    if count == 0:
        return None
    return float(np.partition(length, length.size - count)[-count:].mean())


def speed_threshold(size: tuple[int, int]) -> float:
    """Pixels between samples above which VBench calls a pair moving, for a video of (height, width)."""
    return _SPEED * min(size) / NORMAL_SIDE


def is_dynamic(speeds: ArrayLike, size: tuple[int, int]) -> bool | None:
    """VBench's dynamic degree of one video: whether enough pairs of samples are fast.

    Args:
        speeds: `fastest_flow` of each pair of neighbouring samples, [n - 1] for n samples.
        size: (height, width) of the video.

    Returns:
        None below three samples: the number of fast pairs that are asked for, a quarter of the samples rounded half to
        even, is then zero, and every video would count as moving.
    """
    speed = np.asarray(speeds, np.float64)
    if speed.ndim != 1 or not np.isfinite(speed).all():
        raise InputError(f"speeds: found shape {speed.shape}, expected finite values [n - 1]")
    needed = round(_NEEDED * (len(speed) + 1))
    if needed == 0:
        return None
    return int((speed > speed_threshold(size)).sum()) >= needed


def motion_smoothness(frames: NDArray[np.uint8], interpolate: Interpolate) -> Smoothness | None:
    """VBench's motion smoothness: every odd frame against what ``interpolate`` makes of its two neighbours.

    (255 - mean of |frame - interpolated|) / 255; a last odd frame without a right neighbour is not looked at. The
    published number has the network AMT-S for ``interpolate``; `halfway` and `average` stand in for it here.

    Args:
        frames: uint8 [T, H, W, 3]; when given block by block, every block begins with an even frame of the video.

    Returns:
        None for fewer than three frames.
    """
    _check(frames)
    error = []
    for odd in range(1, len(frames) - 1, 2):
        guess = np.asarray(interpolate(frames[odd - 1], frames[odd + 1]))
        if guess.shape != frames[odd].shape or guess.dtype != np.uint8:
            raise InputError(
                f"interpolate: gave {guess.dtype} {guess.shape}, expected uint8 {frames[odd].shape} as the frames are"
            )
        error.append(float(cv2.absdiff(frames[odd], guess).mean()))
    if not error:
        return None
    values = np.array(error)
    return Smoothness((255.0 - float(values.mean())) / 255.0, values)


def halfway(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The frame half-way between two by DIS flow, fetched from both along it."""
    return between(first, second, *flow_both_ways(first, second), 0.5)


def average(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The mean of two frames, cut to whole numbers: what an interpolator has to beat."""
    return ((first.astype(np.uint16) + second) // 2).astype(np.uint8)


def mean(values: Sequence[float] | NDArray[np.float64]) -> float | None:
    """Arithmetic mean of finite numbers; None of nothing."""
    if not np.isfinite(values).all():
        raise InputError("values: found one that is not finite, which no mean can hold")
    return float(np.mean(values)) if len(values) else None


def _grey(frames: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    _check(frames)
    return [np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8) for frame in frames]


def _check(frames: NDArray[np.uint8]) -> None:
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(f"frames: found {frames.dtype} {frames.shape}, expected uint8 [T, H, W, 3]")
