"""Motion error, image consistency and quality score: the triple ME, IC, QS.

The article on Wan-Move names these three without defining them; the definitions here are motionloom's own, and no
number of any publication can be compared with them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.evaluate.fidelity import ssim_map
from motionloom.evaluate.tracks import epe
from motionloom.media.flow import SMALLEST, Flow, fetch
from motionloom.tracks.tracks import Tracks

_AGREEMENT = 1.0  # px between where a pixel began and where the way there and back ends


def motion_error(measured: Tracks, wanted: Tracks) -> dict[str, float | None]:
    """ME: mean distance of measured from wanted points, over those that are wanted visible, first frame left out.

    Returns:
        ``me`` in pixels of the wanted tracks' canvas; ``me_256`` as if its longer side had 256; ``me_norm`` as a share
        of its diagonal. None where no point counts.

    Raises:
        InputError: another number of frames or tracks.
    """
    error = epe(measured.resize(wanted.size).points, wanted.points, wanted.visible)
    if error is None:
        return {"me": None, "me_256": None, "me_norm": None}
    height, width = wanted.size
    return {"me": error, "me_256": error * 256 / max(height, width), "me_norm": error / math.hypot(height, width)}


def image_consistency(
    frame: NDArray[np.uint8], following: NDArray[np.uint8], there: Flow, back: Flow
) -> tuple[float | None, float]:
    """IC of two neighbouring frames, -1 to 1: SSIM of a frame and what the following one shows at the same things.

    The following frame is fetched along the flow; what counts is where the way there and back agrees within a pixel and
    stays inside the picture, that is, what is not covered or uncovered in between.

    Args:
        frame, following: uint8 [H, W, 3].
        there, back: float32 [H, W, 2], pixels, from each to the other.

    Returns:
        (mean of the SSIM map over the pixels that count, None where there is none; their share, 0 to 1).

    Raises:
        InputError: other shapes, or frames below 16 pixels.
    """
    shape = frame.shape
    if len(shape) != 3 or following.shape != shape or there.shape != back.shape or there.shape != (*shape[:2], 2):
        raise InputError(
            f"frame, following, there, back: found shapes {shape}, {following.shape}, {there.shape}, {back.shape}, "
            "expected [H, W, 3] twice and [H, W, 2] twice"
        )
    if min(shape[:2]) < SMALLEST:
        raise InputError(f"frame: found {shape[0]}x{shape[1]} pixels, expected at least {SMALLEST} for optical flow")
    counts = _agreeing(there, back)
    if not counts.any():
        return None, 0.0
    similarity = ssim_map(frame.astype(np.float64), fetch(following, there).astype(np.float64))
    number = int(np.count_nonzero(counts))
    total = float(np.einsum("hwc,hw->", similarity, counts.astype(np.float64)))
    return total / (number * similarity.shape[-1]), number / counts.size


def quality_score(niqe: float) -> float:
    """QS, 0 to 100, higher is better: 100 exp(-max(0, NIQE - 3) / 5); 100 for what is as natural as a photograph."""
    return 100 * math.exp(-max(0.0, niqe - 3) / 5)


def quality_score_reciprocal(niqe: float) -> float:
    """QS in another form, 0 to 1, higher is better: 1 / (1 + NIQE / 10)."""
    return 1 / (1 + niqe / 10)


def _agreeing(there: Flow, back: Flow) -> NDArray[np.bool_]:
    height, width = there.shape[:2]
    x = there[..., 0] + np.arange(width, dtype=np.float32)
    y = there[..., 1] + np.arange(height, dtype=np.float32)[:, None]
    inside = (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    residual = there + fetch(back, there)
    residual *= residual
    return inside & (residual[..., 0] + residual[..., 1] < _AGREEMENT**2)
