"""Where runs are found: files of results, folders that hold one, and folders of several."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from motionloom.errors import FileFormatError
from motionloom.evaluate.run import Run

NAMES = ("run.json", "results.json")
"""Files that `motionloom bench run` and `motionloom evaluate` keep results in."""


def read_runs(sources: Iterable[str | os.PathLike[str]]) -> list[Run]:
    """Runs from files, from folders of one run, and from folders of several (in the order of their names).

    Raises:
        FileFormatError: a file that is missing or damaged, or a folder without results.
    """
    return [run for source in sources for run in _read(Path(source))]


def _read(source: Path) -> list[Run]:
    if not source.is_dir():
        return [Run.load(source)]
    own = _results(source)
    if own is not None:
        return [Run.load(own)]
    found = [file for folder in sorted(source.iterdir()) if folder.is_dir() and (file := _results(folder)) is not None]
    if not found:
        raise FileFormatError(
            f"{source}: found no {' or '.join(NAMES)}, neither in it nor in a folder of it; expected what motionloom "
            "bench run or motionloom evaluate has written"
        )
    return [Run.load(file) for file in found]


def _results(folder: Path) -> Path | None:
    return next((folder / name for name in NAMES if (folder / name).is_file()), None)
