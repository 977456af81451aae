"""How different two videos look, frame by frame: LPIPS, and what stands in for it where its weights are not here.

Videos are uint8 [T, H, W, 3], both of the same shape.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.evaluate.networks.lpips import LPIPS

_GRADIENT_CONSTANT = 170.0  # Xue et al. 2014, section II-B, for values from 0 to 255
_SMALLEST = 4  # px: a gradient at half the size
_BATCH_PIXELS = 1 << 20  # looked at together; VGG's first activations take 512 bytes for each, of either video


def lpips(video: ArrayLike, reference: ArrayLike, network: LPIPS) -> NDArray[np.float64]:
    """Learned perceptual distance of each frame [T], 0 for identical ones; at native size, a batch at a time.

    Zhang et al. 2018, arXiv 1801.03924; see `motionloom.evaluate.networks.lpips`.

    Raises:
        InputError: other shapes, or frames too small for the network.
    """
    import torch

    a, b = _checked(video, reference, network.backbone.smallest)
    device = network.shift.device
    at_once = max(1, _BATCH_PIXELS // (a.shape[1] * a.shape[2]))
    values = []
    with torch.inference_mode():
        for start in range(0, len(a), at_once):
            pair = (torch.from_numpy(np.ascontiguousarray(each[start : start + at_once])) for each in (a, b))
            x, y = (each.to(device).permute(0, 3, 1, 2).float() / 127.5 - 1 for each in pair)
            values.append(network(x, y).double().cpu().numpy())
    return np.concatenate(values)


def gms_dissim(video: ArrayLike, reference: ArrayLike, *, mask: ArrayLike | None = None) -> NDArray[np.float64]:
    """Gradient dissimilarity of each frame [T], 0 (identical) to 1: 1 - mean over pixels of the gradient magnitude
    similarity (2 |a| |b| + c) / (|a|² + |b|² + c), c = 170.

    Gradients are Prewitt's, of the grey picture at half the size (means of 2x2), as in Xue et al. 2014, "Gradient
    Magnitude Similarity Deviation", IEEE TIP 23(2), equations 1 to 4. Taken from there is the similarity, not the
    deviation; the border is continued rather than black, which would be the strongest edge of both pictures.

    Args:
        mask: bool [T, H, W]; only these pixels count, those of half the size by how much of them is in it. NaN for a
            frame that has none.

    Raises:
        InputError: other shapes, or frames below 4 pixels.
    """
    a, b = _checked(video, reference, _SMALLEST)
    counted = None if mask is None else np.asarray(mask)
    if counted is not None and (counted.dtype != np.bool_ or counted.shape != a.shape[:3]):
        raise InputError(f"mask: found {counted.dtype} of shape {counted.shape}, expected bool of shape {a.shape[:3]}")
    values = []
    for index, (frame, other) in enumerate(zip(a, b, strict=True)):
        x, y = _squared_gradient(frame), _squared_gradient(other)
        similarity = (2 * np.sqrt(x * y) + _GRADIENT_CONSTANT) / (x + y + _GRADIENT_CONSTANT)
        if counted is None:
            values.append(1 - float(similarity.mean()))
        else:
            share = _halved(counted[index].astype(np.float64))
            values.append(1 - float((similarity * share).sum() / share.sum()) if share.any() else np.nan)
    return np.array(values)


def _squared_gradient(frame: NDArray[np.uint8]) -> NDArray[np.float64]:
    grey = cv2.cvtColor(np.ascontiguousarray(frame).astype(np.float32), cv2.COLOR_RGB2GRAY)
    half = _halved(np.asarray(grey, np.float64))
    smooth, step = np.full(3, 1 / 3), np.array([-1.0, 0.0, 1.0])
    across = cv2.sepFilter2D(half, -1, step, smooth, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(half, -1, smooth, step, borderType=cv2.BORDER_REPLICATE)
    return np.asarray(across * across + down * down, np.float64)


def _halved(image: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2 pixels; a last odd row or column is left out."""
    height, width = image.shape[0] // 2, image.shape[1] // 2
    return image[: height * 2, : width * 2].reshape(height, 2, width, 2).mean((1, 3))


def _checked(video: ArrayLike, reference: ArrayLike, smallest: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    a, b = np.asarray(video), np.asarray(reference)
    for name, each in (("video", a), ("reference", b)):
        if each.dtype != np.uint8 or each.ndim != 4 or each.shape[-1] != 3 or not len(each):
            raise InputError(f"{name}: found {each.dtype} of shape {each.shape}, expected uint8 [T, H, W, 3]")
    if a.shape != b.shape:
        raise InputError(f"reference: found shape {b.shape}, expected {a.shape} as the video has; resize or cut it")
    if min(a.shape[1:3]) < smallest:
        raise InputError(f"video: found {a.shape[1]}x{a.shape[2]} pixels, expected at least {smallest} on each side")
    return a, b
