"""How alike two videos are, frame by frame: PSNR, SSIM in its two variants, and MS-SSIM.

Videos are [T, H, W, C], uint8 or floats; floats run from 0 to ``data_range``, which is 1 when not given. Results do not
depend on which of these a video comes as. Every function refuses with an InputError what is not comparable: another
number of frames, another size, values that are not numbers or outside the range.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

Frame = NDArray[np.uint8] | NDArray[np.float64]

_WINDOW = 11  # pixels, with sigma: Wang et al. 2004, section III-B
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli and Bovik 2003, section 3.2
_SMALLEST_MULTI_SCALE = _WINDOW * 2 ** (len(_SCALE_WEIGHTS) - 1)


def psnr(
    video: ArrayLike, reference: ArrayLike, *, mask: ArrayLike | None = None, data_range: float | None = None
) -> list[float | None]:
    """Peak signal-to-noise ratio of each frame, in dB: 10 log10(255² / mean((a - b)²)) over pixels and channels.

    None where the two frames are identical (it is infinite), or where the mask has no pixel.

    Args:
        mask: bool [T, H, W], or [H, W] for all frames; only these pixels count.
    """
    totals, counts = squared_error(video, reference, mask=mask, data_range=data_range)
    return [decibels(total, count) for total, count in zip(totals, counts, strict=True)]


def squared_error(
    video: ArrayLike, reference: ArrayLike, *, mask: ArrayLike | None = None, data_range: float | None = None
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What `psnr` is made of, for those who pool it over a video: (sum of squared differences, how many values) [T].

    Differences are on the scale 0 to 255, whatever the range of the input.
    """
    a, b, scale = _checked(video, reference, data_range)
    allowed = None if mask is None else _checked_mask(mask, a)
    totals, counts = np.zeros(len(a)), np.full(len(a), a[0].size, np.int64)
    for index, (frame, other) in enumerate(zip(a, b, strict=True)):
        chosen = None if allowed is None else allowed[index]
        if chosen is not None:
            counts[index] = np.count_nonzero(chosen) * frame.shape[-1]
        if frame.dtype == np.uint8:
            where = None if chosen is None else np.ascontiguousarray(chosen).view(np.uint8)
            totals[index] = cv2.norm(frame, other, cv2.NORM_L2SQR, mask=where)
            continue
        squares = np.square(frame.astype(np.float64) - other)
        totals[index] = (squares if chosen is None else squares[chosen]).sum() * scale**2
    return totals, counts


def decibels(total: float, count: int) -> float | None:
    """PSNR of a sum of squared differences (scale 0 to 255) over ``count`` values; None where either is zero."""
    return 10 * math.log10(255**2 * float(count) / float(total)) if total > 0 and count else None


def ssim(video: ArrayLike, reference: ArrayLike, *, data_range: float | None = None) -> NDArray[np.float64]:
    """Structural similarity of each frame [T], -1 to 1: mean of `ssim_map` over the whole picture and the channels.

    Wang et al. 2004, "Image Quality Assessment: From Error Visibility to Structural Similarity", equation 13, with the
    choices of torchmetrics 1.9: each colour channel by itself, a Gaussian window of 11 pixels and sigma 1.5, biased
    variances, the border mirrored without repeating it.

    Raises:
        InputError: also frames smaller than the window.
    """
    a, b, scale = _checked(video, reference, data_range, smallest=_WINDOW, what="SSIM's window")
    return np.array([ssim_map(x, y).mean() for x, y in _scaled(a, b, scale)])


def ssim_gray_cr(video: ArrayLike, reference: ArrayLike, *, data_range: float | None = None) -> NDArray[np.float64]:
    """Structural similarity of each frame [T] as Circle-Rotate has it: as `ssim`, of the grey pictures.

    Its `metrics/fidelity.py`: frames become 8-bit grey before anything else. The two variants differ much on noise and
    are never to be mixed.

    Raises:
        InputError: also frames smaller than the window, or without three channels.
    """
    a, b, scale = _checked(video, reference, data_range, smallest=_WINDOW, what="SSIM's window")
    if a.shape[-1] != 3:
        raise InputError(f"video: found {a.shape[-1]} channels, expected 3 (RGB)")
    values = []
    for pair in zip(a, b, strict=True):
        eight_bit = (each if each.dtype == np.uint8 else np.rint(each * scale).astype(np.uint8) for each in pair)
        grey = [cv2.cvtColor(each, cv2.COLOR_RGB2GRAY).astype(np.float64)[..., None] for each in eight_bit]
        values.append(ssim_map(*grey).mean())
    return np.array(values)


