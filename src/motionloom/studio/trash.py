"""Deleted projects and results: ``trash/projects/<id>`` and ``trash/results/<id>`` of the data folder.

They lie there until somebody takes them back or empties the trash. Emptying renames the whole folder aside first, so
that whoever restores something at the same moment gets all of it or nothing, and removes it then; what a killed server
leaves of that goes at the next start or the next emptying. Links are never followed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import shutil
import stat
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from motionloom.studio.jobs.results import RECORD
from motionloom.studio.problems import Refused
from motionloom.studio.projects.facts import read_facts, stamp
from motionloom.studio.schemas import ID_PATTERN, Result, Trash, TrashedThing

log = logging.getLogger("motionloom.studio")

_ASIDE = ".trash.{}.part"


class TrashFolder:
    """The trash below ``data``, the studio's data folder; safe to use from several threads."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / "trash"
        self._emptying = threading.Lock()

    def list(self) -> Trash:
        """What lies in it, deleted last first. What cannot be read is there with its id as name."""
        projects = self._things("projects", _project_name)
        results = self._things("results", _result_name)
        return Trash(projects=projects, results=results, bytes=sum(each.bytes for each in (*projects, *results)))

    def empty(self) -> None:
        """Removes all that lies in it, for good.

        Raises:
            Refused: ``failed`` when it is a link, or not everything could be removed.
        """
        if any(path.is_symlink() for path in (self._folder, self._folder / "projects", self._folder / "results")):
            raise Refused(
                "failed",
                "The trash of this data folder is a link to another folder, and the studio removes nothing outside of "
                "its data folder. Empty that folder by hand.",
            )
        with contextlib.suppress(FileNotFoundError):
            os.rename(self._folder, self._data / _ASIDE.format(secrets.token_hex(4)))
        left = self.sweep()
        if left:
            raise Refused(
                "failed",
                f"{left} files or folders of the trash could not be removed; the server's log names them. It is tried "
                "again at the next emptying, and when the studio starts.",
            )

    def sweep(self) -> int:
        """Removes what was put aside; how many files and folders could not be removed."""
        left: list[Path] = []
        with self._emptying:  # the second of two waits for the first, and finds nothing left to do
            for aside in self._data.glob(_ASIDE.format("*")):
                if not aside.is_symlink():
                    shutil.rmtree(aside, ignore_errors=True)
                    left += [path for path in aside.rglob("*") if path.is_symlink() or not path.is_dir()] or (
                        [aside] if aside.exists() else []
                    )
        if left:
            log.warning("could not be removed from the trash: %s", ", ".join(map(str, left[:5])))
        return len(left)

    def sweep_soon(self) -> None:
        """The same in the background: a server that starts does not wait for it."""
        if any(self._data.glob(_ASIDE.format("*"))):
            threading.Thread(target=self.sweep, name="trash", daemon=True).start()

    def _things(self, kind: str, name_of: Callable[[Path], str | None]) -> list[TrashedThing]:
        found: list[TrashedThing] = []
        for path in _entries(self._folder / kind):
            with contextlib.suppress(FileNotFoundError):  # taken back, or removed meanwhile
                facts = path.lstat()
                name = name_of(path) if stat.S_ISDIR(facts.st_mode) else None
                # A project is shown, as damaged, whatever is left of it; a result only with its record.
                readable = stat.S_ISDIR(facts.st_mode) if kind == "projects" else name is not None
                is_plain = re.fullmatch(ID_PATTERN, path.name) is not None
                # Names of files may be no text.
                id = path.name.encode("utf-8", "replace").decode()
                found.append(
                    TrashedThing(
                        id=id,
                        name=name or id,
                        deleted=stamp(datetime.fromtimestamp(facts.st_mtime, UTC)),
                        bytes=_bytes(path),
                        restorable=is_plain and readable and not os.path.lexists(self._data / kind / path.name),
                    )
                )
        return sorted(found, key=lambda each: (each.deleted, each.id), reverse=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _project_name(folder: Path) -> str | None:
    if (folder / "project.json").is_symlink():
        return None
    facts = read_facts(folder, folder.name[:16])
    return facts.name if facts is not None else None


def _result_name(folder: Path) -> str | None:
    path = folder / RECORD
    try:
        found = None if path.is_symlink() else Result.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None
    if found is None or found.id != folder.name[:16]:
        return None
    return f"{found.project_name}, {found.model}, seed {found.seed}"


def _bytes(path: Path) -> int:
    """Of all files below, those that vanish meanwhile left out."""
    total = 0
    with contextlib.suppress(OSError):
        facts = path.lstat()
        if not stat.S_ISDIR(facts.st_mode):
            return facts.st_size
        with os.scandir(path) as entries:
            for entry in entries:
                total += _bytes(Path(entry.path))
    return total
