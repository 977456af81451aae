"""What the default tracker adds to an error that is measured with it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Floor:
    """Error in pixels of the default tracker on true videos, visible points, frames after the first."""

    median: float
    mean: float


FLOOR: dict[str, Floor] = {"128": Floor(0.05, 1.1), "256": Floor(0.035, 1.6)}
