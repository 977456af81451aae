"""Where runs are found: files of results, folders that hold one, folders of several, and runs that are not done yet."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from motionloom.errors import FileFormatError
from motionloom.evaluate.run import Row, Run, read_json

NAMES = ("run.json", "results.json")
"""Files that `motionloom bench run` and `motionloom evaluate` keep results in."""

ROWS = "rows"
"""Folder of single rows, which are there before the results are."""


def read_runs(sources: Iterable[str | os.PathLike[str]]) -> list[Run]:
    """Runs from files, from folders of one run, and from folders of several (in the order of their names).

    Of a run that is going on, or was stopped, the rows there are make up the run; its totals are missing.

    Raises:
        FileFormatError: a file that is missing or damaged, or a folder without results.
    """
    return [run for source in sources for run in _read(Path(source))]


def _read(source: Path) -> list[Run]:
    if not source.is_dir():
        return [Run.load(source)]
    own = _run(source)
    if own is not None:
        return [own]
    found = [run for folder in sorted(source.iterdir()) if folder.is_dir() and (run := _run(folder)) is not None]
    if not found:
        raise FileFormatError(
            f"{source}: found no {' or '.join(NAMES)} and no {ROWS}, neither in it nor in a folder of it; expected "
            "what motionloom bench run or motionloom evaluate has written"
        )
    return found


def _run(folder: Path) -> Run | None:
    for name in NAMES:
        if (folder / name).is_file():
            return Run.load(folder / name)
    rows = tuple(Row.from_record(read_json(file)) for file in sorted((folder / ROWS).glob("*.json")))
    if not rows:
        return None
    return Run(folder.name, rows, facts={"state": "not finished: the rows there are, without totals"}, folder=folder)
