"""What people write about a project, and older studios wrote: names, and settings of other versions."""

from __future__ import annotations

from typing import Any
from unicodedata import category

from motionloom.studio.schemas import GenerationSettings

MAX_NAME = 200


def clean_name(name: str | None) -> str:
    """A name for people: without control characters and marks that turn text around, on one line, not too long."""
    kept = (char for char in name or "" if char.isspace() or (char not in _TURNING and category(char) not in _NO_TEXT))
    return " ".join("".join(kept).split())[:MAX_NAME].strip() or "Untitled"


_TURNING = "\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_NO_TEXT = ("Cc", "Cs")


def read_settings(data: dict[str, Any]) -> GenerationSettings:
    try:
        return GenerationSettings.model_validate(data)
    except ValueError:
        # Written by a newer version of the studio: what this one knows of it is kept.
        return _known_settings(data)


def _known_settings(data: dict[str, Any]) -> GenerationSettings:
    good: dict[str, Any] = {}
    for name in GenerationSettings.model_fields:
        if name not in data:
            continue
        try:
            GenerationSettings.model_validate({name: data[name]})
        except ValueError:
            continue
        good[name] = data[name]
    return GenerationSettings.model_validate(good)
