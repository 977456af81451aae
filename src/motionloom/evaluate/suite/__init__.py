"""Every metric by name, and `measure`: all of them for one video."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError, MotionloomError
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import Bundle, DistributionMetric, Metric, Which
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.weights import WeightsMissing

BUNDLES: tuple[Bundle, ...] = ("core", "features", "distribution")
_FAMILIES = ("tracks", "fidelity", "perceptual", "article", "motion", "flow", "niqe", "subject", "features", "frechet")
_NEEDS = {
    "motion": ("motion",),
    "reference": ("reference",),
    "first_image": ("first_image",),
    "last_image": ("last_image",),
    "prompt": ("prompt",),
    "subject": ("masks", "box"),
}


def _all() -> dict[str, Metric | DistributionMetric]:
    found: dict[str, Metric | DistributionMetric] = {}
    for family in _FAMILIES:
        for metric in importlib.import_module(f"motionloom.evaluate.suite.{family}").METRICS:
            assert metric.name not in found, f"two metrics are called {metric.name}"
            found[metric.name] = metric
    return found


METRICS = _all()
"""By name, in the order of reports."""


def choose(names: Sequence[str] | None = None) -> tuple[str, ...]:
    """Metrics by their names or those of bundles; None chooses all.

    Raises:
        InputError: there is no such metric.
    """
    if names is None:
        return tuple(METRICS)
    wanted: list[str] = []
    for name in names:
        if name in BUNDLES:
            wanted += [each for each, metric in METRICS.items() if metric.bundle == name]
        elif name in METRICS:
            wanted.append(name)
        else:
            raise InputError(f"metrics: found {name!r}, expected {', '.join(BUNDLES)}, or some of {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in wanted)


def measure(
    sample: Sample | Evidence, tools: Tools, *, metrics: Sequence[str] | None = None
) -> tuple[Measurement, ...]:
    """Every metric of single videos that can be computed for a sample, and why the others cannot.

    Args:
        metrics: names of metrics or bundles; None is all of them. A metric for which the sample does not bring what it
            needs (a reference, a prompt, ...) is left out.

    Returns:
        Measurements in the order of `METRICS`. A metric that fails gives one with a reason; the others still run.

    Raises:
        FileFormatError, InputError: the video itself cannot be read.
    """
    evidence = sample if isinstance(sample, Evidence) else Evidence(sample, tools)
    _ = evidence.frames  # what is wrong with the video is wrong with every metric
    found: list[Measurement] = []
    for name in choose(metrics):
        metric = METRICS[name]
        if isinstance(metric, Metric) and _is_known(evidence.sample, metric.needs):
            found += _computed(metric, evidence)
    return tuple(found)


def features_of(
    evidence: Evidence, metric: DistributionMetric, which: Which
) -> tuple[NDArray[np.float32] | None, str | None]:
    """What a metric of sets of videos keeps of one video: features float32 [n, D], or the reason why there are none."""
    try:
        if which == "reference" and evidence.sample.reference is None:
            return None, "no reference video"
        values = np.asarray(metric.features(evidence, which), np.float32)
    except MotionloomError as error:
        return None, _reason(metric, evidence.tools, error)
    if not np.isfinite(values).all():
        return None, f"{evidence.sample.name}: features that are not numbers"
    return values, None


def compare(metric: DistributionMetric, real: NDArray[Any], made: NDArray[Any]) -> tuple[Measurement, ...]:
    """A metric of sets of videos from the features of all of them; never raises for what the data is."""
    try:
        return _as_tuple(metric.compare(real, made))
    except MotionloomError as error:
        return (_without_value(metric, str(error)),)


def _computed(metric: Metric, evidence: Evidence) -> tuple[Measurement, ...]:
    try:
        return _as_tuple(metric.compute(evidence))
    except MotionloomError as error:
        return (_without_value(metric, _reason(metric, evidence.tools, error)),)


def _reason(metric: Metric | DistributionMetric, tools: Tools, error: MotionloomError) -> str:
    """Why there is no number; of a metric that looks through several networks, all that are missing."""
    missing = tools.wants(metric.weights) if isinstance(error, WeightsMissing) else ""
    return " ".join((missing or str(error)).split())


def _as_tuple(found: Measurement | Iterable[Measurement]) -> tuple[Measurement, ...]:
    return (found,) if isinstance(found, Measurement) else tuple(found)


def _without_value(metric: Metric | DistributionMetric, reason: str) -> Measurement:
    return Measurement(metric.name, None, metric.unit, metric.better, reason=" ".join(reason.split()))


def _is_known(sample: Sample, needs: Sequence[str]) -> bool:
    return all(any(getattr(sample, name) is not None for name in _NEEDS[need]) for need in needs)
