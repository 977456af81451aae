"""The ``trajectory_config`` of the Wan-Move article: {"points", "trajectories", "duration"} as JSON.

``points`` [[x, y], ...] where tracks start, ``trajectories`` one list of key points per point, ``duration`` in seconds;
pixels of the image, continuous: no half-pixel shift. Key points are equally spaced in time. ``width``, ``height`` and
``fps`` are our additions: written by us, read if there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.formats.base import (
    Ask,
    Detection,
    Format,
    afford,
    key_paths,
    make_tracks,
    numbers,
    require_tracks,
    require_visible,
    require_writable,
)
from motionloom.tracks.formats.sampling import by_index
from motionloom.tracks.formats.source import Source
from motionloom.tracks.formats.text import Fixed, path_lists, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

FPS = 16.0
DECIMALS = 3
KIND = "trajectory_config files"


def sniff(source: Source) -> Detection | None:
    data = source.json_bytes
    if not data.startswith(b"{") or b'"points"' not in data or b'"trajectories"' not in data:
        return None
    needs = () if b'"width"' in data and b'"height"' in data else ("size",)
    return Detection("trajectory-config", "JSON object with points and trajectories", needs)


def read(source: Source, ask: Ask) -> Tracks:
    """Tracks of a config. Without ``num_frames`` there are duration x fps + 1 frames, at 16 fps unless said."""
    content = source.json
    if not isinstance(content, dict):
        raise source.error("expected a JSON object with points, trajectories and duration")
    points, paths = content.get("points"), content.get("trajectories")
    if not isinstance(points, list) or not isinstance(paths, list) or len(points) != len(paths) or not paths:
        raise source.error("expected one list of key points in trajectories per entry of points")
    size = ask.size or _size(source, content) or ask.need_size(source, KIND)
    fps = ask.fps or _positive(source, content, "fps") or FPS
    frames = ask.num_frames
    if frames is None:
        duration = content.get("duration")
        if duration is None:
            frames = ask.need_num_frames(source, "trajectory_config files without duration")
        elif isinstance(duration, int | float) and 0 <= duration * fps < MAX_FRAMES:
            frames = round(duration * fps) + 1
        else:
            raise source.error(f"duration: found {str(duration)[:40]!r}, expected seconds")
    elif not 1 <= frames <= MAX_FRAMES:
        raise source.error(f"num_frames: found {frames}, expected 1 to {MAX_FRAMES}")
    afford(source, frames, len(paths))
    starts = numbers(source, points, "points")
    keys = key_paths(source, paths, "trajectories")
    return make_tracks(source, _sampled(starts, keys, frames), None, size, fps)


def _sampled(starts: NDArray[np.float64], keys: list[NDArray[np.float64]], frames: int) -> NDArray[np.float64]:
    if all(len(path) == len(keys[0]) for path in keys) and len(keys[0]):
        stacked = np.stack(keys, axis=1)
        if np.array_equal(stacked[0], starts):
            return stacked if len(stacked) == frames else by_index(stacked, frames)
    paths = [_from_start(start, path) for start, path in zip(starts, keys, strict=True)]
    return np.stack([by_index(path, frames) for path in paths], axis=1)


def _from_start(start: NDArray[np.float64], path: NDArray[np.float64]) -> NDArray[np.float64]:
    """The key points with the start in front, unless they begin there."""
    if len(path) and np.array_equal(path[0], start):
        return path
    return np.concatenate([start[None], path])


def _size(source: Source, content: dict[str, Any]) -> tuple[int, int] | None:
    height, width = (_positive(source, content, name) for name in ("height", "width"))
    return (int(height), int(width)) if height and width else None


def _positive(source: Source, content: dict[str, Any], name: str) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < 1e6:
        raise source.error(f"{name}: found {str(value)[:40]!r}, expected a number above zero")
    return float(value)


def write(tracks: Tracks, path: Path, *, hidden: str = "error") -> dict[Path, bytes]:
    """Every frame as a key point. ``hidden``: see `require_visible`."""
    require_tracks(tracks, KIND)
    require_visible(tracks, KIND, hidden)
    require_writable(tracks, KIND)
    start = tracks.points[0]
    points = rows_text([b"[", Fixed(start[:, 0], DECIMALS), b", ", Fixed(start[:, 1], DECIMALS), b"], "])
    paths = path_lists(tracks.points, DECIMALS)
    facts = (
        f'"width": {tracks.width}, "height": {tracks.height}, "fps": {tracks.fps!r}, "duration": {tracks.duration!r}'
    )
    content = b'{%b,\n"points": [%b],\n"trajectories": [%b]}\n'
    return {path: content % (facts.encode(), points.removesuffix(b", "), paths)}


FORMAT = Format(
    name="trajectory-config",
    title="Wan-Move article's trajectory_config",
    suffixes=(".json",),
    units="pixels of the image",
    frames=f"duration in seconds; {FPS:g} fps unless said",
    sniff=sniff,
    read=read,
    write=write,
)
