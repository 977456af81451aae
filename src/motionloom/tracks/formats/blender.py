"""Blender movie clip tracks as CSV with the columns track, frame, x, y, mute.

The columns are ours (docs/formats.md has a script that writes them from Blender). ``x`` and ``y`` are
``MovieTrackingMarker.co``: parts of the image, y upwards from the bottom edge, edge to edge, so positions are
continuous: no half-pixel shift. A muted or missing marker is a hidden point. A first line
``# width=1920 height=1080 fps=24`` says what Blender's markers do not; without it we ask.
"""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError
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
from motionloom.tracks.formats.source import Source
from motionloom.tracks.formats.text import Fixed, parse_numbers, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

KIND = "Blender tracks"
COLUMNS = ("track", "frame", "x", "y", "mute")
HEADER = b"track,frame,x,y,mute"
DECIMALS = 8
FIRST_FRAME = 1
_FACTS = re.compile(rb"#\s*width=(\d+)\s+height=(\d+)\s+fps=([\d.]+)\s*$")


def sniff(source: Source) -> Detection | None:
    if not source.looks_like_text:
        return None
    lines = [line.strip() for line in source.head.removeprefix(b"\xef\xbb\xbf").splitlines()[:3]]
    header = next((line for line in lines if line and not line.startswith(b"#")), b"")
    if header.lower().replace(b" ", b"") != HEADER:
        return None
    known = bool(_FACTS.match(lines[0]))
    return Detection("blender", "CSV with the columns " + ", ".join(COLUMNS), () if known else ("size", "fps"))


def read(source: Source, ask: Ask, *, first_frame: int | None = None) -> Tracks:
    """Tracks in the order in which their names first appear.

    Args:
        first_frame: frame number of the first frame; by default the smallest in the file.
    """
    facts = _FACTS.match(source.head.removeprefix(b"\xef\xbb\xbf").split(b"\n", 1)[0].strip())
    stored = (int(facts[2]), int(facts[1])) if facts else None
    size = ask.size or stored or ask.need_size(source, KIND)
    fps = ask.fps or (_rate(source, facts[3]) if facts else None) or ask.need_fps(source, KIND)
    track, numbers = _rows(source)
    frame, x, y, mute = numbers.T
    if not len(track):
        raise source.error("found no marker")
    if not np.isfinite(frame).all():
        raise source.error("found a frame that is not a finite number, expected whole numbers")
    start = int(frame.min()) if first_frame is None else first_frame
    index = frame - start
    if not (index == np.floor(index)).all() or index.min() < 0 or index.max() >= MAX_FRAMES:
        raise source.error(f"found frames {frame.min():g} to {frame.max():g}, expected whole numbers from {start}")
    frames, count = int(index.max()) + 1, int(track.max()) + 1
    afford(source, frames, count)
    rows = index.astype(np.int64)
    points = np.zeros((frames, count, 2))
    visible = np.zeros((frames, count), np.bool_)
    points[rows, track] = np.stack([x * size[1], (1.0 - y) * size[0]], axis=1)
    visible[rows, track] = mute == 0
    return stretch(make_tracks(source, points, visible, size, fps), ask.num_frames)


def _rate(source: Source, text: bytes) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = 0.0
    if not 0 < rate < 1e6:
        raise source.error(f"the first line has fps={text.decode()}, expected a number above zero")
    return rate


def _rows(source: Source) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Track index [R] and the columns frame, x, y, mute [R, 4]."""
    data = source.lines
    while data.startswith((b"#", b"\n")):
        data = data.partition(b"\n")[2]
    body = data.partition(b"\n")[2].strip()
    if not body.translate(None, b"0123456789.,-\n+eE "):
        table = parse_numbers(source, body.replace(b"\n", b","), "markers")
        if len(table) == 5 * (body.count(b"\n") + 1):
            table = table.reshape(-1, 5)
            names = table[:, 0]
            # Markers of a track stand together, so the order of first appearance follows from the changes of name.
            changes = np.flatnonzero(np.concatenate([[True], names[1:] != names[:-1]]))
            if len(np.unique(names[changes])) == len(changes):
                return np.repeat(np.arange(len(changes)), np.diff(changes, append=len(names))), table[:, 1:]
    return _named_rows(source, body)


def _named_rows(source: Source, body: bytes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    order: dict[str, int] = {}
    track: list[int] = []
    values: list[list[float]] = []
    _ = source.text  # says where it stops being text, if that is the trouble
    try:
        for number, row in enumerate(csv.reader(io.StringIO(body.decode(), newline=""), strict=True), 1):
            if not row:
                continue
            if len(row) != len(COLUMNS):
                raise source.error(f"marker {number}: found {len(row)} columns, expected {', '.join(COLUMNS)}")
            mute = {"true": "1", "false": "0"}.get(row[4].strip().lower(), row[4])
            values.append([float(cell) for cell in (*row[1:4], mute)])
            track.append(order.setdefault(row[0], len(order)))
    except (csv.Error, ValueError) as problem:
        if isinstance(problem, FileFormatError):
            raise
        raise source.error(f"marker {len(track) + 1}: not track, frame, x, y, mute ({str(problem)[:60]})") from None
    return np.asarray(track, np.int64), np.asarray(values, np.float64).reshape(-1, 4)


def write(tracks: Tracks, path: Path) -> dict[Path, bytes]:
    """One row per track and frame, track by track; frames count from 1 as in Blender."""
    require_tracks(tracks, KIND)
    require_writable(tracks, KIND)
    rows = tracks.points.transpose(1, 0, 2).reshape(-1, 2).astype(np.float64)
    head = f"# width={tracks.width} height={tracks.height} fps={tracks.fps:.10g}\n".encode() + HEADER + b"\n"
    text = rows_text(
        [
            Fixed(np.repeat(np.arange(tracks.num_tracks), tracks.num_frames)),
            b",",
            Fixed(np.tile(np.arange(tracks.num_frames) + FIRST_FRAME, tracks.num_tracks)),
            b",",
            Fixed(rows[:, 0] / tracks.width, DECIMALS),
            b",",
            Fixed(1.0 - rows[:, 1] / tracks.height, DECIMALS),
            np.where(tracks.visible.T.reshape(-1), b",0\n", b",1\n"),
        ]
    )
    return {path: head + text}


FORMAT = Format(
    name="blender",
    title="Blender tracks CSV",
    suffixes=(".csv",),
    units="parts of the image, y upwards",
    frames="any number, from 1; rate in the first line",
    sniff=sniff,
    read=read,
    write=write,
)
