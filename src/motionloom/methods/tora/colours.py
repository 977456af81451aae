"""The colour of a flow vector: hue for its direction, saturation for its length, white for none.

Source: Baker et al. 2007, "A database and evaluation methodology for optical flow" (Middlebury), with the arithmetic of
``torchvision.utils.flow_to_image``, which Tora was trained with: float32, operation by operation.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_STEPS = (15, 6, 4, 11, 13, 6)  # hues from red to yellow, green, cyan, blue, magenta, and back


class ColourWheel:
    """Paints flow. Not for several threads at once: memory is used again, since fresh one costs as much as the work.

    Args:
        pixels: of the largest part of a frame that it will be given.
    """

    def __init__(self, pixels: int) -> None:
        self._scratch = np.empty((5, pixels), np.float32)
        self._hue = np.empty(pixels, np.uint8)

    def fastest(self, flow: NDArray[np.float32]) -> float:
        """The largest length in flow [2, h, w]."""
        u, v, *_ = self._like(flow)
        np.square(flow[0], out=u)
        np.square(flow[1], out=v)
        u += v
        return float(np.sqrt(u.max(initial=0.0)))

    def paint(self, flow: NDArray[np.float32], largest: float, out: NDArray[np.uint8]) -> None:
        """Colours of flow [2, h, w] into ``out`` [3, h, w]; a vector as long as ``largest`` gets the full colour.

        One that rounding makes a little longer still is full; in torchvision its empty channels wrap around to 255.
        """
        u, v, place, colour, beside = self._like(flow)
        scale = -(np.float32(largest) + np.finfo(np.float32).eps)
        np.divide(flow[0], scale, out=u)
        np.divide(flow[1], scale, out=v)
        np.arctan2(v, u, out=place)
        place /= np.float32(np.pi)
        place += 1
        place /= 2
        place *= np.float32(sum(_STEPS) - 1)
        u *= u
        v *= v
        u += v
        speed = np.sqrt(u, out=u)
        hue = self._hue[: place.size].reshape(place.shape)
        np.copyto(hue, place, casting="unsafe")
        after = np.subtract(place, hue, out=place, dtype=np.float32)
        here = np.subtract(1, after, out=v)
        for channel, (table, next_table) in enumerate(_tables()):
            cv2.LUT(hue, table, colour)
            cv2.LUT(hue, next_table, beside)
            colour *= here
            beside *= after
            colour += beside
            np.subtract(1, colour, out=colour)
            colour *= speed
            np.subtract(1, colour, out=colour)
            colour *= 255
            out[channel] = colour

    def _like(self, flow: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        """Memory [h, w] for parts of flow [2, h, w]."""
        _, height, width = flow.shape
        return [each[: height * width].reshape(height, width) for each in self._scratch]


@lru_cache(maxsize=1)
def _tables() -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """For red, green and blue: of every hue from 0 to 1, and of the hue after it; float32 [256], 55 of them in use."""
    # Of two neighbouring main colours one channel is full, one empty, and one on its way up or down.
    ways = [(0, 1, True), (1, 0, False), (1, 2, True), (2, 1, False), (2, 0, True), (0, 2, False)]
    wheel = np.zeros((3, sum(_STEPS)), np.float32)
    start = 0
    for count, (full, moving, up) in zip(_STEPS, ways, strict=True):
        ramp = np.floor(255 * np.arange(count) / count)
        wheel[full, start : start + count] = 255
        wheel[moving, start : start + count] = ramp if up else 255 - ramp
        start += count
    unused = np.zeros((3, 256 - start), np.float32)
    here, after = (np.concatenate([each / 255, unused], 1) for each in (wheel, np.roll(wheel, -1, 1)))
    return list(zip(here, after, strict=True))
