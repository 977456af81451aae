"""Example photographs, each with a motion drawn on it; see CREDITS.md for whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from motionloom.errors import InputError

NAMES = ("rocket", "coffee", "galaxies", "cat")
"""Those of the demo."""


@dataclass(frozen=True)
class Shown:
    """An example of the gallery: a photograph by its name, and which motion on it."""

    name: str
    title: str
    description: str
    photograph: str


GALLERY = (
    Shown("rocket", "Rocket lifts off", "A region follows a path; a grid of anchors pins the rest.", "rocket"),
    Shown("coffee", "Cup slides and turns", "A region moves along a curve while it rotates.", "coffee"),
    Shown("galaxies", "Flight into the deep", "The camera zooms and rolls.", "galaxies"),
    Shown("cat", "Cat turns its head", "Free paths with times on their control points, and static points.", "cat"),
    Shown("rush", "Stars rush past", "Circle zooms: rings of points that grow.", "galaxies"),
    Shown("tiny-rocket", "Rocket grows small", "A box moves and shrinks on its way.", "rocket"),
    Shown("turning-sky", "The sky turns", "Points turn around a bright star.", "galaxies"),
)


def example(name: str) -> tuple[Path, Path]:
    """The photograph and the motion file of an example of the demo.

    Raises:
        InputError: no such example.
    """
    if name not in NAMES:
        raise InputError(f"example: found {name!r}, expected one of {', '.join(NAMES)}")
    return files_of(name)


def files_of(name: str) -> tuple[Path, Path]:
    """The photograph and the motion file of an example of the gallery.

    Raises:
        InputError: no such example.
    """
    folder = Path(__file__).parent
    for shown in GALLERY:
        if shown.name == name:
            return folder / f"{shown.photograph}.jpg", folder / f"{name}.motion.json"
    raise InputError(f"example: found {name!r}, expected one of {', '.join(shown.name for shown in GALLERY)}")
