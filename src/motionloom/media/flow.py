"""Dense optical flow between frames, and the frame in between two.

Flow [H, W, 2] is (x, y) in pixels from a pixel of one frame to the same thing in the other; it comes from DIS (Kroeger
et al. 2016, arXiv 1603.03590) of OpenCV.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Flow = NDArray[np.float32]

SMALLEST = 16
"""Pixels of height and width from which there is flow: DIS' pyramid of patches needs them."""

_COLOUR_DIFFERENCE = 4.0  # grey levels at which two ends of a flow are believed e times less
_TOLERANCE = 1.0  # px of disagreement between a pixel's own flow and the one it is fetched with
_TOLERANCE_SHARE = 0.1  # of the flow's length, on top
_LEAST_TRUST = 0.02  # in what only one of the frames shows
_HOLE = 1e-3  # less than this fell onto a cell


def optical_flow(
    frame: NDArray[np.uint8], other: NDArray[np.uint8], *, blur: float = 0.0, coarse: bool = False
) -> Flow:
    """Flow from a frame uint8 [H, W, 3] to another; zero for frames too small for the method.

    Args:
        blur: sigma in pixels of a Gaussian on both frames, which hides noise from it.
        coarse: a fifth of the time, less exact at edges.
    """
    height, width = frame.shape[:2]
    if min(height, width) < SMALLEST:
        return np.zeros((height, width, 2), np.float32)
    grey = [np.asarray(cv2.cvtColor(each, cv2.COLOR_RGB2GRAY)) for each in (frame, other)]
    if blur:
        grey = [cv2.GaussianBlur(each, (0, 0), blur) for each in grey]
    # The stubs do not know that no flow to start from is allowed.
    flow = _dis(coarse, height, width).calc(grey[0], grey[1], None)  # pyright: ignore[reportArgumentType, reportCallIssue]
    return np.asarray(flow, np.float32)


