"""Measuring videos that are there already: a row in a file for each, then the numbers of the whole set.

OUT/rows/KEY.json       one video; a video that has not changed is not measured again
OUT/results.json        the run, as `Run.load` reads it
OUT/tracks, features    see `motionloom.evaluate.measuring`
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from motionloom.errors import FileFormatError
from motionloom.evaluate.collect import collect
from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.measuring import distances, measured_row, unfinished
from motionloom.evaluate.run import Row, Run, read_json, row_key, write_json
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import choose
from motionloom.scale.executors import Executor, InlineExecutor, Outcome, Task, WorkerSpec
from motionloom.scale.executors.devices import best_device
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks
from motionloom.version import __version__


def evaluate_videos(
    source: Path,
    out: Path,
    *,
    name: str | None = None,
    beside: Mapping[str, Path | None] | None = None,
    known: Mapping[str, Any] | None = None,
    metrics: Sequence[str] | None = None,
    tools: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    on_progress: Callable[[int, int], Any] | None = None,
    on_note: Callable[[str], Any] | None = None,
    command: Sequence[str] = (),
) -> Run:
    """Measure a video, the videos of a folder, or those of a manifest.

    Safe to stop at any moment: the next call measures only what has no row yet, whose video or files have changed, or
    what lacked weights that have come since.

    Args:
        source, beside, known: see `motionloom.evaluate.collect.collect`; ``beside`` is motion, reference and masks.
        out: folder of the results.
        name: of the run in tables; that of ``source`` when not given.
        metrics: names of metrics or bundles; None is all.
        tools: arguments of `Tools.of` beside the device, JSON values.
        executor: where the work is done; in this process when not given.
        on_progress: called with (videos done, videos in all). on_note: with lines about metrics that broke.
        command: the command line, for the record.

    Raises:
        FileFormatError, InputError: as `collect`; a video that cannot be read is a failed row instead.
    """
    said = {"source": os.fspath(source), "beside": _texts(beside), "known": dict(known or {})}
    samples = collect(source, **(beside or {}), **(known or {}))
    wanted = choose(metrics)
    rows_folder = out / "rows"
    rows_folder.mkdir(parents=True, exist_ok=True)
    essence = [_essence(sample, wanted, tools or {}) for sample in samples]
    todo: list[Task] = []
    for index, sample in enumerate(samples):
        row = _finished(rows_folder, sample, essence[index])
        still = wanted if row is None else unfinished(row, wanted, out, tools or {})
        if still:
            content = {"index": index, "essence": essence[index], "metrics": list(still)}
            todo.append(Task(row_key(sample.name, sample.seed), content))
    done = len(samples) - len(todo)

    def count(outcome: Outcome) -> None:
        nonlocal done
        done += 1
        if outcome.status == "failed":  # the worker itself: what is wrong with a video is in its row
            sample = samples[int(outcome.task.content["index"])]
            row = Row(sample.name, sample.seed, "failed", sample.category, error=outcome.error)
            write_json(_row_file(rows_folder, sample), row.record())
        elif on_note:
            for line in outcome.note:
                on_note(f"{outcome.task.name}: {line}")
        if on_progress:
            on_progress(done, len(samples))

    if on_progress:
        on_progress(done, len(samples))
    arguments = {**said, "out": os.fspath(out), "tools": dict(tools or {})}
    spec = WorkerSpec("motionloom.evaluate.videos:Measurer", arguments)
    (executor or InlineExecutor()).run(todo, spec, on_done=count)

    rows = tuple(Row.from_record(read_json(_row_file(rows_folder, sample))) for sample in samples)
    facts = {
        "source": os.fspath(source),
        "metrics": list(wanted),
        "tracker": (tools or {}).get("tracker") or "offline",
        "version": __version__,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
    }
    run = Run(name or source.resolve().stem, rows, distances(out, rows, metrics=wanted), facts, out)
    run.save(out / "results.json")
    return run


class Measurer:
    """The worker of `evaluate_videos`: measures the sample of a number."""

    def __init__(
        self,
        *,
        device: str | None,
        source: str,
        beside: Mapping[str, str | None],
        known: Mapping[str, Any],
        out: str,
        tools: Mapping[str, Any],
    ) -> None:
        places = {name: Path(path) for name, path in beside.items() if path}
        self._samples = collect(Path(source), **places, **known)
        self._out = Path(out)
        self._tools = Tools.of(device=best_device(device), **tools)

    def run(self, content: Mapping[str, Any]) -> list[str]:
        """Measure ``metrics`` of sample ``index`` and write its row; what went wrong that should not."""
        sample, essence = self._samples[content["index"]], content["essence"]
        before = _finished(self._out / "rows", sample, essence)
        row, warnings = measured_row(sample, self._tools, self._out, metrics=content["metrics"], before=before)
        record = {**row.record(), "facts": {**row.facts, "essence": essence}}
        write_json(_row_file(self._out / "rows", sample), record)
        return warnings


def _row_file(folder: Path, sample: Sample) -> Path:
    return folder / f"{row_key(sample.name, sample.seed)}.json"


def _finished(folder: Path, sample: Sample, essence: str) -> Row | None:
    """The row of a sample, if it is that of the same files and metrics and there is nothing wrong with it."""
    try:
        row = Row.from_record(read_json(_row_file(folder, sample)))
    except FileFormatError:
        return None
    return row if row.status == "done" and row.facts.get("essence") == essence else None


def _essence(sample: Sample, metrics: Sequence[str], tools: Mapping[str, Any]) -> str:
    """Hex SHA-256 of all that decides a row: files by size and time, what is said of them, metrics and tools."""
    lasting = sorted((name, value) for name, value in tools.items() if name != "allow_download")
    digest = hashlib.sha256(repr((sorted(metrics), lasting, __version__)).encode())
    for name, value in sorted(sample.__dict__.items()):
        if isinstance(value, str | os.PathLike) and name not in ("name", "prompt", "category"):
            for path in sorted(Path(value).glob("*")) if Path(value).is_dir() else [Path(value)]:
                found = path.stat()
                digest.update(f"{name} {path} {found.st_size} {found.st_mtime_ns}".encode())
        elif isinstance(value, Tracks):
            for part in (value.points, value.visible):
                digest.update(part.tobytes())
            digest.update(repr((value.size, value.fps)).encode())
        elif isinstance(value, Motion):
            digest.update(value.model_dump_json().encode())
        else:
            digest.update(repr((name, value)).encode())
    return digest.hexdigest()


def _texts(paths: Mapping[str, Path | None] | None) -> dict[str, str | None]:
    return {name: None if path is None else os.fspath(path) for name, path in (paths or {}).items()}
