"""What is still to be done for a case and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from motionloom.errors import FileFormatError, MotionloomError
from motionloom.evaluate.bench.candidate import Candidate
from motionloom.evaluate.bench.folder import CandidateFolder
from motionloom.evaluate.bench.identity import file_digest, made_from, measured_against
from motionloom.evaluate.measuring import unfinished
from motionloom.evaluate.movebench import Case
from motionloom.evaluate.run import Row
from motionloom.media import read_provenance


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
    wanted = unfinished(row, metrics, folder.root, tools)
    return work("measure", wanted, kept=row) if wanted else work("nothing", ())


def _made_inside(video: Path) -> str | None:
    """What a video says it was made from; None where it is not there, damaged, or does not say."""
    if not video.is_file():
        return None
    try:
        record = read_provenance(video).get("benchmark")
    except MotionloomError:
        return None
    return record.get("made_from") if isinstance(record, dict) else None
