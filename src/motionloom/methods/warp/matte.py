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
ON_EDGE = 0.9
"""An outline is where it belongs when no edge inside it is stronger than the one it lies on by more than this."""
BAND_PIXELS = 8
"""In larger photographs the edge is looked for in a picture shrunk until the band is about so many pixels wide."""
NOISE = 8.0
"""Grey levels: colours closer than this are the same."""


def matte(image: NDArray[np.uint8], region: NDArray[np.bool_], *, matting: Matting = "refine") -> NDArray[np.float32]:
    """How much of every pixel belongs to the object: float32 [H, W] in [0, 1].

    Args:
        image: uint8 [H, W, 3]. region: bool [H, W], drawn around the object.
        matting: "refine" moves the outline to the object's edge where there is one within `BAND`: every pixel there is
            compared with the colours just inside and just outside, the drawn outline deciding where both are alike,
            and where it lies on an edge itself.
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
    inner = (slice(top, bottom), slice(left, right))
    # A large photograph tells where the edge is when it is smaller, too; only its last pixels take the full size.
    shrink = max(1, band // BAND_PIXELS)
    picture, drawn = image[inner], region[inner]
    full = (drawn.shape[1], drawn.shape[0])
    if shrink > 1:
        small = (max(1, drawn.shape[1] // shrink), max(1, drawn.shape[0] // shrink))
        picture = np.asarray(cv2.resize(picture, small, interpolation=cv2.INTER_AREA), np.uint8)
        drawn = cv2.resize(drawn.astype(np.float32), small, interpolation=cv2.INTER_AREA) > 0.5
    cut = _cut_out(picture, drawn, band // shrink) if drawn.any() else None
    if cut is None:
        return soft
    trust = _on_an_edge(picture, drawn, band // shrink)
    if shrink > 1:
        cut, trust = (cv2.resize(one, full) for one in (cut, trust))
        cut = _snap(image[inner], cut, shrink)
    result = np.zeros(region.shape, np.float32)
    result[inner] = cut + trust * (soft[inner] - cut)
    return result


def _snap(image: NDArray[np.uint8], alpha: NDArray[Any], radius: int) -> NDArray[Any]:
    """A matte whose edge is soft over ``radius`` pixels, moved to the picture's own edge there."""
    guide = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    sharp = np.clip((_guided_filter(guide, alpha, radius, 1e-3) - 0.2) / 0.6, 0.0, 1.0)
    near = cv2.blur(alpha, (2 * radius + 1, 2 * radius + 1)) > 0
    return np.where(near, sharp, 0.0).astype(np.float32)


def _on_an_edge(image: NDArray[np.uint8], region: NDArray[np.bool_], band: int) -> NDArray[Any]:
    """[H, W] in [0, 1]: whether the outline nearby lies on an edge as strong as any that is found further inside.

    Edges are changes across the outline, averaged along it: those of the thing's own texture cancel out.
    """
    depth = _depth(region, band)
    picture = cv2.GaussianBlur(image, (0, 0), 0.7).astype(np.float32)
    across = np.stack(np.gradient(cv2.GaussianBlur(depth, (0, 0), 1.0)))
    across /= np.maximum(np.hypot(*across), 1e-6)
    slopes = np.gradient(picture, axis=(0, 1))
    change = slopes[0] * across[0][..., None] + slopes[1] * across[1][..., None]
    level = np.floor(depth).astype(int)
    side = (8 * band + 1, 8 * band + 1)

    def strength(depths: range) -> NDArray[Any]:
        best = np.zeros(region.shape, np.float32)
        for one in depths:
            there = (level == one).astype(np.float32)
            share = cv2.blur(there, side, borderType=cv2.BORDER_CONSTANT)
            mean = cv2.blur(change * there[..., None], side, borderType=cv2.BORDER_CONSTANT)
            mean = np.abs(mean).mean(axis=-1) / np.maximum(share, 1e-6)
            best = np.maximum(best, np.where(share > 0.2 / side[0], mean, 0.0))
        return best

    trusted = strength(range(-1, 2)) >= ON_EDGE * strength(range(2, band + 2))
    return cv2.blur(trusted.astype(np.float32), (2 * band + 1, 2 * band + 1))


def _cut_out(image: NDArray[np.uint8], region: NDArray[np.bool_], band: int) -> NDArray[np.float32] | None:
    depth = _depth(region, band)
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


def _depth(region: NDArray[np.bool_], band: int) -> NDArray[Any]:
    """[H, W]: pixels to the outline, negative outside; beyond the photograph's rim the thing goes on."""
    padded = np.pad(region, band + 1, mode="edge").astype(np.uint8)
    inner = (slice(band + 1, -band - 1), slice(band + 1, -band - 1))
    return (cv2.distanceTransform(padded, cv2.DIST_L2, 5) - cv2.distanceTransform(1 - padded, cv2.DIST_L2, 5))[inner]


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
