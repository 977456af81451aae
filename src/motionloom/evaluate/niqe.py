"""NIQE: how far a picture's local statistics are from those of natural pictures, without anything to compare it with.

Mittal, Soundararajan and Bovik 2013, "Making a Completely Blind Image Quality Analyzer", IEEE SPL 20(3); with the
choices of `basicsr/metrics/niqe.py` of XPixelGroup/BasicSR (Apache-2.0), which follows the authors' release.

Shape letters: B blocks, h w pixels of a block, P = h w, F = 36 features.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gamma

from motionloom.errors import InputError

SMALLEST = 192
"""Pixels of height and width from which there are several blocks, and with them a spread of features."""

_BLOCK = 96
_SHIFTS = ((0, 1), (1, 0), (1, 1), (1, -1))  # neighbours that are multiplied with a pixel: down and right
_SHAPES = np.arange(0.2, 10.001, 0.001)  # of the generalised Gaussians that are fitted
_RATIOS = np.square(gamma(2 / _SHAPES)) / (gamma(1 / _SHAPES) * gamma(3 / _SHAPES))  # grows with the shape


def niqe(frames: ArrayLike) -> list[float | None]:
    """NIQE of each frame: 0 and up, about 3 for a good photograph; lower is more natural.

    q = sqrt((m0 - m)ᵀ pinv((S0 + S) / 2) (m0 - m)) with the mean m and covariance S of 36 features over the blocks of
    96x96 pixels, and m0, S0 those of natural pictures. None for frames below 192 pixels, and for those of which less
    than two blocks have any structure (a black picture).

    Args:
        frames: uint8 [T, H, W, 3] RGB, of which luma is looked at, or grey [T, H, W].

    Raises:
        InputError: not such frames.
    """
    given = np.asarray(frames)
    if given.dtype != np.uint8 or given.ndim not in (3, 4) or (given.ndim == 4 and given.shape[-1] != 3):
        raise InputError(
            f"frames: found {given.dtype} of shape {given.shape}, expected uint8 [T, H, W, 3] or [T, H, W]"
        )
    if min(given.shape[1:3]) < SMALLEST:
        return [None] * len(given)
    return [_of_picture(luma(frame) if given.ndim == 4 else frame.astype(np.float64)) for frame in given]


def luma(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Luma of RGB [H, W, 3] as MATLAB's ``rgb2ycbcr`` has it: BT.601 in studio range, whole numbers 16 to 235."""
    weights = np.array([65.481, 128.553, 24.966]) / 255
    return np.rint(frame.astype(np.float64) @ weights + 16)


def _of_picture(grey: NDArray[np.float64]) -> float | None:
    rows, columns = grey.shape[0] // _BLOCK, grey.shape[1] // _BLOCK
    image = grey[: rows * _BLOCK, : columns * _BLOCK]
    features_BF = np.concatenate(
        [_features(_normalised(image), _BLOCK), _features(_normalised(_halved(image)), _BLOCK // 2)], axis=1
    )
    whole = features_BF[np.isfinite(features_BF).all(1)]
    if len(whole) < 2:
        return None
    # The mean takes what a block has, the covariance only blocks that have all: as the published program does.
    difference = _natural()["mean"] - np.nanmean(np.where(np.isfinite(features_BF), features_BF, np.nan), axis=0)
    spread = np.linalg.pinv((_natural()["covariance"] + np.cov(whole, rowvar=False)) / 2)
    return float(np.sqrt(max(0.0, difference @ spread @ difference)))


def _normalised(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """(I - mu) / (sigma + 1) with mean and deviation of a Gaussian window, the picture continued at its border."""
    mean = _windowed(image)
    deviation = np.sqrt(np.abs(_windowed(image * image) - mean * mean))
    return (image - mean) / (deviation + 1)


def _windowed(image: NDArray[np.float64]) -> NDArray[np.float64]:
    window = _natural()["window"]  # symmetric: correlation is convolution
    return np.asarray(cv2.filter2D(image, -1, window, borderType=cv2.BORDER_REPLICATE), np.float64)


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Half the size, by the bicubic kernel (a = -0.5) stretched to 8 taps, the border mirrored: MATLAB's imresize."""
    distance = np.abs(np.arange(8) - 3.5) / 2
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    taps = np.where(distance <= 1, near, far)
    taps /= taps.sum()
    for axis in (0, 1):
        image = np.moveaxis(image, axis, 0)
        padded = np.concatenate([image[2::-1], image, image[:-4:-1]])
        parts = [tap * padded[number : number + len(image) : 2] for number, tap in enumerate(taps)]
        image = np.moveaxis(np.sum(parts, axis=0), 0, axis)
    return np.ascontiguousarray(image)


def _features(image: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """18 features of each block [B, 18]; not finite where a block is flat."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    blocks_Bhw = image.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(-1, side, side)
    shape, left, right = _fitted(blocks_Bhw)
    found = [shape, (left + right) / 2]
    for shift in _SHIFTS:
        shape, left, right = _fitted(blocks_Bhw * np.roll(blocks_Bhw, shift, axis=(1, 2)))
        found += [shape, (right - left) * gamma(2 / shape) / gamma(1 / shape), left, right]
    return np.stack(found, axis=1)


def _fitted(blocks_Bhw: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shape and the two widths [B] of the asymmetric generalised Gaussian that a block's values come from.

    Lasmar, Stitou and Berthoumieu 2009, by moments.
    """
    x_BP = blocks_Bhw.reshape(len(blocks_Bhw), -1)
    negative_BP = np.minimum(x_BP, 0)
    below, above = (x_BP < 0).sum(1), (x_BP > 0).sum(1)
    squares_below = np.einsum("bp,bp->b", negative_BP, negative_BP)
    squares = np.einsum("bp,bp->b", x_BP, x_BP)
    magnitude = x_BP.sum(1) - 2 * negative_BP.sum(1)
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = np.sqrt(squares_below / below), np.sqrt((squares - squares_below) / above)
        skew = left / right
        ratio = np.square(magnitude / x_BP.shape[1]) / (squares / x_BP.shape[1])
        wanted = ratio * (skew**3 + 1) * (skew + 1) / np.square(skew**2 + 1)
        shape = _nearest_shape(wanted)
        width = np.sqrt(gamma(1 / shape) / gamma(3 / shape))
    return shape, left * width, right * width


def _nearest_shape(ratios: NDArray[np.float64]) -> NDArray[np.float64]:
    after = np.clip(np.searchsorted(_RATIOS, ratios), 1, len(_RATIOS) - 1)
    closer = np.abs(_RATIOS[after - 1] - ratios) <= np.abs(_RATIOS[after] - ratios)
    # A block that is flat, or of one sign, has no ratio: the published program takes the first shape of its table.
    return np.where(np.isnan(ratios), _SHAPES[0], _SHAPES[after - closer])


@lru_cache(maxsize=1)
def _natural() -> dict[str, NDArray[np.float64]]:
    """What natural pictures are like: mean [36], covariance [36, 36], and the window [7, 7] it was measured with."""
    from safetensors.numpy import load

    return load((files("motionloom.evaluate") / "data" / "niqe.safetensors").read_bytes())
