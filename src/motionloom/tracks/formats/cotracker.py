"""CoTracker results as npz: tracks [B, T, N, 2] and visibility [B, T, N].

There is no official file; these are the names people save its outputs under: ``tracks`` or ``pred_tracks``,
``visibility``, ``visibles`` or ``pred_visibility``. CoTracker counts pixels from their centres (the first one is 0), so
half a pixel is added here on reading and taken off on writing. ``size`` [height, width] and ``fps`` are our additions:
written by us, read if there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import AmbiguousUnitsError, InputError
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
from motionloom.tracks.formats.source import Archive, Source, npz_bytes
from motionloom.tracks.formats.wan_move import looks_normalised
from motionloom.tracks.tracks import MAX_SIDE, Tracks

TRACKS = ("tracks", "pred_tracks")
VISIBILITY = ("visibility", "visibles", "pred_visibility")
KIND = "CoTracker files"


def sniff(source: Source) -> Detection | None:
    if not source.head.startswith(b"PK\x03\x04"):
        return None
    with Archive(source) as archive:
        names = archive.array_names
    found = next((name for name in TRACKS if name in names), None)
    if found is None:
        return None
    return Detection("cotracker", f"npz archive with {found!r}", tuple(n for n in ("size", "fps") if n not in names))


def read(source: Source, ask: Ask, *, axes: str = "TN", pixel_centres: str = "integer") -> Tracks:
    """Tracks of an npz file.

    Args:
        axes: "TN" for [T, N, 2] as CoTracker, "NT" for [N, T, 2] as TAPIR's examples.
        pixel_centres: "integer" if the first pixel's centre is at 0 (CoTracker), "half" if it is at 0.5 (TAPIR).

    ``visible_threshold`` (default 0.5) applies where visibility is a probability.
    """
    if axes not in ("TN", "NT"):
        raise InputError(f"axes: found {axes!r}, expected 'TN' or 'NT'")
    if pixel_centres not in ("integer", "half"):
        raise InputError(f"pixel_centres: found {pixel_centres!r}, expected 'integer' or 'half'")
    with Archive(source) as archive:
        names = archive.array_names
        wanted = {"tracks": _first(names, TRACKS), "visibility": _first(names, VISIBILITY)}
        if wanted["tracks"] is None:
            raise source.error(f"found arrays {names[:5]}, expected one named {' or '.join(TRACKS)}")
        extra = [name for name in ("size", "fps") if name in names]
        arrays = archive.arrays([*filter(None, wanted.values()), *extra])
    points = _unbatched(source, arrays[wanted["tracks"]], 3, "tracks")
    if points.shape[-1] != 2 or points.dtype.kind not in "fiu":
        raise source.error(f"tracks: found {points.dtype} {shape_text(points.shape)}, expected numbers [B, T, N, 2]")
    visible = None
    if wanted["visibility"] is None:
        ask.notes.append("no visibility in the file: every point is taken as visible")
    else:
        values = arrays[wanted["visibility"]]
        if values.ndim > 2 and values.shape[-1] == 1 and values.ndim == arrays[wanted["tracks"]].ndim:
            values = values[..., 0]
        visible = seen(ask, _unbatched(source, values, 2, "visibility"))
        if visible.shape != points.shape[:2]:
            raise source.error(
                f"visibility: found {shape_text(visible.shape)}, expected {shape_text(points.shape[:2])}"
            )
    if axes == "NT":
        points, visible = points.transpose(1, 0, 2), None if visible is None else visible.T
    if ask.units is None and looks_normalised(points):
        raise AmbiguousUnitsError(
            f"{source.path}: all positions are near zero, pixels or parts of the image; "
            "give units='pixels' or units='normalised', --units on the command line"
        )
    size = ask.size or _size(arrays) or ask.need_size(source, KIND)
    fps = ask.fps or _fps(arrays) or ask.need_fps(source, KIND)
    positions = points.astype(np.float64)
    if ask.units == NORMALISED:
        positions = positions * np.array([size[1], size[0]], np.float64)
    elif pixel_centres == "integer":
        positions = positions + 0.5
    return stretch(make_tracks(source, positions, visible, size, fps), ask.num_frames)


def _first(names: list[str], wanted: tuple[str, ...]) -> Any:
    return next((name for name in wanted if name in names), None)


def _unbatched(source: Source, array: NDArray[Any], rank: int, name: str) -> NDArray[Any]:
    if array.ndim == rank + 1 and array.shape[0] == 1:
        return array[0]
    if array.ndim == rank:
        return array
    raise source.error(f"{name}: found {shape_text(array.shape)}, expected one clip: [1, T, N] or [T, N]")


def _size(arrays: dict[str, NDArray[Any]]) -> tuple[int, int] | None:
    size = arrays.get("size")
    if size is None or size.shape != (2,) or size.dtype.kind not in "iu":
        return None
    height, width = (int(side) for side in size)
    return (height, width) if min(height, width) >= 1 and max(height, width) <= MAX_SIDE else None


def _fps(arrays: dict[str, NDArray[Any]]) -> float | None:
    fps = arrays.get("fps")
    return float(fps) if fps is not None and fps.shape == () and np.isfinite(fps) and fps > 0 else None


def write(tracks: Tracks, path: Path, *, compress: bool = False) -> dict[Path, bytes]:
    """Write ``tracks`` float32 [1, T, N, 2] in CoTracker's pixel counting and ``visibility`` bool [1, T, N]."""
    arrays: dict[str, NDArray[Any]] = {
        "tracks": (tracks.points - np.float32(0.5))[None],
        "visibility": tracks.visible[None],
        "size": np.array(tracks.size, np.int64),
        "fps": np.array(tracks.fps, np.float64),
    }
    return {path: npz_bytes(arrays, compress=compress)}


FORMAT = Format(
    name="cotracker",
    title="CoTracker npz",
    suffixes=(".npz",),
    units="pixels counted from centres",
    frames="those of the clip; the rate is not in the file",
    sniff=sniff,
    read=read,
    write=write,
    accepts_units=(PIXELS, NORMALISED),
)
