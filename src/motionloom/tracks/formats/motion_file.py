"""motionloom's own ``*.motion.json``: what a person edits. Reading it as tracks compiles it."""

from __future__ import annotations

from motionloom.tracks.formats.base import Ask, Detection, Format
from motionloom.tracks.formats.source import Source
from motionloom.tracks.tracks import Tracks

KIND = b'"motionloom.motion"'


def sniff(source: Source) -> Detection | None:
    data = source.json_bytes
    if not data.startswith(b"{") or KIND not in data:
        return None
    return Detection("motion", 'JSON object with format "motionloom.motion"')


def read(source: Source, ask: Ask) -> Tracks:
    """The compiled motion. ``size`` scales its canvas, ``num_frames`` and ``fps`` are as in `Motion.compile`."""
    from motionloom.tracks.motion import Motion

    return Motion.load(source.path).compile(ask.size, ask.num_frames, ask.fps)


FORMAT = Format(
    name="motion",
    title="motionloom motion",
    suffixes=(".motion.json",),
    units="pixels of its canvas",
    frames="its own; compiled to any",
    sniff=sniff,
    read=read,
    write=None,
)
