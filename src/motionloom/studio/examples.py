"""The examples that a project can start from: photographs of the package, each with a motion drawn on it."""

from __future__ import annotations

import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from motionloom.examples_data import GALLERY, Shown, files_of
from motionloom.studio.problems import Refused
from motionloom.studio.projects import pictures
from motionloom.studio.projects.store import ProjectStore
from motionloom.studio.schemas import Example, Project
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    from motionloom.tracks.motion import Motion

_rendering = threading.Lock()


def list_examples() -> list[Example]:
    """What there is to start from."""
    return [
        Example(
            name=shown.name,
            title=shown.title,
            description=shown.description,
            width=_size(shown.name)[0],
            height=_size(shown.name)[1],
        )
        for shown in GALLERY
    ]


def start(projects: ProjectStore, name: str, *, tab: str | None = None) -> Project:
    """A new project from an example.

    Raises:
        Refused: ``not_found``.
    """
    shown = _find(name)
    image, motion = files_of(name)
    return projects.create(shown.title, image.read_bytes(), _motion(motion), tab=tab)


def thumbnail(name: str, folder: Path) -> Path:
    """A small picture of an example with its motion drawn on it; made once, kept in ``folder``."""
    shown = _find(name)
    path = folder / f"{shown.name}.webp"
    with _rendering:
        if not path.is_file():
            image, motion = files_of(name)
            _draw(image, _motion(motion), path)
    return path


def _find(name: str) -> Shown:
    for shown in GALLERY:
        if shown.name == name:
            return shown
    names = ", ".join(shown.name for shown in GALLERY)
    raise Refused("not_found", f"There is no example of that name, expected one of {names}.")


def _motion(path: Path) -> Motion:
    from motionloom.tracks.motion import Motion

    return Motion.load(path)


@cache
def _size(name: str) -> tuple[int, int]:
    return pictures.size_of(files_of(name)[0])


def _draw(image: Path, motion: Motion, path: Path) -> None:
    from PIL import Image

    from motionloom.draw import draw_paths
    from motionloom.media.files import replacing

    picture = pictures.read_picture(image.read_bytes(), Limits())
    scale = min(1.0, 2 * pictures.THUMBNAIL_SIDE / max(picture.width, picture.height))
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    small = Image.fromarray(picture.pixels).resize(size, Image.Resampling.LANCZOS)
    import numpy as np

    drawn = draw_paths(np.asarray(small), motion.compile(size=(size[1], size[0])))
    with replacing(path) as temporary:
        Image.fromarray(drawn).save(temporary, format="WEBP", quality=86, method=4)
