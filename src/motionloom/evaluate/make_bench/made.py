"""What the ways of making a benchmark share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.evaluate.movebench.layout import LANGUAGES, find_layout
from motionloom.media import Clip

Progress = Callable[[int, int], None]
LEAST_TRACKS = 4


@dataclass
class Made:
    """What became of a benchmark.

    Attributes:
        ids: of the cases written, single-object tracks each; multi: how many of them have tracks of several things.
        categories: how many of each kind of motion.
        skipped: why clips of the source became no case, by name.
    """

    ids: list[str] = field(default_factory=list[str])
    multi: int = 0
    categories: Counter[str] = field(default_factory=Counter[str])
    skipped: dict[str, str] = field(default_factory=dict[str, str])


def encoded(clip: Clip, folder: Path) -> tuple[Path, NDArray[np.uint8]]:
    """A clip as MP4 in a folder, and its first frame uint8 [H, W, 3] as everybody will decode it."""
    path = clip.save(folder / "video.mp4", quality=100)
    return path, Clip.load(path).frames[0]


def check_new(target: Path, overwrite: bool) -> None:
    """Refuse what exists, or with ``overwrite`` what is no benchmark.

    Raises:
        InputError: exists, or is a file.
        FileFormatError: would be replaced, but is something else.
    """
    if target.is_file():
        raise InputError(f"{target}: is a file, expected a new folder")
    if target.exists() and any(target.iterdir()):
        if not overwrite:
            raise InputError(f"{target}: exists already; choose another name, or replace it with --overwrite")
        find_layout(target)  # what is replaced has to be a benchmark, not somebody's home


def check_format(
    num_frames: int, size: tuple[int, int] | None, fps: float, tracks: int, languages: Sequence[str]
) -> None:
    """Refuse what no benchmark can have.

    Raises:
        InputError: naming the argument.
    """
    for name, value, least in (("num_frames", num_frames, 2), ("tracks", tracks, LEAST_TRACKS)):
        if value < least:
            raise InputError(f"{name}: found {value}, expected at least {least}")
    if size is not None and (min(size) < 16 or size[0] % 2 or size[1] % 2):
        raise InputError(f"size: found {size[1]}x{size[0]}, expected even sides of 16 or more")
    if not (np.isfinite(fps) and fps > 0):
        raise InputError(f"fps: found {fps:g}, expected a number above zero")
    unknown = [name for name in languages if name not in LANGUAGES]
    if unknown or not languages:
        raise InputError(f"languages: found {', '.join(unknown) or 'none'}, expected en, zh, or both")