def flow_both_ways(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[Flow, Flow]:
    """Flow from the first frame uint8 [H, W, 3] to the second, and back, as `between` wants them.

    What only one of the two frames shows has no flow, and the method makes one up: where the way there and back does
    not end where it began, the flow runs evenly from one side of the gap to the other instead.
    """
    there, back = optical_flow(first, second), optical_flow(second, first)
    lost = [
        np.square(way + fetch(other, way)).sum(-1) > _tolerance(way) for way, other in ((there, back), (back, there))
    ]
    there, back = (_without_holes(way, ~gap) for way, gap in zip((there, back), lost, strict=True))
    return there, back


def fetch(image: NDArray[np.generic], flow: Flow) -> NDArray[np.float32]:
    """What an image [H, W, ...] shows at the end of each flow vector: float32, bilinear, held beyond the border."""
    column, row = _pixels(flow.shape[0], flow.shape[1])
    moved = cv2.remap(
        np.asarray(image, np.float32),
        column + flow[..., 0],
        row + flow[..., 1],
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(moved, np.float32)


def between(
    first: NDArray[np.uint8], second: NDArray[np.uint8], there: Flow, back: Flow, time: float
) -> NDArray[np.uint8]:
    """The frame uint8 [H, W, 3] at a time between two frames, 0 (first) to 1 (second).

    The flows of both frames are carried to that time; where several things arrive, the one that looks the same in both
    frames wins. Every pixel is then fetched from both frames, and the frame counts whose own flow there agrees with the
    one it was fetched with: that is what sees things the other frame has covered or not yet uncovered.

    Args:
        there, back: of `flow_both_ways`.
    """
    flow = _flow_at(first, second, there, back, time)
    total = np.zeros((*flow.shape[:2], 1), np.float32)
    mixed = np.zeros((*flow.shape[:2], 3), np.float32)
    tolerance = _tolerance(flow)
    for image, own, way, share in ((first, there, -time, 1 - time), (second, -back, 1 - time, time)):
        way_there = np.float32(way) * flow
        disagreement = np.square(fetch(own, way_there) - flow).sum(-1)
        # The small constant makes a plain blend of what neither frame explains.
        weight = share * (np.exp(-disagreement / (2 * tolerance)) * _inside(way_there) + 1e-3)[..., None]
        mixed += weight.astype(np.float32) * fetch(image, way_there)
        total += weight.astype(np.float32)
    return np.clip(np.rint(mixed / total), 0, 255).astype(np.uint8)


def _flow_at(first: NDArray[np.uint8], second: NDArray[np.uint8], there: Flow, back: Flow, time: float) -> Flow:
    """Flow from the first frame to the second, for the pixels of the frame at ``time``.

    Carried at half the resolution: flow is smooth, and the cost is that of the carrying.
    """
    height, width = there.shape[:2]
    small = (max(1, (width + 1) // 2), max(1, (height + 1) // 2))
    scale = np.array([small[0] / width, small[1] / height], np.float32)
    landed = np.zeros((3, small[1] * small[0]))
    for image, other, own, sign, share in ((first, second, there, 1, time), (second, first, back, -1, 1 - time)):
        difference = np.abs(np.asarray(image, np.float32) - fetch(other, own)).mean(-1)
        trust = np.maximum(np.exp(-difference / _COLOUR_DIFFERENCE), _LEAST_TRUST)
        flow, trust = (
            np.asarray(cv2.resize(each, small, interpolation=cv2.INTER_AREA), np.float32) for each in (own, trust)
        )
        _drop(landed, sign * flow, share * scale * flow, trust)
    landed = landed.reshape(3, small[1], small[0])
    flow = np.moveaxis(landed[:2] / np.maximum(landed[2], 1e-12), 0, -1).astype(np.float32)
    flow = _without_holes(flow, landed[2] >= _HOLE)
    return np.asarray(cv2.resize(flow, (width, height)), np.float32)


def _drop(landed: NDArray[np.float64], values: Flow, way: Flow, weight: NDArray[np.float32]) -> None:
    """Add weighted values [H, W, 2] and weights to ``landed`` [3, H * W], to the four cells each lands between."""
    height, width = weight.shape
    column, row = _pixels(height, width)
    x, y = column + way[..., 0], row + way[..., 1]
    left, top = np.floor(x), np.floor(y)
    for across in (0, 1):
        for down in (0, 1):
            share = weight * (1 - np.abs(x - left - across)) * (1 - np.abs(y - top - down))
            inside = (left + across >= 0) & (left + across < width) & (top + down >= 0) & (top + down < height)
            cell = ((top + down) * width + left + across)[inside].astype(np.int64)
            share = share[inside]
            for channel in (0, 1):
                landed[channel] += np.bincount(cell, share * values[..., channel][inside], height * width)
            landed[2] += np.bincount(cell, share, height * width)


def _without_holes(flow: Flow, known: NDArray[np.bool_]) -> Flow:
    """Where nothing arrived: the flow around, from ever farther away."""
    radius = 2.0
    while not known.all() and known.any():
        weight = known.astype(np.float32)
        around = cv2.GaussianBlur(flow * weight[..., None], (0, 0), radius)
        amount = cv2.GaussianBlur(weight, (0, 0), radius)
        fill = ~known & (amount > _HOLE)
        flow = np.where(fill[..., None], around / np.maximum(amount, 1e-12)[..., None], flow).astype(np.float32)
        known = known | fill
        radius *= 3
    return flow


def _tolerance(flow: Flow) -> NDArray[np.float32]:
    """Squared pixels by which two accounts of a flow may differ."""
    return _TOLERANCE**2 + np.square(_TOLERANCE_SHARE * flow).sum(-1)


def _inside(way: Flow) -> NDArray[np.float32]:
    height, width = way.shape[:2]
    column, row = _pixels(height, width)
    x, y = column + way[..., 0], row + way[..., 1]
    return ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)).astype(np.float32)


@lru_cache(maxsize=2)
def _pixels(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    row, column = np.mgrid[:height, :width].astype(np.float32)
    return column, row


@lru_cache(maxsize=4)
def _dis(coarse: bool, height: int, width: int) -> cv2.DISOpticalFlow:
    # One for each size: what it chooses for small pictures it would go on using for large ones.
    return cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST if coarse else cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
