"""What the list shows of a project: ``project.json``, and how it is made again when it is lost."""

from __future__ import annotations

import contextlib
import json
import re
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path

from motionloom.studio.projects import pictures
from motionloom.studio.projects.versions import State


@dataclass(frozen=True)
class Facts:
    """``project.json``: what the list shows. ``version`` says of which version ``name`` and the rest are."""

    id: str
    created: str
    image: str
    width: int
    height: int
    version: int = 0
    updated: str = ""
    name: str = ""
    num_instructions: int = 0
    damaged: bool = False


def read_facts(folder: Path, id: str) -> Facts | None:
    """What ``project.json`` says; None when it cannot be relied on. Fields of newer studios are passed over."""
    try:
        data = json.loads((folder / "project.json").read_bytes())
        facts = Facts(**{each.name: data[each.name] for each in fields(Facts) if each.name in data})
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    wanted = {"id": str, "created": str, "image": str, "width": int, "height": int, "version": int, "updated": str,
              "name": str, "num_instructions": int}  # fmt: skip
    good = all(isinstance(getattr(facts, name), kind) for name, kind in wanted.items())
    plain = re.fullmatch(r"image\.[a-z0-9]{2,4}", str(facts.image)) is not None
    return replace(facts, damaged=False) if good and plain and facts.id == id else None


def recovered(folder: Path, id: str) -> Facts:
    """Facts from the picture and the file system, where ``project.json`` cannot be read."""
    image = next((path for path in sorted(folder.glob("image.*")) if path.is_file()), None)
    width = height = 1
    if image is not None:
        with contextlib.suppress(Exception):  # the list goes on without the size of a picture that is broken, too
            width, height = pictures.size_of(image)
    created = stamp(datetime.fromtimestamp(folder.stat().st_mtime, UTC))
    return Facts(id, created, image.name if image else "", width, height, updated=created, damaged=True)


def described(facts: Facts, state: State) -> Facts:
    """The facts of a project in that state."""
    return replace(
        facts, version=state.version, updated=state.written, name=state.name, num_instructions=state.num_instructions
    )


def stamp(moment: datetime) -> str:
    """A time as it goes over the wire."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def now() -> str:
    return stamp(datetime.now(UTC))
