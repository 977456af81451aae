"""The shadow that a thing casts on what it stands on: where it is, and how dark."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.methods.warp.fill import smooth_fill

SHADOW = 0.07
"""How far beyond a thing its shadow is looked for, as a share of the short side."""
LARGE = 480
"""In photographs more than twice as large, shadows are looked for at this short side; they are soft."""
SOFT = 0.008
"""How soft a carried shadow is, as a share of the short side: finer differences are texture of the ground."""


def contact_shadow(image: NDArray[np.uint8], hole: NDArray[np.bool_], taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels around a hole that show the shadow of what was there: bool [H, W].

    A shadow is the surroundings' colour made darker: it reaches from the hole at most `SHADOW` of the short side, and
    its three channels are darkened alike. A dark thing of another colour stands too close, but is no shadow.

    Args:
        hole: bool [H, W]. taken: bool [H, W], all things cut out, whose colours are no surroundings.
    """
    side = min(hole.shape)
    if side > 2 * LARGE:
        small = (hole.shape[1] * LARGE // side, hole.shape[0] * LARGE // side)
        coarse = np.asarray(cv2.resize(image, small, interpolation=cv2.INTER_AREA), np.uint8)
        masks = (cv2.resize(one.astype(np.uint8), small, interpolation=cv2.INTER_AREA) > 0 for one in (hole, taken))
        found = contact_shadow(coarse, *masks).astype(np.uint8)
        found = cv2.resize(found, hole.shape[::-1], interpolation=cv2.INTER_NEAREST)
        # Grown by a coarse pixel, so that no dark seam is left between hole and shadow.
        return (cv2.dilate(found, np.ones((2 * (side // LARGE) + 3,) * 2, np.uint8)) > 0) & ~hole
    reach = max(3, round(SHADOW * side))
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, 5)
    around = (distance > reach) & (distance < 3 * reach) & ~taken
    near = (distance > 0) & (distance <= reach) & ~taken
    if not around.any() or not near.any():
        return np.zeros_like(hole)
    weight = cv2.GaussianBlur(around.astype(np.float32), (0, 0), reach)
    usual = cv2.GaussianBlur(image * around[..., None].astype(np.float32), (0, 0), reach)
    usual = usual / np.maximum(weight, 1e-6)[..., None]
    picture = cv2.GaussianBlur(image, (0, 0), 0.003 * side + 0.5).astype(np.float32)
    ratio = (picture + 4.0) / (usual + 4.0)
    mean = ratio.mean(axis=-1)
    alike = np.abs(ratio - mean[..., None]).max(axis=-1) < 0.12 + 0.25 * mean
    dark = near & (weight > 1e-4) & (mean < 0.72) & alike & (usual.mean(axis=-1) > 24)
    dark = cv2.morphologyEx(dark.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8)).astype(bool) & near
    labels = np.asarray(cv2.connectedComponents((dark | hole).astype(np.uint8), connectivity=8)[1])
    found = np.isin(labels, np.unique(labels[hole])) & dark
    if not found.any():
        return found
    soft = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * (reach // 4) + 1,) * 2)
    whole = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1,) * 2)
    found = np.asarray(cv2.dilate(found.astype(np.uint8), soft) > 0) | hole
    # Replicated beyond the photograph's rim: what is cut off there leaves no remains.
    padded = cv2.copyMakeBorder(found.astype(np.uint8), reach, reach, reach, reach, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, whole)[reach:-reach, reach:-reach]
    shadow = cv2.dilate((found & ~hole).astype(np.uint8), whole) > 0
    return (closed > 0) & near & shadow


def shade(
    image: NDArray[np.uint8], plate: NDArray[np.uint8], shadow: NDArray[np.bool_], solid: NDArray[np.bool_]
) -> NDArray[Any]:
    """How much light is left where a thing casts its shadow: float32 [H, W, 3], from above 0 to 1 (no shadow).

    The smooth part of ``image`` / ``plate``, so that it can be laid over other ground. Below the thing it goes on as
    beside it.

    Args:
        image, plate: uint8 [H, W, 3], with the shadow and without. shadow: bool [H, W], where it is.
        solid: bool [H, W], the thing itself.
    """
    side = min(shadow.shape)
    sigma = SOFT * side + 0.5
    weight = (~solid).astype(np.float32)

    def smooth(value: NDArray[Any]) -> NDArray[Any]:
        return cv2.GaussianBlur(value, (0, 0), sigma)

    share = smooth(weight)[..., None]
    dark, bright = (smooth(picture * weight[..., None]) + 4.0 * share for picture in (image, plate))
    light = np.clip((dark + 1e-6) / (bright + 1e-6), 0.02, 1.0)
    reach = 2 * round(sigma) + 1
    zone = cv2.dilate(shadow.astype(np.uint8), np.ones((reach, reach), np.uint8)).astype(np.float32)
    light = (1.0 - (1.0 - light) * smooth(zone)[..., None]).astype(np.float32)
    return smooth_fill(light, solid)
