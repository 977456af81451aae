"""What the commands share: progress on the terminal, the policy for existing files, options as Python values."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from motionloom.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table


def say(text: str) -> None:
    """One line of result, to standard output."""
    typer.echo(text)


def warn(text: str) -> None:
    """One line of caution, to standard error."""
    print("motionloom: " + " ".join(text.split()), file=sys.stderr)


def show_table(table: Table) -> None:
    """A table, as wide as the terminal; wide enough for everything where a program reads it."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200).print(table)


@contextmanager
def progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on the terminal, fed by on_progress(step, total); silent where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda step, total: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda step, total: bars.update(task, completed=step, total=total)


@contextmanager
def byte_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A bar in bytes on the terminal; silent where standard error is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


def refuse_existing(paths: Iterable[Path | None], overwrite: bool) -> None:
    """Nothing that exists is destroyed unless asked for; known before the work begins.

    Raises:
        InputError: a file exists and ``overwrite`` is not set.
    """
    if overwrite:
        return
    for path in paths:
        if path is not None and path.exists() and not (path.is_dir() and not any(path.iterdir())):
            raise InputError(f"{path}: exists already; choose another name with -o, or replace it with --overwrite")
