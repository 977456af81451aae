"""Spreading values from a few pixels over a frame with a Gaussian, where it reaches and nowhere else.

The published program filters whole frames with 99x99 weights. A frame of Tora holds some dozen sources, so that only
boxes around them are not zero; and since a Gaussian is the product of one along x and one along y, each box is two
products of small matrices, whatever happens at the border and however many sources there are.

Shapes: K sources, H W pixels of the frame, h w of a box.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError

BAND = 96
"""Rows or columns that one matrix product makes: about as many as a blob reaches."""


@dataclass(frozen=True)
class Blob:
    """The Gaussian that a displacement is spread with: exp(-r² / 2 sigma²), cut at ``radius`` pixels on each axis."""

    sigma: float = 10.0
    radius: int = 49

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sigma) and self.sigma > 0 and self.radius >= 0):
            raise InputError(f"blob: found sigma {self.sigma} and radius {self.radius}, expected pixels above zero")

    def scaled(self, factor: float) -> Blob:
        return Blob(self.sigma * factor, max(1, round(self.radius * factor)))


class Box(NamedTuple):
    """A part of a frame."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


class Blur:
    """Spreads displacements over frames of one size. Not for several threads at once: memory is used again."""

    def __init__(self, size: tuple[int, int], blob: Blob, mirrored: bool) -> None:
        self.size, self.radius = size, blob.radius
        self.vertical, self.horizontal = (_spread(side, blob, mirrored) for side in size)
        # Fresh memory in every frame would cost as much as the arithmetic.
        self._sources = np.zeros((2, *size), np.float32)
        self._across = np.empty((2, *size), np.float32)
        self._band = np.empty((2, BAND * size[1]), np.float32)

    def boxes(self, row: NDArray[np.int64], column: NDArray[np.int64]) -> list[Box]:
        """Boxes around all that sources [K] reach, joined where that saves pixels. Some may overlap."""
        if not len(row):
            return []
        corner, reach = np.stack([row, column], 1), self.radius
        windows = np.concatenate([np.maximum(corner - reach, 0), np.minimum(corner + reach + 1, self.size)], 1)
        whole = np.concatenate([windows[:, :2].min(0), windows[:, 2:].max(0)])
        if _area(windows).sum() >= _area(whole):
            return [Box(*whole.tolist())]
        kept = windows[:1]
        for window in windows[1:]:
            while True:
                joined = np.concatenate([np.minimum(kept[:, :2], window[:2]), np.maximum(kept[:, 2:], window[2:])], 1)
                saved = _area(kept) + _area(window) - _area(joined)
                best = int(saved.argmax()) if len(saved) else -1
                if best < 0 or saved[best] < 0:
                    break
                window, kept = joined[best], np.delete(kept, best, 0)
            kept = np.concatenate([kept, window[None]])
        return [Box(*box) for box in kept.tolist()]

    def bands(
        self, row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float32], box: Box
    ) -> Iterator[tuple[Box, NDArray[np.float32]]]:
        """What sources [K] with values [K, 2] add up to in a box: bands of it from top to bottom, and their [2, h, w].

        The rows that have sources are spread to the sides, then all of them up and down: two products of matrices,
        block by block, since a source reaches no farther than the blob. A band is overwritten by the next.
        """
        reach = self.radius
        near = (row >= box.top - reach) & (row < box.bottom + reach)
        near &= (column >= box.left - reach) & (column < box.right + reach)
        lines, line = np.unique(row[near], return_inverse=True)
        place = (slice(None), line, column[near])
        self._sources[place] = value[near].T
        for start in range(box.left, box.right, BAND):
            stop = min(start + BAND, box.right)
            part = slice(max(0, start - reach), min(self.size[1], stop + reach))
            for sources, across in zip(self._sources[:, : len(lines)], self._across[:, : len(lines)], strict=True):
                np.matmul(sources[:, part], self.horizontal[part, start:stop], out=across[:, start:stop])
        self._sources[place] = 0.0
        width = box.right - box.left
        for start in range(box.top, box.bottom, BAND):
            stop = min(start + BAND, box.bottom)
            part = slice(*np.searchsorted(lines, [start - reach, stop + reach]))
            weight = self.vertical[lines[part], start:stop].T
            flow = self._band[:, : (stop - start) * width].reshape(2, stop - start, width)
            for across, out in zip(self._across, flow, strict=True):
                np.matmul(weight, across[part, box.left : box.right], out=out)
            yield Box(start, box.left, stop, box.right), flow


@lru_cache(maxsize=8)
def _spread(side: int, blob: Blob, mirrored: bool) -> NDArray[np.float32]:
    """[side, side]: how much of a source at the first index arrives at the second.

    Mirrored as OpenCV's reflect-101: the border pixel is the mirror and stands there once. What a frame shows beyond
    its border are images of it, again and again for one smaller than the blob.
    """
    inside, reach = np.arange(side), blob.radius
    beyond = np.pad(inside, reach, mode="reflect") if mirrored else np.arange(-reach, side + reach)
    weight = np.zeros((side, side))
    for distance in range(-reach, reach + 1):
        source = beyond[inside + reach + distance]
        there = (source >= 0) & (source < side)
        weight[source[there], inside[there]] += np.exp(-np.square(distance / blob.sigma) / 2)
    return weight.astype(np.float32)


def _area(boxes: NDArray[np.int64]) -> NDArray[np.int64]:
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
