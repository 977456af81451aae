"""Wan2GP Motion Designer: npy [T, N, 2], positions as parts of the image, (-1, -1) where a track is absent.

The designer exports the scene's width, height and rate apart from the array; we write and read them in a JSON file of
the same name (``width``, ``height``, ``fps``), and ask where it is missing. Values are parts of an image spanning
[0, 1], so positions are continuous: no half-pixel shift.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats.base import NORMALISED, Ask, Detection, Format, make_tracks, stretch
from motionloom.tracks.formats.source import MIB, Source, npy_bytes, npy_header, parse_json
from motionloom.tracks.formats.wan_move import looks_normalised, positions
from motionloom.tracks.tracks import Tracks

ABSENT = -1.0


def sniff(source: Source) -> Detection | None:
    if not source.head.startswith(b"\x93NUMPY"):
        return None
    shape, dtype = npy_header(source)
    if dtype.kind != "f" or len(shape) != 3 or shape[-1] != 2:
        return None
    points = positions(source)
    absent = (points == ABSENT).all(axis=-1)
    if not absent.any() or absent.all() or not looks_normalised(points):
        return None
    facts = scene_facts(source.path)
    needs = tuple(name for name in ("size", "fps") if name not in facts)
    return Detection("wan2gp", "npy array within 0 to 1 with (-1, -1) where a track is absent", needs)


def read(source: Source, ask: Ask) -> Tracks:
    """Tracks of a Motion Designer export. Absent entries become hidden and take the nearest earlier position."""
    points = positions(source).astype(np.float64)
    present = ~(points == ABSENT).all(axis=-1)
    facts = scene_facts(source.path)
    size = ask.size or facts.get("size") or ask.need_size(source, "Motion Designer arrays")
    fps = ask.fps or facts.get("fps") or ask.need_fps(source, "Motion Designer arrays")
    points = _fill(points, present) * np.array([size[1], size[0]], np.float64)
    return stretch(make_tracks(source, points, present, size, fps), ask.num_frames)


def scene_facts(path: Path) -> dict[str, Any]:
    """``size`` (height, width) and ``fps`` from the JSON file beside the array, as far as it says so."""
    beside = path.with_suffix(".json")
    if not beside.is_file() or beside.stat().st_size > MIB:
        return {}
    try:
        source = Source(beside)
        content = parse_json(source, source.text_bytes)
    except FileFormatError:
        return {}
    if isinstance(content, dict) and isinstance(content.get("metadata"), dict):
        content = content["metadata"]
    if not isinstance(content, dict):
        return {}
    facts: dict[str, Any] = {}
    width, height, fps = (content.get(name) for name in ("width", "height", "fps"))
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        facts["size"] = (height, width)
    if isinstance(fps, int | float) and fps > 0:
        facts["fps"] = float(fps)
    return facts


def write(tracks: Tracks, path: Path) -> dict[Path, bytes]:
    """Write the array and the scene facts beside it.

    Raises:
        InputError: a visible point exactly where the format's mark for "absent" lies.
    """
    values = tracks.points / np.array([tracks.width, tracks.height], np.float64)
    values = values.astype(np.float32)
    if ((values == ABSENT).all(axis=-1) & tracks.visible).any():
        raise InputError(
            "a visible point lies one image left of and above the image, which this format reads as absent"
        )
    values[~tracks.visible] = ABSENT
    facts = {
        "width": tracks.width,
        "height": tracks.height,
        "fps": tracks.fps,
        "totalFrames": tracks.num_frames,
        "trajectoryCount": tracks.num_tracks,
    }
    return {path: npy_bytes(values), path.with_suffix(".json"): json.dumps(facts, indent=1).encode()}


def _fill(points: Any, present: Any) -> Any:
    """Absent entries take the position of the last present frame before them, or the first present one after."""
    frames = np.arange(len(points))[:, None]
    last = np.maximum.accumulate(np.where(present, frames, -1), axis=0)
    first = present.argmax(axis=0)
    index = np.where(last >= 0, last, first[None])
    filled = np.take_along_axis(points, index[..., None], axis=0)
    return np.where(present.any(axis=0)[None, :, None], filled, 0.0)


FORMAT = Format(
    name="wan2gp",
    title="Wan2GP Motion Designer",
    suffixes=(".npy",),
    units="parts of the image, 0 to 1",
    frames="any number; the rate is not in the array",
    sniff=sniff,
    read=read,
    write=write,
    accepts_units=(NORMALISED,),
)
