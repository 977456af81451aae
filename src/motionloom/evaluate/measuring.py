"""Measuring many videos: a row for each, kept in files, and from those files the distances of the whole set.

FOLDER/tracks/KEY.safetensors              the tracks asked for and those found
FOLDER/features/METRIC/KEY.safetensors     what metrics of sets keep of a video
FOLDER/features/METRIC/KEY.true.safetensors    and of the true video beside it
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from motionloom.errors import MotionloomError
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.metric import DistributionMetric, Which
from motionloom.evaluate.run import Row, save_tracks
from motionloom.evaluate.sample import Sample, VideoSource
from motionloom.evaluate.suite import METRICS, choose, compare, features, measure
from motionloom.media import Clip
from motionloom.media.files import replacing


def row_key(case: str, seed: int | None) -> str:
    """The name under which files of a row are kept."""
    return case if seed is None else f"{case}.seed-{seed}"


def measured_row(sample: Sample, tools: Tools, folder: Path, *, metrics: Sequence[str] | None = None) -> Row:
    """Measure one video; its tracks and features are kept under ``folder``.

    Returns:
        A row whose status is "failed" where the video cannot be measured at all.
    """
    key = row_key(sample.name, sample.seed)
    facts: dict[str, Any] = {
        "case": sample.name,
        "seed": sample.seed,
        "category": sample.category,
        "prompt": sample.prompt,
        "video": _named(sample.video, folder),
        "reference": _named(sample.reference, folder),
    }
    try:
        evidence = Evidence(sample, tools)
        found = measure(evidence, tools, metrics=metrics)
        tracks = None
        # Only what measuring has made is kept: no tracker runs for metrics that do not look at tracks.
        if evidence.__dict__.get("wanted") is not None and evidence.__dict__.get("measured") is not None:
            tracks = f"tracks/{key}.safetensors"
            save_tracks(folder / tracks, evidence.__dict__["wanted"], evidence.__dict__["measured"])
        for name in choose(metrics):
            metric = METRICS[name]
            if isinstance(metric, DistributionMetric):
                _keep_features(evidence, metric, folder, key)
        return Row(**facts, status="done", tracks=tracks, measurements=found)
    except MotionloomError as error:
        return Row(**facts, status="failed", error=" ".join(str(error).split()))


def distances(folder: Path, rows: Iterable[Row], *, metrics: Sequence[str] | None = None) -> tuple[Measurement, ...]:
    """Metrics of the whole set, from the features that `measured_row` kept. Every true video counts once."""
    done = [row for row in rows if row.status == "done"]
    found: list[Measurement] = []
    for name in choose(metrics):
        metric = METRICS[name]
        if not isinstance(metric, DistributionMetric):
            continue
        made, reason = _together(folder, metric, "video", [row_key(row.case, row.seed) for row in done])
        first = {row.reference or row.case: row_key(row.case, row.seed) for row in reversed(done)}
        real, other = _together(folder, metric, "reference", list(first.values()))
        if made is None or real is None:
            reason = reason or other or "no video"
            found.append(Measurement(name, None, metric.unit, metric.better, reason=reason))
            continue
        found += [
            replace(each, resolution=each.resolution or _resolution(done)) for each in compare(metric, real, made)
        ]
    return tuple(found)


def _keep_features(evidence: Evidence, metric: DistributionMetric, folder: Path, key: str) -> None:
    """Written whole or not at all; a reason instead of features is kept too."""
    whiches: tuple[Which, ...] = ("video", "reference")
    for which in whiches:
        values, reason = features(evidence, metric, which)
        with replacing(_features_file(folder, metric, which, key)) as temporary:
            save_file(
                {} if values is None else {"features": np.ascontiguousarray(values)},
                os.fspath(temporary),
                metadata={"reason": reason or ""},
            )


def _features_file(folder: Path, metric: DistributionMetric, which: Which, key: str) -> Path:
    true = ".true" if which == "reference" else ""
    return folder / "features" / metric.name / f"{key}{true}.safetensors"


def _together(
    folder: Path, metric: DistributionMetric, which: Which, keys: Sequence[str]
) -> tuple[NDArray[np.float32] | None, str | None]:
    """Features [N, D] of many videos, or the reason why there are none: a set is compared whole or not."""
    blocks: list[NDArray[np.float32]] = []
    for key in keys:
        path = _features_file(folder, metric, which, key)
        try:
            values = load_file(os.fspath(path))
        except (OSError, SafetensorError):
            return None, f"features of {key} are missing; measure it again"
        if "features" not in values:
            from safetensors import safe_open

            with safe_open(os.fspath(path), "np") as file:
                return None, (file.metadata() or {}).get("reason") or "no features"
        blocks.append(values["features"])
    blocks = [block for block in blocks if len(block)]
    return (np.concatenate(blocks), None) if blocks else (None, "no video gave features")


def _resolution(rows: Sequence[Row]) -> tuple[int, int] | None:
    sizes = {each.resolution for row in rows for each in row.measurements if each.resolution}
    return sizes.pop() if len(sizes) == 1 else None


def _named(source: VideoSource | None, folder: Path) -> str | None:
    if source is None or isinstance(source, Clip):
        return None
    path = Path(source)
    try:
        return path.resolve().relative_to(folder.resolve()).as_posix()
    except ValueError:
        return os.fspath(path.resolve())
