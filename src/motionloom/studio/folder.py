"""The data folder belongs to one server at a time."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import IO

from motionloom.errors import InputError

# A byte far behind what is written: Windows lets nobody read bytes that are locked.
_BYTE = 2**20


class FolderLock:
    """Held by the server of a data folder; the system lets go of it when the process ends, however it ends."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._file: IO[str] | None = None

    def acquire(self, url: str = "") -> None:
        """Takes the folder.

        Args:
            url: where the server is reached, for the message to the next one.

        Raises:
            InputError: another server has it, or it cannot be written to.
        """
        if self._file is not None:
            return
        path = self._data / "server.lock"
        try:
            self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
            file = open(path, "a+", encoding="utf-8")  # noqa: SIM115
        except OSError as error:
            raise InputError(
                f"{self._data}: cannot be written to ({error.strerror or error}); choose another with --data-dir"
            ) from None
        try:
            _lock(file)
        except OSError:
            holder = _holder(file)
            file.close()
            raise InputError(
                f"{self._data}: another studio is using this data folder{holder}; use that one, stop it, or choose "
                "another folder with --data-dir"
            ) from None
        self._file = file
        self.note(url)

    def note(self, url: str) -> None:
        """Leaves word of where the server is reached."""
        if self._file is not None:
            self._file.seek(0)
            self._file.truncate()
            json.dump({"pid": os.getpid(), "url": url}, self._file)
            self._file.flush()

    def release(self) -> None:
        """Lets go of it."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _holder(file: IO[str]) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        file.seek(0)
        facts = json.loads(file.read(4_096))
        return f" (process {facts['pid']}{', ' + facts['url'] if facts['url'] else ''})"
    return ""


if os.name == "nt":
    import msvcrt

    def _lock(file: IO[str]) -> None:
        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
else:
    import fcntl

    def _lock(file: IO[str]) -> None:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
