"""KJNodes spline editor, ``points_store``: the control points a person placed, with their Bezier handles.

Facts: kijai/ComfyUI-KJNodes ``web/js/editors``. ``[{"points": [{"x", "y", "h1x", "h1y", "h2x", "h2y"}, ...], "color",
"name"}, ...]`` or one bare point list; handles are absolute, h1 before the point and h2 after it. Pixels of the
editor's canvas, continuous: no half-pixel shift. Interpolation and tension are widgets of the node, not in the file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.formats.base import (
    Ask,
    Detection,
    Format,
    afford,
    make_tracks,
    require_tracks,
    require_visible,
    require_writable,
)
from motionloom.tracks.formats.kj_coordinates import points_of
from motionloom.tracks.formats.sampling import BEZIER_STEPS, bezier, by_length, cardinal_handles
from motionloom.tracks.formats.source import Source
from motionloom.tracks.formats.text import Fixed, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

KIND = "KJNodes points_store files"
COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#17becf")


def sniff(source: Source) -> Detection | None:
    data = source.json_bytes
    if not data.startswith(b"[") or b'"x"' not in data or not (b'"points"' in data or b'"h1x"' in data):
        return None
    return Detection("kj-points", "JSON list of splines with control points", ("size", "num_frames", "fps"))


def read(
    source: Source,
    ask: Ask,
    *,
    interpolation: str | None = None,
    tension: float = 0.5,
    sampling: str = "path",
) -> Tracks:
    """Tracks along the splines.

    Args:
        interpolation: "bezier" through the handles in the file, "cardinal" with ``tension``, or "linear". Without it:
            bezier where the file has handles, else cardinal, the editor's preset.
        sampling: "path" constant speed along the curve, "points" equal time from control point to control point.
    """
    if interpolation not in (None, "bezier", "cardinal", "linear"):
        raise InputError(f"interpolation: found {interpolation!r}, expected 'bezier', 'cardinal' or 'linear'")
    if sampling not in ("path", "points"):
        raise InputError(f"sampling: found {sampling!r}, expected 'path' or 'points'")
    size, fps = ask.need_size(source, KIND), ask.need_fps(source, KIND)
    frames = ask.need_num_frames(source, KIND)
    if not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"num_frames: found {frames}, expected 1 to {MAX_FRAMES}")
    splines = _splines(source)
    afford(source, frames, len(splines))
    paths = [
        _sample(_points(source, spline, index), interpolation, tension, sampling, frames)
        for index, spline in enumerate(splines)
    ]
    return make_tracks(source, np.stack(paths, axis=1), None, size, fps)


Handles = tuple[NDArray[np.float64], NDArray[np.float64]]


def _sample(
    found: tuple[NDArray[np.float64], Handles | None],
    interpolation: str | None,
    tension: float,
    sampling: str,
    frames: int,
) -> NDArray[np.float64]:
    points, handles = found
    if sampling == "points" and len(points) == frames:
        return points
    kind = interpolation or ("bezier" if handles else "cardinal")
    if kind == "linear" or len(points) < 2:
        curve, steps = points, 1
    else:
        if kind == "cardinal" or handles is None:
            # Without stored handles the editor's Bezier makes them the way its cardinal spline at 0.5 does inside.
            handles = cardinal_handles(points, tension if kind == "cardinal" else 0.5)
        curve, steps = bezier(points, *handles), BEZIER_STEPS
    if sampling == "path":
        return by_length(curve, frames)
    index = np.linspace(0.0, (len(points) - 1) * steps, frames) if frames > 1 else np.zeros(1)
    return np.stack([np.interp(index, np.arange(len(curve)), curve[:, axis]) for axis in (0, 1)], axis=1)


def _splines(source: Source) -> list[Any]:
    content = source.json
    if not isinstance(content, list) or not content:
        raise source.error("expected a JSON list of splines")
    if isinstance(content[0], dict) and "points" not in content[0]:
        return [content]
    splines = [spline.get("points") if isinstance(spline, dict) else spline for spline in content]
    return splines


def _points(source: Source, spline: Any, index: int) -> tuple[NDArray[np.float64], Handles | None]:
    points = points_of(source, spline, f"spline {index}")
    if not len(points):
        raise source.error(f"spline {index}: found no point")
    if "h1x" not in spline[0] or not all("h1x" in point for point in spline):
        return points, None
    try:
        before = np.array([(p["h1x"], p["h1y"]) for p in spline], np.float64)
        after = np.array([(p["h2x"], p["h2y"]) for p in spline], np.float64)
    except (TypeError, KeyError, ValueError, OverflowError):
        raise source.error(f"spline {index}: handles need numbers h1x, h1y, h2x and h2y") from None
    if not (np.isfinite(before).all() and np.isfinite(after).all()):
        raise source.error(f"spline {index}: a handle is not a finite number")
    return points, (before, after)


def write(tracks: Tracks, path: Path, *, decimals: int = 3, hidden: str = "error") -> dict[Path, bytes]:
    """One spline per track with a control point per frame. Read it with ``sampling="points"`` to get the same frames.

    Args:
        decimals: digits after the point.
        hidden: see `require_visible`.
    """
    require_tracks(tracks, KIND)
    require_visible(tracks, KIND, hidden)
    require_writable(tracks, KIND)
    rows = tracks.points.transpose(1, 0, 2).reshape(-1, 2)
    index = np.arange(len(rows))
    first = index % tracks.num_frames == 0
    last = np.roll(first, -1)
    heads = [
        b'{"color": "%b", "name": %b, "points": ['
        % (COLOURS[n % len(COLOURS)].encode(), json.dumps(f"track {n}").encode())
        for n in range(tracks.num_tracks)
    ]
    prefix = np.zeros(len(rows), f"S{max(map(len, heads))}")
    prefix[first] = heads
    text = rows_text(
        [
            prefix,
            b'{"x": ',
            Fixed(rows[:, 0], decimals),
            b', "y": ',
            Fixed(rows[:, 1], decimals),
            b"}",
            np.where(last, b"]},\n", b", "),
        ]
    )
    return {path: b"[" + text.removesuffix(b",\n") + b"]\n"}


FORMAT = Format(
    name="kj-points",
    title="KJNodes points_store",
    suffixes=(".json",),
    units="pixels of the editor's canvas",
    frames="control points, no frames; neither count nor rate is in the file",
    sniff=sniff,
    read=read,
    write=write,
)
