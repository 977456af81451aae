"""How a value gets from one key to the next: easing curves and keyframed numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Easing = Literal["linear", "ease-in", "ease-out", "ease-in-out", "hold"] | tuple[float, float, float, float]

# CSS Easing Functions Level 1, section 2.2: the control points behind the keywords.
NAMED: dict[str, tuple[float, float, float, float]] = {
    "ease-in": (0.42, 0.0, 1.0, 1.0),
    "ease-out": (0.0, 0.0, 0.58, 1.0),
    "ease-in-out": (0.42, 0.0, 0.58, 1.0),
}


# Frames that lie closer together have no time in between: what changes from one to the other jumps.
SAME_MOMENT = 1e-9


def ease(progress: NDArray[np.float64], easing: Easing) -> NDArray[np.float64]:
    """Eased progress [...] of a linear progress [...] in 0..1. Starts at 0, ends at 1, may overshoot in between.

    Four numbers are the control points (x1, y1, x2, y2) of a cubic Bézier from (0, 0) to (1, 1) as in CSS; x1 and x2
    lie in 0..1. ``hold`` stays at 0 and jumps to 1 at the end.
    """
    progress = np.clip(np.asarray(progress, np.float64), 0.0, 1.0)
    if easing == "linear":
        return progress
    if easing == "hold":
        return (progress >= 1.0).astype(np.float64)
    x1, y1, x2, y2 = NAMED[easing] if isinstance(easing, str) else easing
    low, high = np.zeros_like(progress), np.ones_like(progress)
    # x is monotone in the curve parameter, so bisection always converges, also where Newton's slope would vanish.
    for _ in range(50):
        middle = (low + high) / 2
        below = _bezier(middle, x1, x2) < progress
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    eased = _bezier((low + high) / 2, y1, y2)
    return np.where(progress <= 0.0, 0.0, np.where(progress >= 1.0, 1.0, eased))


def _bezier(s: NDArray[np.float64], first: float, second: float) -> NDArray[np.float64]:
    return 3 * (1 - s) ** 2 * s * first + 3 * (1 - s) * s**2 * second + s**3


def progress(times: NDArray[np.float64], start: float, end: float) -> NDArray[np.float64]:
    """Linear progress [T] of ``times`` [T] from ``start`` (0) to ``end`` (1), clamped; a jump where both are equal."""
    if end - start < SAME_MOMENT:
        return (times >= start).astype(np.float64)
    return np.clip((times - start) / (end - start), 0.0, 1.0)


def keyframed(
    times: NDArray[np.float64], frames: Sequence[float], values: Sequence[float], easings: Sequence[Easing]
) -> NDArray[np.float64]:
    """Values [T] at ``times`` [T] of keys with increasing ``frames`` [K]; the first and last value hold outside.

    ``easings`` [K]: how the value leaves each key; that of the last key is not used.
    """
    at, value = np.asarray(frames, np.float64), np.asarray(values, np.float64)
    here = np.clip(np.searchsorted(at, times, side="right") - 1, 0, len(at) - 1)
    there = np.minimum(here + 1, len(at) - 1)
    span = at[there] - at[here]
    share = np.clip((times - at[here]) / np.where(span > SAME_MOMENT, span, 1.0), 0.0, 1.0)
    for easing in set(easings):
        chosen = np.array([each == easing for each in easings])[here]
        share[chosen] = ease(share[chosen], easing)
    return value[here] + (value[there] - value[here]) * share
