"""Motion documents of older versions, brought to the current one step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.validation import shown

FORMAT = "motionloom.motion"
VERSION = 1


def _from_version_0(data: dict[str, Any]) -> dict[str, Any]:
    """Version 0, the draft: the canvas was ``size`` [height, width], nothing had easing, and paths were polylines that
    could ``vanish`` at their end."""
    data = dict(data)
    size = data.pop("size", None)
    if not (isinstance(size, list) and len(size) == 2):
        raise InputError(f"size: found {shown(size)}, expected [height, width] in a document of version 0")
    data["canvas"] = {"height": size[0], "width": size[1]}
    instructions = []
    for old in data.get("instructions", []):
        new = dict(old) if isinstance(old, dict) else old
        if isinstance(new, dict):
            new.setdefault("easing", "linear")
            if new.pop("vanish", False):
                new["after"] = "vanish"
            if new.get("kind") == "path":
                new.setdefault("curve", "polyline")
        instructions.append(new)
    data["instructions"] = instructions
    return data


MIGRATIONS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {0: _from_version_0}


def migrate(data: Any, source: str = "motion") -> dict[str, Any]:
    """A document of any known version as one of the current version.

    Raises:
        FileFormatError: not a motion document, or of a version this release does not know.
    """
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        found = shown(data.get("format")) if isinstance(data, dict) else f"a {type(data).__name__}"
        raise FileFormatError(f'{source}: format: found {found}, expected "{FORMAT}"')
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int):
        raise FileFormatError(f"{source}: version: found {shown(version)}, expected a whole number up to {VERSION}")
    if version > VERSION:
        raise FileFormatError(
            f"{source}: version: found {version}, this release reads up to {VERSION}; update motionloom to open it"
        )
    while version < VERSION:
        if version not in MIGRATIONS:
            raise FileFormatError(f"{source}: version: found {version}, expected 0 to {VERSION}")
        try:
            data = MIGRATIONS[version](data)
        except InputError as error:
            raise FileFormatError(f"{source}: {error}") from None
        version += 1
        data["version"] = version
    return data
