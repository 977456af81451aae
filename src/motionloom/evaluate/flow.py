"""Dense flow of a video against that of the true video: pure functions of flow [..., H, W, 2], (x, y) in pixels.

Source: the EPE of MoveBench as coded in a public sibling of its evaluation (YinHan-Zhang/VideoGen_Metric,
``utils/epe.py``): RAFT as torchvision has it, 12 updates, both videos resized to 480x832, mean over pixels and pairs of
frames of |flow_true - flow_generated|. It has no tracks and no visibility and is another number than the EPE of tracks,
`motionloom.evaluate.tracks.epe`; one table never holds both under one name.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from motionloom.errors import InputError

SIZE = (480, 832)
"""(height, width) that MoveBench compares flow at."""

UPDATES = 12
"""Of RAFT, torchvision's default."""


def flow_errors(generated: ArrayLike, true: ArrayLike) -> NDArray[np.float64]:
    """Mean end-point distance in pixels of each pair of frames, [N] for flows [N, H, W, 2].

    Raises:
        InputError: shapes that differ, or values that are not numbers.
    """
    a, b = np.asarray(generated, np.float64), np.asarray(true, np.float64)
    if a.ndim != 4 or a.shape[-1] != 2 or a.shape != b.shape or 0 in a.shape[1:]:
        raise InputError(f"generated: found shape {a.shape}, expected [N, H, W, 2] as the true flow has, {b.shape}")
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        raise InputError("flow: found values that are not numbers")
    return np.linalg.norm(a - b, axis=-1).mean((1, 2))


def epe_flow(generated: ArrayLike, true: ArrayLike) -> float | None:
    """End-point error of dense flow: mean of `flow_errors`, px; None where there is no pair of frames."""
    errors = flow_errors(generated, true)
    return float(errors.mean()) if len(errors) else None


def resized(frames: NDArray[np.uint8], size: tuple[int, int] = SIZE) -> NDArray[np.uint8]:
    """Frames uint8 [T, H, W, 3] at (height, width): bilinear without antialiasing, as the sibling does."""
    if frames.shape[1:3] == tuple(size):
        return frames
    return np.stack([cv2.resize(frame, (size[1], size[0]), interpolation=cv2.INTER_LINEAR) for frame in frames])
