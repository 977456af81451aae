"""What is still to be done for a case and seed, and the numbers of a video as a row in its file."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.evaluate.bench.candidate import Candidate
from motionloom.evaluate.bench.folder import CandidateFolder
from motionloom.evaluate.bench.identity import file_digest, made_from, measured_against
from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.measuring import row_key
from motionloom.evaluate.metric import DistributionMetric, Metric
from motionloom.evaluate.movebench import Case
from motionloom.evaluate.run import Row, save_tracks
from motionloom.evaluate.suite import METRICS, features, measure
from motionloom.evaluate.weights import WeightsMissing, find_weights
from motionloom.media import Clip, read_provenance
from motionloom.media.files import replacing
from motionloom.scale.executors.tasks import failure


@dataclass(frozen=True)
class Work:
    """What is to be done for a case and seed.

    Attributes:
        what: "nothing", "measure" the video that is there, or "make" one first.
        video: its file; made_from, measured_against: see `identity`.
        metrics: that are to be computed; kept: a row whose other numbers stay.
        why: in words, where something finished is done again.
    """

    what: Literal["nothing", "measure", "make"]
    video: Path
    made_from: str
    measured_against: str
    metrics: tuple[str, ...] = ()
    kept: Row | None = None
    why: str | None = None


def work_on(
    case: Case,
    seed: int,
    used_seed: int,
    candidate: Candidate,
    folder: CandidateFolder,
    *,
    digest: str,
    metrics: Sequence[str],
    tools: Mapping[str, Any],
) -> Work:
    """What is still to be done for a case and seed: all of it is told from files.

    Args:
        seed: as it was asked for; used_seed: that of the case.
        digest: of the weights.
        metrics: that are wanted; tools: arguments of `Tools.of`.

    Raises:
        FileFormatError: the video of a candidate that consists of videos is missing.
    """
    foreign = candidate.video(case.id, seed)
    video = foreign or folder.video(case.id, seed)
    if foreign is not None:
        if not video.is_file():
            raise FileFormatError(f"{video}: no such file, expected the video of case {case.id}")
        made = file_digest(video)
    else:
        made = made_from(case, candidate.settings(), digest, used_seed)
    against = measured_against(case, tools)

    def work(what: Literal["nothing", "measure", "make"], wanted: Sequence[str], **more: Any) -> Work:
        return Work(what, video, made, against, tuple(wanted), **more)

    make: Literal["measure", "make"] = "make" if foreign is None else "measure"
    row = folder.read_row(case.id, seed)
    if row is None or row.status != "done":
        there = foreign is not None or _made_inside(video) == made
        return work("measure" if there else "make", metrics)
    facts = row.facts
    if facts.get("made_from") != made:
        what = "the weights, the parameters or the case have changed" if foreign is None else "the video has changed"
        return work(make, metrics, why=what)
    if not video.is_file():
        return work(make, metrics, why="the video is gone")
    if file_digest(video) != facts.get("video_sha256"):
        return work(make, metrics, why="the video is another one")
    if facts.get("measured_against") != against:
        return work("measure", metrics, why="the true video, the case or the tracker has changed")
    known, missing = facts.get("metrics", {}), facts.get("missing_weights", {})
    wanted = [
        name
        for name in metrics
        if name not in known
        or name in facts.get("broken", ())
        or any(not _is_missing(weights, tools) for weights in missing.get(name, ()))
        or not _has_features(name, folder, case.id, seed)
    ]
    return work("measure", wanted, kept=row) if wanted else work("nothing", ())


def _has_features(name: str, folder: CandidateFolder, case: str, seed: int) -> bool:
    if not isinstance(METRICS[name], DistributionMetric):
        return True
    return all(folder.features(name, case, seed, true=true).is_file() for true in (False, True))


def _made_inside(video: Path) -> str | None:
    """What a video says it was made from; None where it is not there, damaged, or does not say."""
    if not video.is_file():
        return None
    try:
        record = read_provenance(video).get("benchmark")
    except MotionloomError:
        return None
    return record.get("made_from") if isinstance(record, dict) else None


def measured(
    evidence: Evidence,
    folder: CandidateFolder,
    reference_features: Path,
    seed: int,
    metrics: Sequence[str],
    before: Row | None,
) -> tuple[Row, list[str]]:
    """The row of a video, with what ``before`` has of other metrics; tracks and features are kept in files.

    Args:
        seed: as it was asked for, which names the files.

    Returns:
        The row, and what went wrong that should not: a metric that broke has a reason instead of a number.

    Raises:
        FileFormatError, InputError: the video cannot be read.
    """
    sample, tools = evidence.sample, evidence.tools
    of = dict(before.facts.get("metrics", {})) if before else {}
    found = {each.name: each for each in before.measurements} if before else {}
    broken: dict[str, str] = {}
    missing = dict(before.facts.get("missing_weights", {})) if before else {}
    for name in metrics:
        metric = METRICS[name]
        for old in of.get(name, ()):
            found.pop(old, None)
        if isinstance(metric, DistributionMetric):
            try:
                _keep_features(evidence, metric, folder, reference_features, seed)
            except Exception as error:
                reason = _broken(metric.name, error, broken)
                _write_features(folder.features(name, sample.name, seed), None, reason)
                _write_features(folder.features(name, sample.name, seed, true=True), None, reason)
            of[name] = []
        else:
            numbers = _numbers(evidence, metric, broken)
            found.update({each.name: each for each in numbers})
            of[name] = [each.name for each in numbers]
        missing[name] = [weights for weights in metric.weights if _misses(tools, weights)]
    place = {name: number for number, name in enumerate(METRICS)}
    of = dict(sorted(of.items(), key=lambda item: place.get(item[0], len(place))))
    ordered = [found[each] for names in of.values() for each in names if each in found]
    tracks = before.tracks if before else None
    # Only what measuring has made is kept: no tracker runs for metrics that do not look at tracks.
    if evidence.__dict__.get("wanted") is not None and evidence.__dict__.get("measured") is not None:
        tracks = f"tracks/{row_key(sample.name, seed)}.safetensors"
        save_tracks(folder.root / tracks, evidence.__dict__["wanted"], evidence.__dict__["measured"])
    row = Row(
        sample.name,
        sample.seed,
        "done",
        sample.category,
        sample.prompt,
        tracks=tracks,
        measurements=tuple(ordered),
        facts={
            "metrics": of,
            "missing_weights": {name: weights for name, weights in missing.items() if weights},
            "broken": sorted(broken.keys() | (set(before.facts.get("broken", ())) - set(metrics) if before else set())),
        },
    )
    return row, list(broken.values())


def _numbers(evidence: Evidence, metric: Metric, broken: dict[str, str]) -> tuple[Measurement, ...]:
    try:
        return measure(evidence, evidence.tools, metrics=[metric.name])
    except Exception as error:
        _ = evidence.frames  # what is wrong with the video is raised
        return (Measurement(metric.name, None, metric.unit, metric.better, reason=_broken(metric.name, error, broken)),)


def _broken(name: str, error: Exception, broken: dict[str, str]) -> str:
    """A fault of one metric, as its reason; the others say what they can."""
    what = failure(error)
    reason = f"{what['error']} ({what['where']})" if what["where"] else what["error"]
    broken[name] = f"{name}: {reason}"
    return f"broke: {reason}"


def _keep_features(
    evidence: Evidence, metric: DistributionMetric, folder: CandidateFolder, reference_features: Path, seed: int
) -> None:
    """Features of the video, and those of the true one: computed once for each true video, whoever is compared."""
    case = evidence.sample.name
    _write_features(folder.features(metric.name, case, seed), *features(evidence, metric, "video"))
    target = folder.features(metric.name, case, seed, true=True)
    if evidence.sample.reference is None:
        _write_features(target, None, "no reference video")
        return
    # Some metrics bring the true video to the size or length of the other.
    height, width = evidence.frames.size
    shared = reference_features / metric.name / f"{case}.{evidence.frames.num_frames}x{height}x{width}.safetensors"
    source = evidence.sample.reference
    newest = 0 if isinstance(source, Clip) else Path(source).stat().st_mtime_ns
    if not (shared.is_file() and shared.stat().st_mtime_ns > newest):
        values, reason = features(evidence, metric, "reference")
        if values is None:  # may be there next time
            _write_features(target, values, reason)
            return
        _write_features(shared, values, reason)
    with replacing(target) as temporary:
        try:
            os.link(shared, temporary)
        except OSError:
            shutil.copyfile(shared, temporary)


def _write_features(path: Path, values: Any, reason: str | None) -> None:
    with replacing(path) as temporary:
        held = {} if values is None else {"features": np.ascontiguousarray(values)}
        save_file(held, os.fspath(temporary), metadata={"reason": reason or ""})


def _misses(tools: Tools, name: str) -> bool:
    try:
        tools.path(name)
    except WeightsMissing:
        return True
    return False


def _is_missing(name: str, tools: Mapping[str, Any]) -> bool:
    places = {each: Path(path) for each, path in (tools.get("weights") or {}).items()}
    try:
        find_weights(name, places)
    except WeightsMissing:
        return not tools.get("allow_download")
    return False
