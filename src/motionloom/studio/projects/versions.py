"""The versions of a project: one file for each state it was ever in, ``versions/000012.json``.

The newest readable file is the state of the project; a write is done once its file has its name. Everything else in a
project's folder is made from it and can be made again.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from motionloom.studio.schemas import ProjectVersion

KEEP_ALL = 200
"""So many of the newest versions stay; of older ones the last of each hour, after `HOURLY_DAYS` of each day."""
HOURLY_DAYS = 30
MAX_BYTES = 512 * 2**20
"""Versions together; beyond, the oldest go, but never the newest `KEEP_ALWAYS`."""
KEEP_ALWAYS = 20

_NAME = re.compile(r"(\d{6,9})\.json")


@dataclass(frozen=True)
class State:
    """All that a person can change of a project."""

    version: int
    written: str
    name: str
    motion: dict[str, Any]
    settings: dict[str, Any]

    @property
    def num_instructions(self) -> int:
        return len(self.motion.get("instructions", ()))

    def same_content(self, other: State) -> bool:
        mine, theirs = (self.name, self.motion, self.settings), (other.name, other.motion, other.settings)
        return mine == theirs

    def dumps(self) -> bytes:
        document = {
            "format": "motionloom.studio.version",
            "version": self.version,
            "written": self.written,
            "name": self.name,
            "num_instructions": self.num_instructions,
            "settings": self.settings,
            "motion": self.motion,
        }
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


class DamagedVersion(Exception):
    """A file that is not the state of a project."""


def path_of(folder: Path, number: int) -> Path:
    """The file of a version in a project's folder."""
    return folder / "versions" / f"{number:06d}.json"


def numbers(folder: Path) -> list[int]:
    """The versions there are, oldest first, readable or not."""
    try:
        names = os.listdir(folder / "versions")
    except FileNotFoundError:
        return []
    return sorted(int(match[1]) for name in names if (match := _NAME.fullmatch(name)))


def read(folder: Path, number: int) -> State:
    """A version.

    Raises:
        DamagedVersion: it cannot be read, or is not what it should be.
    """
    try:
        data = json.loads(path_of(folder, number).read_bytes())
        state = State(int(data["version"]), data["written"], data["name"], data["motion"], data["settings"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise DamagedVersion(f"version {number}: {type(error).__name__}") from None
    good = isinstance(state.name, str) and isinstance(state.motion, dict) and isinstance(state.settings, dict)
    if not good or state.version != number or not isinstance(state.motion.get("canvas"), dict):
        raise DamagedVersion(f"version {number}: not the state of a project")
    return state


def newest(folder: Path) -> tuple[State, list[int]]:
    """The newest version that can be read, and the numbers of those above it that cannot.

    Raises:
        DamagedVersion: none can be read.
    """
    damaged: list[int] = []
    for number in reversed(numbers(folder)):
        try:
            return read(folder, number), damaged
        except DamagedVersion:
            damaged.append(number)
    raise DamagedVersion("no version can be read")


def headers(folder: Path) -> list[ProjectVersion]:
    """What there is, newest first; damaged versions are left out."""
    found = (_header(folder, number) for number in reversed(numbers(folder)))
    return [header for header in found if header is not None]


def _header(folder: Path, number: int) -> ProjectVersion | None:
    """What the list shows of a version. A motion with masks takes megabytes, so only its beginning is read."""
    try:
        with open(path_of(folder, number), "rb") as file:
            start = file.read(8_192)
            file.seek(max(file.seek(0, os.SEEK_END) - 1, 0))
            whole = file.read() == b"}"
        beginning, comma, _ = start.partition(b',"settings":{')
        if comma and whole:
            data = json.loads(beginning + b"}")
            if data["version"] == number:
                return ProjectVersion(
                    version=number,
                    written=data["written"],
                    name=data["name"],
                    num_instructions=data["num_instructions"],
                )
        state = read(folder, number)
    except (OSError, ValueError, KeyError, TypeError, DamagedVersion):
        return None
    return ProjectVersion(
        version=number, written=state.written, name=state.name, num_instructions=state.num_instructions
    )


def thin(folder: Path) -> None:
    """Removes versions that are not needed any more; see `superfluous`."""
    found = numbers(folder)
    if len(found) <= KEEP_ALWAYS:
        return
    files: list[tuple[int, float, int]] = []
    for number in found:
        try:
            facts = path_of(folder, number).stat()
        except FileNotFoundError:
            continue
        files.append((number, facts.st_mtime, facts.st_size))
    for number in superfluous(files):
        path_of(folder, number).unlink(missing_ok=True)


def superfluous(files: Sequence[tuple[int, float, int]], now: float | None = None) -> list[int]:
    """Which of (number, seconds since 1970, bytes) are not needed, oldest first.

    The newest 200 stay. Of older ones the last of each hour stays, after 30 days the last of each day. When all
    together take more than 512 MiB the oldest go first, down to the newest 20.
    """
    now = datetime.now(UTC).timestamp() if now is None else now
    ordered = sorted(files)
    gone: list[int] = []
    kept: list[tuple[int, float, int]] = []
    previous: tuple[int, int] | None = None
    for place, (number, written, size) in reversed(list(enumerate(ordered))):
        if len(ordered) - place <= KEEP_ALL:
            kept.append((number, written, size))
            continue
        length = 3_600 if now - written < HOURLY_DAYS * 86_400 else 86_400
        period = (length, int(written // length))
        if period == previous:
            gone.append(number)
        else:
            previous = period
            kept.append((number, written, size))
    total = 0
    for place, (number, _, size) in enumerate(kept):  # newest first
        total += size
        if place >= KEEP_ALWAYS and total > MAX_BYTES:
            gone.append(number)
    return sorted(gone)
