"""How natural a video's frames are, without anything to compare them with."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

import numpy as np

from motionloom.evaluate import niqe as maths
from motionloom.evaluate.evidence import Evidence
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import Metric
from motionloom.evaluate.suite.fidelity import over_frames

SAMPLED = 8
"""Frames that are looked at, evenly over the video, so that a long one costs no more than a short one."""

_MEASURED: WeakKeyDictionary[Evidence, Measurement] = WeakKeyDictionary()


def measure_niqe(evidence: Evidence) -> Measurement:
    """NIQE of a video, computed once: the mean over its sampled frames."""
    if evidence not in _MEASURED:
        _MEASURED[evidence] = _niqe(evidence)
    return _MEASURED[evidence]


def _niqe(evidence: Evidence) -> Measurement:
    frames = evidence.frames
    numbers = [int(number) for number in np.linspace(0, frames.num_frames - 1, min(SAMPLED, frames.num_frames))]
    values: list[float | None] = [None] * frames.num_frames
    height, width = frames.size
    large = min(height, width) >= maths.SMALLEST
    if large:
        for number in numbers:
            values[number] = maths.niqe(frames.read(number, number + 1))[0]
    reason = (
        "no sampled frame has enough structure"
        if large
        else f"found {height}x{width} pixels, expected at least {maths.SMALLEST} on each side"
    )
    variant = f"luma, up to {SAMPLED} frames evenly"
    # Which frames those were is seen in the curve: the others have no value.
    measured = over_frames(evidence, "niqe", values, better="lower", variant=variant, reason=reason)
    return replace(measured, frames=len(numbers) if large else 0)


METRICS: tuple[Metric, ...] = (
    Metric("niqe", "NIQE: distance from the statistics of natural pictures", measure_niqe, better="lower"),
)
