"""Tora's text trajectories: one ``x,y`` per line on a 256x256 canvas, one file per track.

Facts: alibaba/Tora ``diffusers-version/tora/traj_utils.py``, ``inference.py``. The canvas is stretched over the video
whatever its shape: pixel = (int(W x / 256), int(H y / 256)), so a coordinate is the corner of its cell and continuous:
no half-pixel shift. There is no timing: every file spans the whole clip, and the density of its points is the speed.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.formats.base import (
    Ask,
    Detection,
    Format,
    make_tracks,
    require_tracks,
    require_visible,
)
from motionloom.tracks.formats.sampling import by_index, by_length
from motionloom.tracks.formats.source import MIB, Source
from motionloom.tracks.formats.text import Fixed, parse_numbers, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

CANVAS = 256
FRAMES = 49
FPS = 8.0
MAX_BYTES = 8 * MIB
# Possessive: a hostile line of digits must not be tried in every split.
_NUMBER = rb"[-+]?+(?:\d++(?:\.\d*+)?+|\.\d++)"
_POINT = rb"[ \t]*+" + _NUMBER + rb"[ \t]*+,[ \t]*+" + _NUMBER + rb"[ \t\r]*+"
_LINE = re.compile(_POINT)
_LINES = re.compile(rb"\s*+(?:" + _POINT + rb"(?:\n\s*+|\Z))++")


def sniff(source: Source) -> Detection | None:
    if not source.looks_like_text:
        return None
    head = source.head.removeprefix(b"\xef\xbb\xbf")
    if source.size > len(source.head):
        head = head[: head.rfind(b"\n") + 1]  # the last line may be cut
    if not _LINES.fullmatch(head):
        return None
    return Detection("tora", "text with one x,y per line")


def read(source: Source, ask: Ask, *, timing: str = "index") -> Tracks:
    """One track from one file. `read_tracks` with a list of files gives several tracks.

    Args:
        timing: how key points become frames. "index": equal time from point to point, as the published program
            means it, without its losses. "length": constant speed along the path. "program": bit for bit what the
            published program does, whole numbers on the 256 canvas and the lost tail included.

    ``num_frames`` defaults to Tora's 49, ``fps`` to 8, ``size`` to the 256x256 canvas itself.
    """
    frames = FRAMES if ask.num_frames is None else ask.num_frames
    if not 1 <= frames <= MAX_FRAMES:
        raise InputError(f"num_frames: found {frames}, expected 1 to {MAX_FRAMES}")
    points = key_points(source)
    if timing == "index":
        sampled = by_index(points, frames)
    elif timing == "length":
        sampled = by_length(points, frames)
    elif timing == "program":
        sampled = program_frames(points.astype(np.int64), frames).astype(np.float64)
    else:
        raise InputError(f"timing: found {timing!r}, expected 'index', 'length' or 'program'")
    if ask.num_frames is None:
        ask.notes.append(
            f"no timing in the file: {len(points)} key points put on Tora's {FRAMES} frames at {FPS:g} fps"
        )
    size = ask.size or (CANVAS, CANVAS)
    scaled = sampled * (np.array([size[1], size[0]], np.float64) / CANVAS)
    return make_tracks(source, scaled[:, None], None, size, ask.fps or FPS)


def key_points(source: Source) -> NDArray[np.float64]:
    """The points of a file on the 256 canvas, [P, 2]. Blank lines and fractions, which Tora refuses, are accepted."""
    if source.size > MAX_BYTES:
        raise source.error(f"found {source.size} bytes, expected at most {MAX_BYTES} for one trajectory")
    data = source.text.encode()
    if not _LINES.fullmatch(data):
        for number, line in enumerate(filter(None, map(str.strip, source.text.splitlines())), 1):
            if not _LINE.fullmatch(line.encode()):
                raise source.error(f"point {number}: found {line[:40]!r}, expected x,y")
        raise source.error("found no point, expected one x,y per line")
    values = parse_numbers(source, re.sub(rb"\s*\n\s*", b",", data.strip()), "points")
    return values.reshape(-1, 2)


def program_frames(points: NDArray[np.int64], num_frames: int) -> NDArray[np.int64]:
    """Tora's own resampling on the 256 canvas: key points int [P, 2] -> [num_frames, 2].

    Two stages as in ``inference.py`` and ``traj_utils.py``: too many points are thinned by a whole step and cut (which
    loses the tail of the path), too few get whole-numbered points between them, more in the first segments.

    Raises:
        InputError: fewer than two points are left, where the program leaves the canvas.
    """
    if len(points) > num_frames:
        points = points[:: len(points) // num_frames]
    points = points[:num_frames]
    count = len(points)
    if count < 2:
        raise InputError("timing='program' needs at least two points and two frames, as the published program does")
    if count == num_frames:
        return points
    each, extra = divmod(num_frames - count, count - 1)
    pieces: list[NDArray[np.int64]] = []
    for segment in range(count - 1):
        between = each + (segment < extra)
        start, step = points[segment], points[segment + 1] - points[segment]
        part = np.arange(between + 1)[:, None] / (between + 1)
        pieces.append(np.trunc(start + part * step).astype(np.int64))
    return np.concatenate([*pieces, points[-1:]])


def write(tracks: Tracks, path: Path, *, decimals: int = 0, outside: str = "error", hidden: str = "error"):
    """Write one file per track: ``path`` for one, ``<name>_0.txt``, ``<name>_1.txt``, ... for several.

    Args:
        decimals: digits after the point on the 256 canvas. Tora itself reads whole numbers only.
        outside: points that leave the image make Tora's program stop: "error" refuses them, "clip" moves them to the
            border.
        hidden: see `require_visible`.
    """
    require_tracks(tracks, "Tora files")
    require_visible(tracks, "Tora files", hidden)
    if outside not in ("error", "clip"):
        raise InputError(f"outside: found {outside!r}, expected 'error' or 'clip'")
    inside = tracks.inside()
    if outside == "error" and not inside.all():
        frame, track = np.argwhere(~inside)[0]
        raise InputError(
            f"Tora files hold points inside the image only (first one outside: frame {frame}, track {track}); "
            "outside='clip' (--to-option outside=clip) moves them to the border"
        )
    canvas = tracks.points * (CANVAS / np.array([tracks.width, tracks.height], np.float64))
    canvas = np.clip(canvas, 0, CANVAS - 1 if decimals == 0 else CANVAS - 10.0**-decimals)
    if tracks.num_frames == 1:
        canvas = np.repeat(canvas, 2, axis=0)  # Tora's program needs two points
    width = len(str(tracks.num_tracks - 1))
    names = (
        [path]
        if tracks.num_tracks == 1
        else [path.with_name(f"{path.stem}_{index:0{width}d}{path.suffix}") for index in range(tracks.num_tracks)]
    )
    rows = canvas.transpose(1, 0, 2).reshape(-1, 2)
    lines = rows_text([Fixed(rows[:, 0], decimals), b",", Fixed(rows[:, 1], decimals), b"\n"]).split(b"\n")
    count = len(canvas)
    return {name: b"\n".join(lines[index * count : (index + 1) * count]) + b"\n" for index, name in enumerate(names)}


FORMAT = Format(
    name="tora",
    title="Tora trajectory",
    suffixes=(".txt",),
    units="256x256 canvas stretched over the image",
    frames=f"none in the file; Tora uses {FRAMES} at {FPS:g} fps",
    sniff=sniff,
    read=read,
    write=write,
)
