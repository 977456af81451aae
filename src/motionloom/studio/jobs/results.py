"""Finished videos on disk: one folder each, complete from the moment it has its name.

    results/<id>/   record.json   what is known about it (`Result`)      video.mp4   with its provenance inside
                    poster.webp   its first frame                        image.*     the photograph, as it was uploaded
                    motion.json   the motion it was made of              made/       what was asked for later

A result has the id of its job, so that a job whose result is there has been done, whatever the queue says. It stays
when its job or its project is removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import threading
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from motionloom.studio.deleting import into_trash
from motionloom.studio.schemas import ID_PATTERN, Result

if TYPE_CHECKING:
    from motionloom.studio.jobs.derived import Derived

RECORD, VIDEO, POSTER, MOTION, MADE = "record.json", "video.mp4", "poster.webp", "motion.json", "made"
_PART = ".part"


class ResultStore:
    """Results below ``data``, the studio's data folder. Safe from any thread and any process."""

    def __init__(self, data: Path) -> None:
        self._folder = Path(data) / "results"
        self._trash = Path(data) / "trash" / "results"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._known: dict[str, tuple[int, Result]] = {}
        self._lock = threading.Lock()

    @cached_property
    def derived(self) -> Derived:
        """What is made of results when somebody asks for it."""
        from motionloom.studio.jobs.derived import Derived

        return Derived(self)

    def list(self, project: str | None = None) -> list[Result]:
        """The newest first. A folder that cannot be read is left out; it does not keep the others from being seen."""
        found: list[Result] = []
        names = {entry.name for entry in os.scandir(self._folder) if re.fullmatch(ID_PATTERN, entry.name)}
        for name in names:
            result = self._read(name)
            if result is not None and project in (None, result.project):
                found.append(result)
        with self._lock:
            for gone in self._known.keys() - names:
                del self._known[gone]
        return sorted(found, key=lambda result: (result.created, result.id), reverse=True)

    def counts(self) -> Counter[str]:
        """Results of each project."""
        return Counter(result.project for result in self.list() if result.project is not None)

    def get(self, result: str) -> Result:
        """
        Raises:
            Refused: not_found.
        """
        found = self._read(result) if re.fullmatch(ID_PATTERN, result) else None
        if found is None:
            raise _not_found(result)
        return found

    def has(self, result: str) -> bool:
        """Whether it is there, complete."""
        return self._read(result) is not None

    def folder(self, result: str) -> Path:
        """Where it lies. Raises as `get`."""
        return self._folder / self.get(result).id

    def image(self, result: str) -> Path:
        """The photograph it was made from. Raises as `get`."""
        return image_in(self.folder(result))

    @contextlib.contextmanager
    def making(self, result: str) -> Iterator[Path]:
        """A folder to put a result together in, which nobody sees; what is left in it is removed."""
        part = self._folder / f".{result}.{secrets.token_hex(4)}{_PART}"
        part.mkdir()
        try:
            yield part
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def publish(self, part: Path, record: Result) -> None:
        """Give a complete folder its name; from now on the result is there, also after a power cut.

        Where somebody else was faster, theirs stays: it is the same video.
        """
        (part / RECORD).write_text(record.model_dump_json(indent=1), encoding="utf-8")
        for file in part.iterdir():
            _to_disk(file)
        _to_disk(part)
        try:
            part.rename(self._folder / record.id)
        except OSError:
            if not self.has(record.id):
                raise
        _to_disk(self._folder)

    def rewrite(self, record: Result) -> None:
        """Put another record in the place of a result's, such as one with its measures. Raises as `get`."""
        with self.adding(record.id, RECORD) as temporary:
            temporary.write_text(record.model_dump_json(indent=1), encoding="utf-8")

    @contextlib.contextmanager
    def adding(self, result: str, name: str) -> Iterator[Path]:
        """A path to write a file to that becomes ``name`` in the result's folder once it is complete.

        It lies elsewhere until then: a result that is deleted meanwhile must not come to life again as a folder with
        this file alone, which would stand in the way of its restoring. Raises as `get`, then or in the end.
        """
        target = self.folder(result) / name
        with self.making(result) as part:
            temporary = part / target.name
            yield temporary
            try:
                if target.parent.name == MADE:
                    target.parent.mkdir(exist_ok=True)
                os.replace(temporary, target)
            except FileNotFoundError:
                raise _not_found(result) from None

    def remove(self, result: str) -> None:
        """Into the trash, without what can be made of it again. Raises as `get`."""
        source = self.folder(result)
        try:
            target = into_trash(source, self._trash)
        except FileNotFoundError:  # somebody else was faster
            raise _not_found(result) from None
        shutil.rmtree(target / MADE, ignore_errors=True)
        with self._lock:
            self._known.pop(result, None)

    def restore(self, result: str) -> Result:
        """Out of the trash. Raises as `get`."""
        source = self._trash / result
        if not re.fullmatch(ID_PATTERN, result) or not (source.is_dir() or self.has(result)):
            raise _not_found(result)
        if source.is_dir() and not (self._folder / result).exists():
            try:
                source.rename(self._folder / result)
            except FileNotFoundError:  # the trash was emptied at this moment
                raise _not_found(result) from None
        return self.get(result)

    def close(self) -> None:
        """End what is being made of results."""
        if "derived" in self.__dict__:  # else there is nothing to end
            self.derived.close()

    def sweep(self) -> None:
        """Remove what workers that were killed left behind; only while none runs."""
        for entry in self._folder.glob(f".*{_PART}"):
            shutil.rmtree(entry, ignore_errors=True)

    def _read(self, result: str) -> Result | None:
        path = self._folder / result / RECORD
        try:
            stamp = path.stat().st_mtime_ns
            with self._lock:
                known = self._known.get(result)
            if known is not None and known[0] == stamp:
                return known[1]
            found = Result.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            return None
        if found.id != result:
            return None
        with self._lock:
            self._known[result] = (stamp, found)
        return found


def image_in(folder: Path) -> Path:
    """The photograph in the folder of a job or a result."""
    return next(path for path in sorted(folder.iterdir()) if path.stem == "image")


def _to_disk(path: Path) -> None:
    """Wait until a file or folder is on the disk; folders that cannot be opened (Windows) are left to the system."""
    with contextlib.suppress(PermissionError):
        number = os.open(path, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _not_found(result: str) -> Exception:
    from motionloom.studio.problems import Refused

    return Refused("not_found", f"result: there is none with the id {result[:32]!r}; it may have been deleted")
