"""TAP-Vid's pickles: annotated point tracks of one or several clips.

Facts: google-deepmind/tapnet ``data/README.md``. A dict name -> {``points`` float32 [N, T, 2], ``occluded`` bool
[N, T], ``video`` uint8 [T, H, W, 3]} or a list of such entries; a video may also be a list of JPEG frames. Points are
parts of the image in raster coordinates: [0, 1] spans the image edge to edge, so they are continuous: no half-pixel
shift. Read by a pickle reader that can build nothing but plain data and arrays.
"""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
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
from motionloom.tracks.formats.pickled import array_of, load_plain
from motionloom.tracks.formats.source import Source
from motionloom.tracks.tracks import MAX_SIDE, Tracks

KIND = "TAP-Vid files"
SHOWN_NAMES = 5


def sniff(source: Source) -> Detection | None:
    if source.head[:1] != b"\x80" or source.head[1:2] not in (b"\2", b"\3", b"\4", b"\5"):
        return None
    return Detection("tapvid", f"pickle of protocol {source.head[1]}", ("fps",))


def read(source: Source, ask: Ask, *, name: str | int | None = None) -> Tracks:
    """The tracks of one clip.

    Args:
        name: which clip: its name in a dict, or its position in a list. Not needed if there is one.

    The canvas is that of the clip's video; ``size`` overrides it and is needed where the file has no video.
    """
    entry = _entry(source, load_plain(source, source.mapped()), name)
    points, occluded = array_of(entry.get("points")), array_of(entry.get("occluded"))
    if points is None or points.ndim != 3 or points.shape[-1] != 2:
        found = "nothing" if points is None else shape_text(points.shape)
        raise source.error(f"points: found {found}, expected an array [N, T, 2]")
    if occluded is None or occluded.shape != points.shape[:2]:
        found = "nothing" if occluded is None else shape_text(occluded.shape)
        raise source.error(f"occluded: found {found}, expected an array {shape_text(points.shape[:2])}")
    size = ask.size or _size(source, entry) or ask.need_size(source, "TAP-Vid entries without video")
    fps = ask.fps or _fps(entry) or ask.need_fps(source, KIND)
    positions = points.transpose(1, 0, 2).astype(np.float64)
    if ask.units != PIXELS:
        positions = positions * np.array([size[1], size[0]], np.float64)
    visible = ~occluded if occluded.dtype == np.bool_ else seen(ask, 1.0 - occluded.astype(np.float64))
    return stretch(make_tracks(source, positions, visible.T, size, fps), ask.num_frames)


def clip_names(path: str | Path) -> list[str]:
    """The names of the clips in a file (positions in a list), for ``read_tracks(path, name=...)``."""
    source = Source(path)
    return [str(key) for key in _entries(source, load_plain(source, source.mapped()))]


def _entries(source: Source, content: Any) -> dict[Any, Any]:
    if isinstance(content, dict) and "points" in content:
        return {0: content}
    if isinstance(content, list):
        return dict(enumerate(content))
    if isinstance(content, dict):
        return content
    raise source.error(f"the pickle holds a {type(content).__name__}, expected a dict or list of clips")


def _entry(source: Source, content: Any, name: str | int | None) -> dict[str, Any]:
    entries = _entries(source, content)
    if name is None and len(entries) != 1:
        names = ", ".join(str(key)[:40] for key in list(entries)[:SHOWN_NAMES])
        raise InputError(
            f"{source.path}: holds {len(entries)} clips; choose one with name= "
            f"(--option name=... on the command line), one of {names} ..."
        )
    key: Any = next(iter(entries)) if name is None else name
    if key not in entries and isinstance(key, str) and key.isdigit():
        key = int(key)
    if key not in entries:
        raise InputError(f"name: {source.path} has no clip {name!r}")
    entry = entries[key]
    if not isinstance(entry, dict):
        raise source.error(f"clip {str(key)[:40]!r}: found a {type(entry).__name__}, expected a dict with points")
    return entry


def _size(source: Source, entry: dict[str, Any]) -> tuple[int, int] | None:
    video = entry.get("video")
    array = array_of(video)
    if array is not None and array.ndim == 4:
        return int(array.shape[1]), int(array.shape[2])
    if isinstance(video, list) and video and isinstance(video[0], bytes | memoryview):
        from PIL import Image

        try:
            with Image.open(io.BytesIO(bytes(video[0]))) as frame:
                return frame.height, frame.width
        except (OSError, ValueError, Image.DecompressionBombError):
            raise source.error("video: the first frame is not a readable image") from None
    stored = entry.get("size")
    if isinstance(stored, tuple) and len(stored) == 2:
        height, width = stored
        if all(isinstance(side, int) and 1 <= side <= MAX_SIDE for side in stored):
            return height, width
    return None


def _fps(entry: dict[str, Any]) -> float | None:
    fps = entry.get("fps")
    return float(fps) if isinstance(fps, int | float) and 0 < fps < 1e6 else None


def write(
    tracks: Tracks, path: Path, *, name: str = "clip", video: NDArray[np.uint8] | None = None
) -> dict[Path, bytes]:
    """Write one clip.

    Args:
        name: its name.
        video: its frames, uint8 [T, H, W, 3]. TAP-Vid's own programs need them; without them the canvas is stored
            as ``size``. The rate is stored as ``fps``.
    """
    scale = np.array([tracks.width, tracks.height], np.float64)
    entry: dict[str, Any] = {
        "points": np.ascontiguousarray((tracks.points / scale).astype(np.float32).transpose(1, 0, 2)),
        "occluded": np.ascontiguousarray(~tracks.visible.T),
        "size": tracks.size,
        "fps": tracks.fps,
    }
    if video is not None:
        if video.ndim != 4 or video.dtype != np.uint8 or video.shape[:3] != (tracks.num_frames, *tracks.size):
            raise InputError(
                f"video: found {video.dtype} {shape_text(video.shape)}, "
                f"expected uint8 {shape_text((tracks.num_frames, *tracks.size, 3))}"
            )
        entry["video"] = np.ascontiguousarray(video)
    return {path: pickle.dumps({name: entry}, protocol=4)}


FORMAT = Format(
    name="tapvid",
    title="TAP-Vid annotations",
    suffixes=(".pkl",),
    units="parts of the image, 0 to 1",
    frames="those of the clip; the rate is not in the published files",
    sniff=sniff,
    read=read,
    write=write,
    accepts_units=(NORMALISED, PIXELS),
)
