"""Example photographs, each with a motion drawn on it; see CREDITS.md for whose they are."""

from __future__ import annotations

from pathlib import Path

from motionloom.errors import InputError

NAMES = ("rocket", "coffee", "galaxies", "cat")


def example(name: str) -> tuple[Path, Path]:
    """The photograph and the motion file of an example.

    Raises:
        InputError: no such example.
    """
    if name not in NAMES:
        raise InputError(f"example: found {name!r}, expected one of {', '.join(NAMES)}")
    folder = Path(__file__).parent
    return folder / f"{name}.jpg", folder / f"{name}.motion.json"
