"""Cutting an object out of a photograph along a region that was drawn by hand."""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Matting = Literal["refine", "feather"]

BAND = 0.015
"""How far inside a hand-drawn outline the edge of the thing may lie, as a share of the image's short side."""
OUTWARDS = 0.2
"""How far outside it, as a share of that: outlines are drawn around a thing rather than through it."""
SHADOW = 0.07
"""How far beyond a thing its shadow is looked for, as a share of the short side."""
NOISE = 8.0
"""Grey levels: colours closer than this are the same."""


def matte(image: NDArray[np.uint8], region: NDArray[np.bool_], *, matting: Matting = "refine") -> NDArray[np.float32]:
    """How much of every pixel belongs to the object: float32 [H, W] in [0, 1].

    Args:
        image: uint8 [H, W, 3]. region: bool [H, W], drawn around the object.
        matting: "refine" moves the outline to the object's edge where there is one within `BAND`: every pixel there is
            compared with the colours just inside and just outside, the drawn outline deciding where both are alike.
            "feather" trusts the region and only softens its edge by about a pixel.
    """
    blurred = cv2.GaussianBlur(region.astype(np.float32), (0, 0), 1.0)
    soft = np.clip(2.0 * blurred - 0.5, 0.0, 1.0).astype(np.float32)
    if matting == "feather" or not region.any() or region.all():
        return soft
    band = max(3, round(BAND * min(region.shape)))
    rows, columns = np.flatnonzero(region.any(axis=1)), np.flatnonzero(region.any(axis=0))
    top, bottom = max(0, rows[0] - 6 * band), rows[-1] + 1 + 6 * band
    left, right = max(0, columns[0] - 6 * band), columns[-1] + 1 + 6 * band
    cut = _cut_out(image[top:bottom, left:right], region[top:bottom, left:right], band)
    if cut is None:
        return soft
    result = np.zeros(region.shape, np.float32)
    result[top:bottom, left:right] = cut
    return result


def _cut_out(image: NDArray[np.uint8], region: NDArray[np.bool_], band: int) -> NDArray[np.float32] | None:
    # Beyond the photograph's rim the object goes on, so the rim is no edge of it.
    padded = np.pad(region, band + 1, mode="edge").astype(np.uint8)
    inner = (slice(band + 1, -band - 1), slice(band + 1, -band - 1))
    depth = (cv2.distanceTransform(padded, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5))[inner]
    # The middle of a thin object is sure, too, although its outline is near.
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (4 * band + 1, 4 * band + 1))
    inside, outside = depth > np.minimum(band, 0.5 * cv2.dilate(depth, disc)), depth < -max(1.5, OUTWARDS * band)
    if not inside.any() or not outside.any():
        return None
    picture = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32)
    likely = _unlikeliness(picture, outside, band) - _unlikeliness(picture, inside, band)
    logit = np.clip(0.5 * likely, -6.0, 6.0) + 2.0 * (depth / band) + 0.5
    logit = np.where(inside, 8.0, np.where(outside, -8.0, np.clip(logit, -8.0, 8.0))).astype(np.float32)
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    smooth = cv2.GaussianBlur(_guided_filter(guide, logit, max(2, band // 2), 2e-3), (0, 0), 0.25 * band)
    found = (smooth > 0).astype(np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (band | 1, band | 1))
    found = cv2.morphologyEx(cv2.morphologyEx(found, cv2.MORPH_CLOSE, disc), cv2.MORPH_OPEN, disc)
    found = ((found > 0) | inside).astype(np.uint8)
    alpha = _guided_filter(guide, cv2.GaussianBlur(found.astype(np.float32), (0, 0), 0.8), 2, 1e-3)
    near = cv2.dilate(found, np.ones((5, 5), np.uint8)) > 0
    return np.where(near, np.clip((alpha - 0.2) / 0.6, 0.0, 1.0), 0.0).astype(np.float32)


def _unlikeliness(picture: NDArray[np.float32], sure: NDArray[np.bool_], band: int) -> NDArray[np.float32]:
    """[H, W]: how far each pixel is from the colours of ``sure`` pixels nearby, in squared standard deviations."""
    weight = sure.astype(np.float32)
    total = np.full(weight.shape, 1e-9, np.float32)
    mean, square = np.zeros_like(picture), np.zeros_like(picture)
    for sigma, trust in ((1.0 * band, 1.0), (4.0 * band, 1e-3)):  # the wider one where nothing sure is near
        total += trust * cv2.GaussianBlur(weight, (0, 0), sigma)
        mean += trust * cv2.GaussianBlur(picture * weight[..., None], (0, 0), sigma)
        square += trust * cv2.GaussianBlur(picture**2 * weight[..., None], (0, 0), sigma)
    mean, square = mean / total[..., None], square / total[..., None]
    variance = np.maximum(square - mean**2, 0.0) + NOISE**2
    return ((picture - mean) ** 2 / variance + np.log(variance)).sum(axis=-1)


def _guided_filter(guide: NDArray[Any], value: NDArray[Any], radius: int, epsilon: float) -> NDArray[Any]:
    """He, Sun and Tang's edge-preserving filter: locally ``value`` is a linear function of ``guide``."""
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        return cv2.boxFilter(array, cv2.CV_32F, side, borderType=cv2.BORDER_REFLECT)

    guide_mean, value_mean = mean(guide), mean(value)
    slope = (mean(guide * value) - guide_mean * value_mean) / (mean(guide * guide) - guide_mean**2 + epsilon)
    return mean(slope) * guide + mean(value_mean - slope * guide_mean)


def object_colours(image: NDArray[np.uint8], alpha: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The object's own colours, continued beyond its edge, so that no rim of the old background comes along.

    Returns:
        uint8 [H, W, 3]: the image where alpha is 1 (a pixel inside the edge), outside it the nearby object colours.
    """
    sure = cv2.erode((alpha > 0.98).astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE) > 0
    if not sure.any():
        return image.copy()
    picture, colours, missing = image.astype(np.float32), image.astype(np.float32), ~sure
    for sigma in (1.0, 3.0, 9.0):
        weight = cv2.GaussianBlur(sure.astype(np.float32), (0, 0), sigma)
        reached = missing & (weight > 0.02)
        spread = cv2.GaussianBlur(picture * sure[..., None], (0, 0), sigma)
        colours[reached] = spread[reached] / weight[reached][:, None]
        missing &= ~reached
    return np.clip(np.rint(colours), 0, 255).astype(np.uint8)


def contact_shadow(image: NDArray[np.uint8], hole: NDArray[np.bool_], taken: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Pixels around a hole that show the shadow of what was there: bool [H, W].

    A shadow is the surroundings' colour made darker: it reaches from the hole at most `SHADOW` of the short side, and
    its three channels are darkened alike. A dark thing of another colour stands too close, but is no shadow.

    Args:
        hole: bool [H, W]. taken: bool [H, W], all things cut out, whose colours are no surroundings.
    """
    side = min(hole.shape)
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
