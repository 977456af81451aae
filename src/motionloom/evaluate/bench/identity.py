"""What a video and its numbers come from, as digests: whatever differs there makes them again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from motionloom.evaluate.movebench import Case

_SHOWN = ("first_frame", "last_frame", "tracks_file", "visibility_file")
_TRUE = ("video", "mask")


def made_from(case: Case, settings: Mapping[str, Any], digest: str, seed: int) -> str:
    """Hex SHA-256 of all that decides a video: what the case shows to the model, parameters, weights and seed."""
    shown = [_file(getattr(case, name)) for name in _SHOWN]
    # The digest says what the model is; its name may change with the place of its files.
    chosen = {name: value for name, value in settings.items() if name != "model"}
    return _digest([case.id, case.caption, case.fps, shown, chosen, digest, seed])


def measured_against(case: Case, tools: Mapping[str, Any]) -> str:
    """Hex SHA-256 of what a video is compared with and how: the case, its true video, the tracker."""
    files = [_file(getattr(case, name)) for name in (*_SHOWN, *_TRUE)]
    how = {name: tools.get(name) for name in ("tracker", "checkpoint") if tools.get(name)}
    return _digest([case.id, case.caption, case.category, case.fps, files, how])


def file_digest(path: Path) -> str:
    """Hex SHA-256 of a file."""
    found = path.stat()
    return _of_file(path, found.st_size, found.st_mtime_ns)


def _file(path: Path | None) -> str | None:
    return None if path is None else file_digest(path)


@lru_cache(maxsize=20_000)
def _of_file(path: Path, size: int, time: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()
