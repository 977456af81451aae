"""Measuring many videos: a row for each, kept in files, and from those files the distances of the whole set.

FOLDER/tracks/KEY.safetensors              the tracks asked for and those found
FOLDER/features/METRIC/KEY.safetensors     what metrics of sets keep of a video
FOLDER/features/METRIC/KEY.true.safetensors    and of the true video beside it
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from motionloom.errors import MotionloomError
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.features import over_videos
from motionloom.evaluate.measurement import Measurement, UsedWeights
from motionloom.evaluate.metric import DistributionMetric, Metric, Which
from motionloom.evaluate.run import Row, row_key, save_tracks
from motionloom.evaluate.sample import Sample, VideoSource
from motionloom.evaluate.suite import METRICS, choose, compare, features_of, measure
from motionloom.evaluate.weights import is_missing
from motionloom.media import Clip
from motionloom.media.files import replacing
from motionloom.scale.executors.tasks import failure

_WHICH: tuple[Which, ...] = ("video", "reference")
_Kept = tuple[NDArray[np.float32] | None, str | None, dict[str, str] | None]
"""Features, the reason why there are none, and the network they come from."""


def measured_row(
    sample: Sample, tools: Tools, folder: Path, *, metrics: Sequence[str] | None = None, before: Row | None = None
) -> tuple[Row, list[str]]:
    """Measure one video; its tracks and features are kept under ``folder``.

    Args:
        metrics: names of metrics or bundles, of which ``before`` may have had others: those stay.

    Returns:
        A row, whose status is "failed" where the video cannot be measured at all, and warnings as of `measured`.
    """
    facts: dict[str, Any] = {"video": _named(sample.video, folder), "reference": _named(sample.reference, folder)}
    try:
        key = row_key(sample.name, sample.seed)
        row, warnings = measured(Evidence(sample, tools), folder, key, choose(metrics), before=before)
        return replace(row, **facts), warnings
    except MotionloomError as error:
        text = " ".join(str(error).split())
        return Row(sample.name, sample.seed, "failed", sample.category, sample.prompt, error=text, **facts), []


def measured(
    evidence: Evidence,
    folder: Path,
    key: str,
    metrics: Sequence[str],
    *,
    before: Row | None = None,
    references: Path | None = None,
) -> tuple[Row, list[str]]:
    """The row of a video; tracks and features are kept in files.

    Args:
        key: names the files.
        metrics: names, of which ``before`` may have had others: those stay.
        references: folder for what is kept of true videos, so that it is computed once whoever is compared.

    Returns:
        The row, and what went wrong that should not: a metric that broke has a reason instead of a number. The row's
        facts have the measurements of each metric, the weights that each misses, and which broke.

    Raises:
        FileFormatError, InputError: the video cannot be read.
    """
    sample = evidence.sample
    _ = evidence.frames  # what is wrong with the video is wrong with every metric
    of = dict(before.facts.get("metrics", {})) if before else {}
    found = {each.name: each for each in before.measurements} if before else {}
    missing = dict(before.facts.get("missing_weights", {})) if before else {}
    broken: dict[str, str] = {}
    for name in metrics:
        metric = METRICS[name]
        for old in of.get(name, ()):
            found.pop(old, None)
        if isinstance(metric, DistributionMetric):
            try:
                _keep_features(evidence, metric, folder, key, references)
            except Exception as error:
                reason = _broken(name, error, broken)
                for which in _WHICH:
                    _write_features(features_file(folder, name, key, which), None, reason)
            of[name] = []
        else:
            numbers = _numbers(evidence, metric, broken)
            found.update({each.name: each for each in numbers})
            of[name] = [each.name for each in numbers]
        missing[name] = [weights for weights in metric.weights if evidence.tools.lacks(weights)]
    place = {name: number for number, name in enumerate(METRICS)}
    of = dict(sorted(of.items(), key=lambda item: place.get(item[0], len(place))))
    tracks = before.tracks if before else None
    # Only what measuring has made is kept: no tracker runs for metrics that do not look at tracks.
    wanted, seen = (evidence.__dict__.get(name) for name in ("wanted", "measured"))
    if wanted is not None and seen is not None:
        tracks = f"tracks/{key}.safetensors"
        save_tracks(folder / tracks, wanted, seen)
    row = Row(
        sample.name,
        sample.seed,
        "done",
        sample.category,
        sample.prompt,
        tracks=tracks,
        measurements=tuple(found[each] for names in of.values() for each in names if each in found),
        facts={
            "metrics": of,
            "missing_weights": {name: weights for name, weights in missing.items() if weights},
            "broken": sorted(broken.keys() | (set(before.facts.get("broken", ())) - set(metrics) if before else set())),
        },
    )
    return row, list(broken.values())


def unfinished(row: Row, metrics: Sequence[str], folder: Path, tools: Mapping[str, Any]) -> list[str]:
    """Metrics of a finished row that are still to be computed: never asked for, broken, or whose weights are here now.

    Args:
        folder: that of `measured`. tools: arguments of `Tools.of`.
    """
    places = {name: Path(path) for name, path in (tools.get("weights") or {}).items()}
    download = bool(tools.get("allow_download"))
    lacked = {weights for names in row.facts.get("missing_weights", {}).values() for weights in names}
    come = {weights for weights in lacked if not is_missing(weights, places, allow_download=download)}

    def is_finished(name: str) -> bool:
        if name not in row.facts.get("metrics", {}) or name in row.facts.get("broken", ()):
            return False
        if not come.isdisjoint(row.facts.get("missing_weights", {}).get(name, ())):
            return False
        if not isinstance(METRICS[name], DistributionMetric):
            return True
        return all(features_file(folder, name, row_key(row.case, row.seed), which).is_file() for which in _WHICH)

    return [name for name in metrics if not is_finished(name)]


def distances(folder: Path, rows: Iterable[Row], *, metrics: Sequence[str] | None = None) -> tuple[Measurement, ...]:
    """Metrics of the whole set, from the features that `measured_row` kept. Every true video counts once."""
    done = [row for row in rows if row.status == "done"]
    found: list[Measurement] = []
    for name in choose(metrics):
        metric = METRICS[name]
        if isinstance(metric, DistributionMetric):
            found += _distance(folder, metric, done)
        else:
            found += [total for each, named in metric.pooled.items() for total in _pooled(each, named, done)]
    return tuple(found)


def _distance(folder: Path, metric: DistributionMetric, rows: Sequence[Row]) -> list[Measurement]:
    made, reason, used = _together(folder, metric.name, "video", [row_key(row.case, row.seed) for row in rows])
    first = {row.reference or row.case: row_key(row.case, row.seed) for row in reversed(rows)}
    real, other, true = _together(folder, metric.name, "reference", list(first.values()))
    if made is not None and real is not None and used != true:
        made, reason = None, "the true videos were seen through another network; measure all videos again"
    if made is None or real is None:
        reason = reason or other or "no video"
        return [Measurement(metric.name, None, metric.unit, metric.better, reason=reason)]
    weights = None if used is None else UsedWeights(**used)
    return [
        replace(each, resolution=each.resolution or _resolution(rows), weights=each.weights or weights)
        for each in compare(metric, real, made)
    ]


def _pooled(name: str, named: str, rows: Sequence[Row]) -> list[Measurement]:
    """The mean over all values of all videos, as a program that does not average by video first has it."""
    values = [each for row in rows for each in row.measurements if each.name == name and each.value is not None]
    if not values:
        return []
    terms = [each.n or 1 for each in values]
    mean = over_videos([each.value for each in values], terms)["per_frame"]
    variant = "; ".join(filter(None, (values[0].variant, "all values of all videos together")))
    return [replace(values[0], name=named, value=mean, n=sum(terms), frames=None, curve=None, variant=variant, note="")]


def features_file(folder: Path, metric: str, key: str, which: Which) -> Path:
    """Where features of a row are kept: of its video, or of the true one."""
    return folder / "features" / metric / f"{key}{'.true' if which == 'reference' else ''}.safetensors"


def _numbers(evidence: Evidence, metric: Metric, broken: dict[str, str]) -> tuple[Measurement, ...]:
    try:
        return measure(evidence, evidence.tools, metrics=[metric.name])
    except Exception as error:
        return (Measurement(metric.name, None, metric.unit, metric.better, reason=_broken(metric.name, error, broken)),)


def _broken(name: str, error: Exception, broken: dict[str, str]) -> str:
    """A fault of one metric, as its reason; the others say what they can."""
    what = failure(error)
    reason = f"{what['error']} ({what['where']})" if what["where"] else what["error"]
    broken[name] = f"{name}: {reason}"
    return f"broke: {reason}"


def _keep_features(
    evidence: Evidence, metric: DistributionMetric, folder: Path, key: str, references: Path | None
) -> None:
    """Features of the video, and those of the true one, which other rows may have in ``references`` already."""

    def computed(which: Which) -> _Kept:
        values, reason = features_of(evidence, metric, which)
        used = asdict(evidence.tools.used(*metric.weights)) if metric.weights and values is not None else None
        return values, reason, used

    name = metric.name
    _write_features(features_file(folder, name, key, "video"), *computed("video"))
    target = features_file(folder, name, key, "reference")
    source = evidence.sample.reference
    if references is None or source is None or isinstance(source, Clip):
        _write_features(target, *computed("reference"))
        return
    # Some metrics bring the true video to the size or length of the other.
    height, width = evidence.frames.size
    case = f"{evidence.sample.name}.{evidence.frames.num_frames}x{height}x{width}"
    shared = references / name / f"{case}.safetensors"
    if not (shared.is_file() and shared.stat().st_mtime_ns > Path(source).stat().st_mtime_ns):
        kept = computed("reference")
        if kept[0] is None:  # may be there next time
            _write_features(target, *kept)
            return
        _write_features(shared, *kept)
    with replacing(target) as temporary:
        try:
            os.link(shared, temporary)
        except OSError:
            shutil.copyfile(shared, temporary)


def _write_features(
    path: Path, values: NDArray[np.float32] | None, reason: str | None, used: Mapping[str, str] | None = None
) -> None:
    """Written whole or not at all; a reason instead of features is kept too."""
    with replacing(path) as temporary:
        held = {} if values is None else {"features": np.ascontiguousarray(values)}
        facts = {"reason": reason or "", "weights": json.dumps(used)}
        save_file(held, os.fspath(temporary), metadata=facts)


def _together(folder: Path, metric: str, which: Which, keys: Sequence[str]) -> _Kept:
    """Features [N, D] of many videos, or the reason why there are none: a set is compared whole or not."""
    blocks: list[NDArray[np.float32]] = []
    used: dict[str, str] | None = None
    for key in keys:
        path = features_file(folder, metric, key, which)
        try:
            with safe_open(os.fspath(path), "np") as file:
                facts = file.metadata() or {}
                if "features" not in file.keys():  # noqa: SIM118
                    reason = facts.get("reason") or "no features"
                    return None, f"{key}: {reason}" if blocks else reason, None
                blocks.append(file.get_tensor("features"))
        except (OSError, SafetensorError):
            return None, f"features of {key} are missing; measure it again", None
        weights = json.loads(facts.get("weights", "null"))
        if len(blocks) > 1 and weights != used:
            return None, "features of different networks; measure all videos again", None
        used = weights
    blocks = [block for block in blocks if len(block)]
    if not blocks:
        return None, "every video is too short for it" if keys else "no video was measured", None
    return np.concatenate(blocks), None, used


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
