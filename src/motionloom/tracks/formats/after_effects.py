"""After Effects keyframe text: what its clipboard holds for layers with a tracked position.

A header with rate and source size, then per layer a ``Transform Position`` (or effect point) block with rows of frame,
x and y. Pixels of the source; the corner of the image is (0, 0), so positions are continuous: no half-pixel shift.
Between keys positions are linear, before the first and after the last they hold, as in After Effects.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.formats.base import (
    Ask,
    Detection,
    Format,
    afford,
    make_tracks,
    require_tracks,
    require_visible,
    require_writable,
    stretch,
)
from motionloom.tracks.formats.source import Source
from motionloom.tracks.formats.text import Fixed, parse_numbers, rows_text
from motionloom.tracks.tracks import MAX_FRAMES, Tracks

KIND = "After Effects keyframe files"
DECIMALS = 4
HEADER = "Adobe After Effects 8.0 Keyframe Data"
_HEAD = re.compile(rb"Adobe After Effects [\d.]+ Keyframe Data")
_BLOCK = re.compile(
    rb"^(?:Transform\tPosition|Effects\t)[^\n]*\n\tFrame\tX pixels\tY pixels([^\n]*)\n((?:\t[^\n]*\n)*)", re.MULTILINE
)


def sniff(source: Source) -> Detection | None:
    if not source.looks_like_text or not _HEAD.match(source.head.lstrip(b"\xef\xbb\xbf \r\n\t")):
        return None
    return Detection("after-effects", "text starting as After Effects keyframe data")


def read(source: Source, ask: Ask) -> Tracks:
    """One track per position block. ``size`` and ``fps`` of the caller override the header's."""
    data = source.lines
    fps = ask.fps or _header(source, data, "Units Per Second")
    size = ask.size or (
        int(_header(source, data, "Source Height")),
        int(_header(source, data, "Source Width")),
    )
    blocks = _BLOCK.findall(data if data.endswith(b"\n") else data + b"\n")
    if not blocks or not all(rows for _, rows in blocks):
        raise source.error("found no position rows; expected blocks of Frame, X pixels, Y pixels")
    keys = _keys(source, blocks)
    last = max(int(key[-1, 0]) for key in keys)
    afford(source, last + 1, len(keys))
    return stretch(make_tracks(source, _frames(keys, last + 1), None, size, fps), ask.num_frames)


def _header(source: Source, data: bytes, name: str) -> float:
    found = re.search(rb"^\t" + name.encode() + rb"\t([\d.]+)[ \t]*$", data, re.MULTILINE)
    try:
        value = float(found[1]) if found else 0.0
    except ValueError:
        value = 0.0
    if not 0 < value < 1e6:
        raise source.error(f"the header lacks a proper {name!r}")
    return value


def _keys(source: Source, blocks: list[tuple[bytes, bytes]]) -> list[NDArray[np.float64]]:
    """Frame, x, y of every key: [K, 3] per block, frames rising."""
    keys: list[NDArray[np.float64]] = [np.zeros((0, 3))] * len(blocks)
    for header in {header for header, _ in blocks}:  # with or without Z pixels
        chosen = [index for index, (other, _) in enumerate(blocks) if other == header]
        # Rows of all blocks alike become one list of numbers: block by block takes seconds for thousands of them.
        for index, key in zip(chosen, _table(source, [blocks[index][1] for index in chosen]), strict=True):
            keys[index] = key
    return keys


def _table(source: Source, bodies: list[bytes]) -> list[NDArray[np.float64]]:
    joined = b"".join(bodies)
    if b"\n\t\t" in b"\n" + joined:  # a position without keys has no frame number
        joined = (b"\n" + joined).replace(b"\n\t\t", b"\n\t0\t")[1:]
    flat = joined.replace(b"\t\n", b"\n").replace(b"\n\t", b"\t").strip(b"\t\n ").replace(b"\t", b",")
    values = parse_numbers(source, flat, "keyframes")
    counts = [body.count(b"\n") for body in bodies]
    width, rest = divmod(len(values), sum(counts))
    if rest or not 3 <= width <= 4:
        raise source.error("position rows differ in their number of columns, expected frame, x, y and sometimes z")
    table = values.reshape(-1, width)[:, :3]
    frames = table[:, 0]
    starts = np.zeros(len(table), np.bool_)
    starts[np.cumsum([0, *counts[:-1]])] = True
    if not (frames < MAX_FRAMES).all():
        raise source.error(f"found frame {frames.max():.0f}, expected frames below {MAX_FRAMES}")
    rising = (np.diff(frames) > 0) | starts[1:]
    if not (frames >= 0).all() or not (frames == np.floor(frames)).all() or not rising.all():
        raise source.error("frame numbers have to be whole, zero or more, and rising")
    return np.split(table, np.cumsum(counts)[:-1])


def _frames(keys: list[NDArray[np.float64]], frames: int) -> NDArray[np.float64]:
    if all(len(key) == frames for key in keys):
        return np.stack([key[:, 1:] for key in keys], axis=1)
    times = np.arange(frames)
    paths = [np.stack([np.interp(times, key[:, 0], key[:, axis]) for axis in (1, 2)], axis=1) for key in keys]
    return np.stack(paths, axis=1)


def write(tracks: Tracks, path: Path, *, hidden: str = "error") -> dict[Path, bytes]:
    """One position block per track, a key per frame. ``hidden``: see `require_visible`."""
    require_tracks(tracks, KIND)
    require_visible(tracks, KIND, hidden)
    require_writable(tracks, KIND)
    head = (
        f"{HEADER}\n\n\tUnits Per Second\t{tracks.fps:.10g}\n\tSource Width\t{tracks.width}\n"
        f"\tSource Height\t{tracks.height}\n\tSource Pixel Aspect Ratio\t1\n\tComp Pixel Aspect Ratio\t1\n"
    )
    block = b"\nTransform\tPosition\n\tFrame\tX pixels\tY pixels\tZ pixels\t\n"
    rows = tracks.points.transpose(1, 0, 2).reshape(-1, 2)
    frame = np.tile(np.arange(tracks.num_frames), tracks.num_tracks)
    text = rows_text(
        [
            np.where(frame == 0, block, b""),
            b"\t",
            Fixed(frame),
            b"\t",
            Fixed(rows[:, 0], DECIMALS),
            b"\t",
            Fixed(rows[:, 1], DECIMALS),
            b"\t0\t\n",
        ]
    )
    return {path: head.encode() + text + b"\n\nEnd of Keyframe Data\n"}


FORMAT = Format(
    name="after-effects",
    title="After Effects keyframes",
    suffixes=(".ae.txt",),
    units="pixels of the source",
    frames="any number, rate in the header",
    sniff=sniff,
    read=read,
    write=write,
)
