"""KJNodes spline editor, output ``coordinates``: one {"x", "y"} per frame and track.

Facts: kijai/ComfyUI-KJNodes, WanVideoWrapper. One track ``[{"x":1,"y":2}, ...]``, several ``[[...], [...]]``, or a
list of such texts; single quotes occur. Whole pixels of the editor's canvas (``mask_width`` x ``mask_height``), which
the programs use as continuous positions: no half-pixel shift. Neither canvas nor rate is in the text.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.tracks.formats.base import (
    Ask,
    Detection,
    Format,
    afford,
    make_tracks,
    require_tracks,
    require_writable,
    stretch,
)
from motionloom.tracks.formats.source import Source, parse_json
from motionloom.tracks.formats.text import Fixed, parse_numbers, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

KIND = "KJNodes coordinates"
_START = re.compile(rb"""\[\s*(\[\s*)*(\{\s*["']x["']\s*:|"\s*\[\s*(\[\s*)*\{\s*(\\"|')x(\\"|')\s*:)""")
_DIGITS = b"0123456789+-.eE \t\r\n"
_POINT = b'{"x":,"y":}'
_TO_COMMAS = bytes.maketrans(b'[]{}"xy:', b"       ,")


def sniff(source: Source) -> Detection | None:
    data = source.json_bytes
    if not _START.match(data) or b'"h1x"' in data or b'"points"' in data:
        return None
    return Detection("kj-coordinates", "JSON list of x, y points per frame", ("size", "fps"))


def read(source: Source, ask: Ask, *, short: str = "vanish") -> Tracks:
    """Tracks of an editor output.

    Args:
        short: what a track with fewer points than the longest does afterwards: "vanish", as in the ATI nodes, or
            "hold" its last position.
    """
    if short not in ("vanish", "hold"):
        raise InputError(f"short: found {short!r}, expected 'vanish' or 'hold'")
    size, fps = ask.need_size(source, KIND), ask.need_fps(source, KIND)
    lists = _regular(source) or point_lists(source)
    if not lists:
        raise source.error("found no track")
    frames = max(len(track) for track in lists)
    if not 1 <= frames <= MAX_FRAMES:
        raise source.error(f"found {frames} points in the longest track, expected 1 to {MAX_FRAMES}")
    afford(source, frames, len(lists))
    counts = np.array([len(track) for track in lists])
    if (counts == frames).all():
        points = np.stack(lists, axis=1)
    else:
        ask.notes.append(f"tracks of {counts.min()} to {frames} points; shorter ones {short} after their last point")
        points = np.stack([_padded(track, frames) for track in lists], axis=1)
    visible = (np.arange(frames)[:, None] < counts[None]) | (short == "hold")
    return stretch(make_tracks(source, points, visible, size, fps), ask.num_frames)


def _padded(track: NDArray[np.float64], frames: int) -> NDArray[np.float64]:
    last = track[-1:] if len(track) else np.zeros((1, 2))
    return np.concatenate([track, np.repeat(last, frames - len(track), axis=0)])


def _regular(source: Source) -> list[NDArray[np.float64]] | None:
    """Fast path for the plain spelling of several tracks: the text without its numbers is known in advance."""
    data = source.json_bytes
    skeleton = data.translate(None, _DIGITS)
    tracks = skeleton.removeprefix(b"[[").removesuffix(b"]]").split(b"],[")
    counts = [(len(track) + 1) // (len(_POINT) + 1) for track in tracks]
    if min(counts) == 0 or skeleton != b"[[" + b"],[".join(b",".join([_POINT] * count) for count in counts) + b"]]":
        return None
    # Every x and y has a colon in front of it, and the comma between points is still there: [{"x":1,"y":2},{"x":3 ...
    values = data.translate(_TO_COMMAS).replace(b" ", b"").replace(b"\n", b"").replace(b",,", b",").removeprefix(b",")
    try:
        points = parse_numbers(source, values, "points")
    except FileFormatError:
        return None  # say what is wrong in the slow path, which knows where
    if len(points) != 2 * sum(counts):
        return None
    return np.split(points.reshape(-1, 2), np.cumsum(counts)[:-1])


def point_lists(source: Source) -> list[NDArray[np.float64]]:
    """Every track as [P, 2], from any of the spellings."""
    content = _parse(source, source.json_bytes or source.text_bytes)
    if not isinstance(content, list):
        raise source.error("expected a JSON list of points")
    if content and all(isinstance(item, str) for item in content):
        content = [track for item in content for track in _nested(source, _parse(source, item.encode()))]
    else:
        content = _nested(source, content)
    return [points_of(source, track, f"track {index}") for index, track in enumerate(content)]


def points_of(source: Source, track: Any, where: str) -> NDArray[np.float64]:
    """A list of {"x", "y"} as [P, 2]."""
    try:
        # Two flat lists convert in a third of the time of one list of pairs.
        x, y = [point["x"] for point in track], [point["y"] for point in track]
        return np.stack([np.array(x, np.float64), np.array(y, np.float64)], axis=1)
    except (TypeError, KeyError, ValueError, OverflowError):
        raise source.error(f'{where}: expected points like {{"x": 12, "y": 34}}') from None


def _nested(source: Source, content: Any) -> list[Any]:
    if not isinstance(content, list):
        raise source.error("expected a list of points or of tracks")
    return [content] if content and isinstance(content[0], dict) else content


def _parse(source: Source, data: bytes) -> Any:
    try:
        return parse_json(source, data)
    except FileFormatError:
        if b"'" not in data:
            raise
        return parse_json(source, data.replace(b"'", b'"'))


def write(tracks: Tracks, path: Path, *, decimals: int = 0) -> dict[Path, bytes]:
    """Write the multi-track spelling.

    Args:
        decimals: digits after the point; the editor itself rounds to whole pixels.

    Raises:
        InputError: a track that is hidden before its end: the format can only end a track early.
    """
    require_tracks(tracks, KIND)
    require_writable(tracks, KIND)
    counts = tracks.visible.sum(axis=0)
    expected = np.arange(tracks.num_frames)[:, None] < counts[None]
    if (expected != tracks.visible).any() or counts.max() < tracks.num_frames:
        raise InputError(
            f"{KIND} can only say that a track ends early, and one track has to last to the end; "
            "found another pattern of hidden points"
        )
    rows = tracks.points.transpose(1, 0, 2)[tracks.visible.T]
    last = np.cumsum(counts) - 1
    separator = np.full(len(rows), b", ", "S4")
    separator[last[last >= 0]] = b"], ["
    text = rows_text([b'{"x": ', Fixed(rows[:, 0], decimals), b', "y": ', Fixed(rows[:, 1], decimals), b"}", separator])
    if (counts == 0).any():
        return {path: _with_empty(text, counts)}
    return {path: b"[[" + text.removesuffix(b", [") + b"]\n"}


def _with_empty(text: bytes, counts: NDArray[np.int64]) -> bytes:
    filled = iter(text.split(b"], ["))
    return b"[" + b", ".join(b"[" + next(filled) + b"]" if count else b"[]" for count in counts) + b"]\n"


FORMAT = Format(
    name="kj-coordinates",
    title="KJNodes coordinates",
    suffixes=(".json",),
    units="pixels of the editor's canvas, whole",
    frames="one per point; the rate is not in the file",
    sniff=sniff,
    read=read,
    write=write,
)