def ms_ssim(video: ArrayLike, reference: ArrayLike, *, data_range: float | None = None) -> NDArray[np.float64]:
    """Multi-scale structural similarity of each frame [T], 0 to 1: product over five scales of contrast and structure,
    to powers, and of the whole SSIM at the coarsest.

    Wang, Simoncelli and Bovik 2003, "Multiscale structural similarity for image quality assessment", equation 7, with
    the choices of torchmetrics 1.9: colour channels averaged at each scale, negative terms taken as 0, 2x2 means
    between scales, contrast and structure without the five pixels at the border.

    Raises:
        InputError: also frames smaller than 176 pixels, of which the coarsest scale would be less than a window.
    """
    a, b, scale = _checked(video, reference, data_range, smallest=_SMALLEST_MULTI_SCALE, what="five scales of windows")
    rim = _WINDOW // 2
    values = []
    for x, y in _scaled(a, b, scale):
        value = 1.0
        for weight in _SCALE_WEIGHTS[:-1]:
            _, structure = _similarity(x, y)
            value *= max(0.0, float(structure[rim:-rim, rim:-rim].mean())) ** weight
            x, y = _halved(x), _halved(y)
        values.append(value * max(0.0, float(ssim_map(x, y).mean())) ** _SCALE_WEIGHTS[-1])
    return np.array(values)


def ssim_map(frame: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    """SSIM at each pixel of two frames [H, W, C] on the scale 0 to 255, float64: [H, W, C]."""
    luminance, structure = _similarity(frame, other)
    structure *= luminance
    return structure


def mean_of(values: Sequence[float | None] | NDArray[np.float64], frames: int | None = None) -> float | None:
    """Mean of what is not None, over the first ``frames`` values or all of them; None where nothing is left.

    Raises:
        InputError: one of them is not finite.
    """
    known = [float(value) for value in values[:frames] if value is not None]
    if not all(map(math.isfinite, known)):
        raise InputError("values: found one that is not finite, which no mean can hold; None stands for nothing")
    return math.fsum(known) / len(known) if known else None


def _similarity(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Luminance (2 mu_x mu_y + c1) / (mu_x² + mu_y² + c1) and structure (2 s_xy + c2) / (s_x² + s_y² + c2)."""
    # In place: at video sizes the time goes into fresh memory, not into arithmetic.
    mean_x, mean_y = _blurred(x), _blurred(y)
    squares = x * x
    squares += y * y
    variances, structure = _blurred(squares), _blurred(x * y)
    luminance = np.multiply(mean_x, mean_y, out=squares)
    structure -= luminance
    mean_x *= mean_x
    mean_y *= mean_y
    mean_x += mean_y
    variances -= mean_x
    np.maximum(variances, 0, out=variances)
    for above, below, constant in ((structure, variances, _C2), (luminance, mean_x, _C1)):
        above *= 2
        above += constant
        below += constant
        above /= below
    return luminance, structure


def _blurred(image: NDArray[np.float64]) -> NDArray[np.float64]:
    blurred = cv2.GaussianBlur(image, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(blurred, np.float64).reshape(image.shape)  # OpenCV drops a channel axis of one


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    even = image[: image.shape[0] // 2 * 2, : image.shape[1] // 2 * 2]
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _scaled(a: Frame, b: Frame, scale: float) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    for frame, other in zip(a, b, strict=True):
        yield frame.astype(np.float64) * scale, other.astype(np.float64) * scale


def _checked(
    video: ArrayLike, reference: ArrayLike, data_range: float | None, *, smallest: int = 1, what: str = "a pixel"
) -> tuple[Frame, Frame, float]:
    """Both videos, uint8 or float64, and what brings their values to the scale 0 to 255."""
    a, b = np.asarray(video), np.asarray(reference)
    if a.ndim != 4 or a.shape != b.shape or 0 in a.shape:
        raise InputError(f"video, reference: found shapes {a.shape} and {b.shape}, expected both [T, H, W, C]")
    if min(a.shape[1:3]) < smallest:
        raise InputError(f"video: found {a.shape[1]}x{a.shape[2]} pixels, expected at least {smallest} ({what})")
    if a.dtype == np.uint8 and b.dtype == np.uint8:
        return a, b, 1.0
    if np.uint8 in (a.dtype, b.dtype):
        raise InputError(f"video, reference: found {a.dtype} and {b.dtype}, expected both uint8 or both floats")
    top = 1.0 if data_range is None else float(data_range)
    for name, values in (("video", a), ("reference", b)):
        if not np.issubdtype(values.dtype, np.floating):
            raise InputError(f"{name}: found {values.dtype}, expected uint8 or floats")
        lowest, highest = float(values.min()), float(values.max())
        if not (lowest >= 0 and highest <= top):  # also where one of them is not a number
            raise InputError(
                f"{name}: found values from {lowest:g} to {highest:g}, expected finite ones from 0 to {top:g}; give "
                "data_range where white is another number"
            )
    return np.asarray(a, np.float64), np.asarray(b, np.float64), 255 / top


def _checked_mask(mask: ArrayLike, video: Frame) -> NDArray[np.bool_]:
    given = np.asarray(mask)
    if given.dtype != np.bool_ or given.shape not in (video.shape[:3], video.shape[1:3]):
        raise InputError(
            f"mask: found {given.dtype} of shape {given.shape}, expected bool of shape {video.shape[:3]} or "
            f"{video.shape[1:3]}"
        )
    return np.broadcast_to(given, video.shape[:3])
