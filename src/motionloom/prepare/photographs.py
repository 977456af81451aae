"""Photographs for training: those inside scikit-image that anybody may use, with their credits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import MissingDependencyError
from motionloom.media import read_image


@dataclass(frozen=True)
class Credit:
    """Where a photograph comes from, as scikit-image says in `skimage.data`.

    Attributes:
        name: the function of `skimage.data` that returns it.
        file: its file in scikit-image's folder of data.
        shows: what it shows, and who made it.
        licence: under which anybody may use it.
    """

    name: str
    file: str
    shows: str
    licence: str


@dataclass(frozen=True)
class Photograph:
    """A photograph uint8 [H, W, 3], in colour or grey, with its credit. It is shared: do not write into it."""

    pixels: NDArray[np.uint8]
    credit: Credit


CREDITS = (
    Credit("astronaut", "astronaut.png", "Eileen Collins, astronaut; NASA", "public domain"),
    Credit("brick", "brick.png", "a wall of bricks; CC0Textures", "CC0"),
    Credit("camera", "camera.png", "a man with a camera; Lav Varshney", "CC0"),
    Credit("cell", "cell.png", "a cell in solution, by quantitative phase microscopy", "CC0"),
    Credit("clock", "clock_motion.png", "a clock on a wall, blurred by motion; Stefan van der Walt", "public domain"),
    Credit("coins", "coins.png", "Greek coins from Pompeii; Brooklyn Museum", "no known copyright restrictions"),
    Credit("grass", "grass.png", "grass; linolafett on DeviantArt", "CC0"),
    Credit("gravel", "gravel.png", "gravel; CC0Textures", "CC0"),
    Credit(
        "immunohistochemistry",
        "ihc.png",
        "stained tissue; Center for Microscopy and Molecular Imaging",
        "no known copyright restrictions",
    ),
    Credit("retina", "retina.jpg", "the back of an eye; Mikael Häggström", "CC0"),
)
"""The photographs that are used. Left out are those whose licence scikit-image does not state, those that are no
photographs, and the four that the benchmarks show, which no training may see: cat (chelsea), coffee, rocket and the
Hubble deep field."""


@lru_cache(maxsize=1)
def _photographs() -> tuple[Photograph, ...]:
    found = find_spec("skimage")
    if found is None or not found.submodule_search_locations:
        raise MissingDependencyError(
            "training_photographs needs scikit-image, whose photographs it takes; install it with: "
            "pip install scikit-image; or train without photographs, on textures alone"
        )
    folder = f"{found.submodule_search_locations[0]}/data"
    return tuple(Photograph(read_image(f"{folder}/{credit.file}"), credit) for credit in CREDITS)


def training_photographs() -> list[Photograph]:
    """The photographs inside the installed scikit-image that may be trained on; `CREDITS` says whose they are.

    Read from its files: scikit-image itself is not imported.

    Raises:
        MissingDependencyError: scikit-image is not installed.
        FileFormatError: it is, but without one of these files.
    """
    return list(_photographs())
