"""Registering what is around a point to the frame the point was given on.

Positions are (x, y) with integer pixel centres, as OpenCV has them.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_SMALLEST = 9  # px of a template that have to be left at the border
_SEARCH = 16  # px around the template that the registration may look at
_STOP = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)


@dataclass(frozen=True)
class Registration:
    """Where a template is found: correlation (to 1), place (x, y) of its point, linear part [2, 2] of the map."""

    correlation: float
    place: Array
    shape: Array


@dataclass(frozen=True)
class Template:
    """A piece of an image, and where the point is in it."""

    image: Image
    anchor: Array

    @classmethod
    def cut(cls, image: Image, place: Array, side: int) -> Template | None:
        """The square of ``side`` pixels around a place; None where too little of it is inside."""
        height, width = image.shape
        centre = np.round(place).astype(np.int64)
        low = np.clip(centre - side // 2, 0, [width, height])
        high = np.clip(centre + side // 2 + 1, 0, [width, height])
        if (high - low).min() < min(_SMALLEST, side):
            return None
        return cls(image[low[1] : high[1], low[0] : high[0]].copy(), place - low)

    def register(self, image: Image, place: Array, shape: Array) -> Registration | None:
        """The affine map of this template onto an image, from a first guess; by ECC.

        Args:
            shape: [2, 2], linear part of the map.

        Returns:
            None where the iteration does not converge.
        """
        height, width = image.shape
        reach = max(self.image.shape) // 2 + _SEARCH
        centre = np.round(place).astype(np.int64)
        x0, y0 = np.clip(centre - reach, 0, [width, height])
        x1, y1 = np.clip(centre + reach + 1, 0, [width, height])
        if min(x1 - x0, y1 - y0) < _SMALLEST:
            return None
        corner = np.array([x0, y0], np.float64)
        warp = np.empty((2, 3), np.float32)
        warp[:, :2] = shape
        warp[:, 2] = place - corner - shape @ self.anchor
        try:
            correlation, warp = cv2.findTransformECC(  # pyright: ignore[reportCallIssue]
                self.image,
                image[y0:y1, x0:x1],
                warp,
                cv2.MOTION_AFFINE,
                _STOP,
                None,  # pyright: ignore[reportArgumentType]
                1,  # no smoothing here: it would treat the rim of the template unlike the image
            )
        except cv2.error:  # raised where the iteration does not converge
            return None
        linear = warp[:, :2].astype(np.float64)
        return Registration(float(correlation), linear @ self.anchor + warp[:, 2] + corner, linear)

    def search(self, image: Image, place: Array, shape: Array, radius: int) -> Array | None:
        """The place within ``radius`` pixels where the template, deformed by ``shape``, correlates best.

        Returns:
            None where the image holds too little of the neighbourhood.
        """
        half = min(min(self.image.shape) // 2, _SMALLEST)
        # The middle of the template as it would look now, cut upright.
        middle = np.linalg.inv(shape)
        back = np.column_stack([middle, self.anchor - middle @ [half, half]]).astype(np.float32)
        looks = cv2.warpAffine(
            self.image, back, (2 * half + 1, 2 * half + 1), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        centre = np.round(place).astype(np.int64)
        reach = half + radius
        low = np.maximum(centre - reach, 0)
        high = np.minimum(centre + reach + 1, [image.shape[1], image.shape[0]])
        if (high - low).min() < 2 * half + 1:
            return None
        scores = cv2.matchTemplate(image[low[1] : high[1], low[0] : high[0]], looks, cv2.TM_CCOEFF_NORMED)
        row, column = np.unravel_index(int(np.argmax(scores)), scores.shape)
        return low + np.array([column, row], np.float64) + half
