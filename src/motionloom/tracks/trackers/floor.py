"""What the default tracker adds to an error that is measured with it.

Source: `benchmarks/trackers.py`, `benchmarks/results/trackers.json` (procedural videos of seed 303, 17 frames of 81
points).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Floor:
    """Error in px on true videos against the true tracks, of visible points after the first frame.

    Attributes:
        median, mean: of the error; below_1px: share of the points.
    """

    median: float
    mean: float
    below_1px: float


FLOOR: dict[int, Floor] = {128: Floor(0.075, 1.922, 0.855), 256: Floor(0.041, 1.078, 0.904)}
"""By the short side of the video in px."""


def floor_of(size: tuple[int, int]) -> Floor:
    """The floor measured at the size nearest to (height, width)."""
    return FLOOR[min(FLOOR, key=lambda side: abs(side - min(size)))]
