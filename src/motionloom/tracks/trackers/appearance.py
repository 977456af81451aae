"""What surrounds a point, compared with what surrounded it on the frame it was given on.

Two patches are alike when one explains the other: their difference, after a limited change of contrast and brightness,
is small beside what is in them. What is in a patch counts together with the noise of the video, so that a flat patch,
whose correlation means nothing, is not called different from itself.

Shapes: N points, S the side of a patch. Positions (x, y) have integer pixel centres.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.float32]

_NOISE = 3.0  # grey levels: differences of this size say nothing
_EXCESS = 1.5  # times the power of the noise that differences may have, without it counting
_FLOOR = 16.0  # times the power of the noise that a patch is taken to hold at least
_LOUDEST = 10.0  # grey levels of noise: beyond, everything would look alike
_GAIN = (0.6, 1.6)  # contrast that may change
_BRIGHTNESS = 12.0  # grey levels that brightness may change by, without it counting
_ROWS = 8192  # patches cut at a time: OpenCV's maps have at most 32767 rows


class Appearance:
    """The patches of N points, on the frame each was given on.

    Args:
        side: of the patches in pixels; their middle counts most.
    """

    def __init__(self, count: int, side: int) -> None:
        offset = np.arange(side) - side // 2
        y, x = np.meshgrid(offset, offset, indexing="ij")
        self._offset = np.stack([x.ravel(), y.ravel()], 0).astype(np.float64)  # [2, S * S]
        self._weight = np.exp(-np.square(self._offset).sum(0) / (2 * (side / 4) ** 2))
        self.noise = 0.0  # standard deviation in grey levels, of the images compared
        self._own = np.zeros((count, side * side), np.float32)
        self._known = np.zeros((count, side * side), np.bool_)

    def remember(self, image: Image, numbers: NDArray[np.int64], places: Array) -> None:
        """Keep the patches around places [M, 2] of a frame as those of the points ``numbers`` [M]."""
        self._own[numbers], self._known[numbers] = self._cut(image, places, np.repeat(np.eye(2)[None], len(places), 0))

    def difference(self, image: Image, numbers: NDArray[np.int64], places: Array, shapes: Array) -> Array:
        """How unlike its own patch each point's surroundings are, [M]: 0 the same, about 1 something else.

        Args:
            places: [M, 2]; shapes: [M, 2, 2], the linear part of how the patch has been deformed since.
        """
        seen, inside = self._cut(image, places, shapes)
        own = self._own[numbers]
        weight = self._weight * (self._known[numbers] & inside)
        weight = weight / np.maximum(weight.sum(1, keepdims=True), 1e-9)

        def mean(values: NDArray[np.floating]) -> Array:
            return (values * weight).sum(1)

        mean_own, mean_seen = mean(own), mean(seen)
        own, seen = own - mean_own[:, None], seen - mean_seen[:, None]
        power_own, power_seen = mean(own * own), mean(seen * seen)
        noise = self.noise**2
        floor = _NOISE**2 + _FLOOR * noise
        gain = np.clip((mean(own * seen) + floor) / (np.maximum(power_own - noise, 0) + floor), *_GAIN)
        rest = np.maximum(mean(np.square(seen - gain[:, None] * own)) - _EXCESS * (1 + gain**2) * noise, 0)
        brightness = np.maximum(np.abs(mean_seen - mean_own) - _BRIGHTNESS, 0)
        return (rest + np.square(brightness)) / (gain**2 * power_own + power_seen + floor)

    def _cut(self, image: Image, places: Array, shapes: Array) -> tuple[Image, NDArray[np.bool_]]:
        """Patches [M, S * S] and which of their pixels are inside the image."""
        height, width = image.shape
        at = (shapes @ self._offset + places[:, :, None]).astype(np.float32)
        x, y = at[:, 0], at[:, 1]
        patches = np.empty(x.shape, np.float32)
        for first in range(0, len(x), _ROWS):
            part = slice(first, first + _ROWS)
            patches[part] = cv2.remap(
                image, np.ascontiguousarray(x[part]), np.ascontiguousarray(y[part]), cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )  # fmt: skip
        return patches, (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)


def noise_of(image: NDArray[np.uint8]) -> float:
    """Standard deviation, in grey levels, of the noise of a picture, from where it is flattest.

    Source: Immerkær, Fast noise variance estimation, 1996; here of the flattest quarter of the blocks.
    """
    if min(image.shape) < 3:
        return 0.0
    kernel = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    rough = np.abs(cv2.filter2D(image.astype(np.float32), -1, kernel)[1:-1, 1:-1])
    blocks = cv2.resize(
        rough, (max(1, rough.shape[1] // 16), max(1, rough.shape[0] // 16)), interpolation=cv2.INTER_AREA
    )
    return min(_LOUDEST, float(np.sqrt(np.pi / 2) / 6 * np.percentile(blocks, 25)))
