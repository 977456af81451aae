"""Wan-Move and MoveBench: two npy files, positions and visibility.

Facts: ali-vilab/Wan-Move ``generate.py``, MoveBench card. ``*_tracks.npy`` float32 [1, T, N, 2] and
``*_visibility.npy`` bool [1, T, N], with or without the leading 1; 16 fps; pixels of the given image. The program
floors positions to 8x8 cells of an image spanning [0, W], so they are continuous: no half-pixel shift here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import AmbiguousUnitsError, FileFormatError
from motionloom.tracks.formats.ati_list import image_size
from motionloom.tracks.formats.base import (
    NORMALISED,
    PIXELS,
    Ask,
    Detection,
    Format,
    make_tracks,
    seen,
    shape_text,
    stretch,
)
from motionloom.tracks.formats.source import Source, npy_bytes, npy_header, read_npy_file
from motionloom.tracks.tracks import Tracks

FPS = 16.0
TRACKS_END = "_tracks"
VISIBILITY_END = "_visibility"
# Positions of a real image go beyond this; normalised ones do not, also when a point leaves the frame by far.
NORMALISED_REACH = 4.0


def sniff(source: Source) -> Detection | None:
    if not source.head.startswith(b"\x93NUMPY"):
        return None
    shape, dtype = npy_header(source)
    if dtype == np.bool_ and source.path.stem.endswith(VISIBILITY_END):
        partner = visibility_partner(source.path)
        raise source.error(f"the visibility half of a Wan-Move pair; give the tracks half, {partner.name}")
    if not (len(shape) in (3, 4) and shape[-1] == 2 and (len(shape) == 3 or shape[0] == 1)):
        raise source.error(f"found {dtype} {shape_text(shape)}, expected positions [T, N, 2] or [1, T, N, 2]")
    needs = () if _movebench_frame(source.path) else ("size",)
    return Detection("wan-move", f"npy array {dtype} {shape_text(shape)}", needs)


def read(source: Source, ask: Ask, *, visibility: str | Path | None = None) -> Tracks:
    """Tracks of a Wan-Move pair.

    Args:
        visibility: the visibility file; without it ``<name>_visibility.npy`` beside the tracks is taken, and if there
            is none every point counts as visible (the published program stops there).

    Raises:
        AmbiguousUnitsError: the values look normalised and ``units`` was not given, or ``size`` is missing. Inside a
            MoveBench folder the size is that of the clip's first frame.
    """
    if ask.units == NORMALISED:
        from motionloom.tracks.formats import wan2gp

        return wan2gp.read(source, ask)
    points = positions(source)
    if ask.units is None and looks_normalised(points):
        raise AmbiguousUnitsError(
            f"{source.path}: all positions are near zero, pixels or parts of the image; "
            "give units='pixels' or units='normalised', --units on the command line"
        )
    visible = _visibility(source, ask, visibility, points.shape[:2])
    frame = _movebench_frame(source.path)
    size = image_size(frame) if frame and ask.size is None else ask.need_size(source, "Wan-Move tracks")
    return stretch(make_tracks(source, points, visible, size, ask.fps or FPS), ask.num_frames)


def positions(source: Source) -> NDArray[Any]:
    """The array of an npy track file as [T, N, 2]."""
    array = read_npy_file(source)
    if array.ndim == 4 and array.shape[0] == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[-1] != 2 or array.dtype.kind not in "fiu":
        raise source.error(f"found {array.dtype} {shape_text(array.shape)}, expected numbers [T, N, 2] or [1, T, N, 2]")
    return array


def looks_normalised(points: NDArray[Any]) -> bool:
    """No position beyond a few units: parts of the image, or pixels that never leave its corner."""
    if points.size == 0 or np.isnan(points).all():
        return False
    with np.errstate(invalid="ignore"):
        return bool(np.nanmax(np.abs(points), initial=0.0) <= NORMALISED_REACH)


def visibility_partner(path: Path) -> Path:
    """The other file of a pair: tracks -> visibility, visibility -> tracks."""
    if path.stem.endswith(VISIBILITY_END):
        return path.with_name(path.stem.removesuffix(VISIBILITY_END) + TRACKS_END + path.suffix)
    return path.with_name(path.stem.removesuffix(TRACKS_END) + VISIBILITY_END + ".npy")


def _visibility(source: Source, ask: Ask, given: str | Path | None, shape: tuple[int, ...]) -> NDArray[np.bool_] | None:
    path = Path(given) if given is not None else visibility_partner(source.path)
    if given is None and not path.is_file():
        ask.notes.append(f"no {path.name} beside it: every point is taken as visible")
        return None
    partner = Source(path)
    values = read_npy_file(partner)
    if values.ndim == 3 and values.shape[0] == 1:
        values = values[0]
    if values.shape != tuple(shape):
        swapped = " (frames and tracks look swapped)" if values.shape == tuple(shape)[::-1] else ""
        raise partner.error(
            f"found {shape_text(values.shape)}, expected {shape_text(shape)} to match the tracks{swapped}"
        )
    return seen(ask, values)


def _movebench_frame(path: Path) -> Path | None:
    """The first frame of the clip inside a MoveBench folder: track/{single,multi}/<id>_tracks.npy."""
    folder = path.resolve().parent
    if folder.parent.name != "track" or not path.stem.endswith(TRACKS_END):
        return None
    frame = folder.parent.parent / "first_frame" / (path.stem.removesuffix(TRACKS_END) + ".jpg")
    return frame if frame.is_file() else None


def write(tracks: Tracks, path: Path) -> dict[Path, bytes]:
    """Write the pair: ``path`` and the visibility file beside it, both with the leading 1 of the published files."""
    if path.stem.endswith(VISIBILITY_END):
        raise FileFormatError(f"{path}: name the tracks half of the pair, {visibility_partner(path).name}")
    return {
        path: npy_bytes(tracks.points[None]),
        visibility_partner(path): npy_bytes(tracks.visible[None]),
    }


FORMAT = Format(
    name="wan-move",
    title="Wan-Move / MoveBench pair",
    suffixes=("_tracks.npy", ".npy"),
    units="pixels of the given image",
    frames=f"any number (the published model: 81) at {FPS:g} fps",
    sniff=sniff,
    read=read,
    write=write,
    accepts_units=(PIXELS, NORMALISED),
)
