"""Track files of every tool in the field: recognised by content, read to `Tracks`, written back.

One file per format; ``registry.py`` knows them all. To add one, write a file with a ``FORMAT`` and name it there.
"""

from motionloom.tracks.formats.ati import reference_frames
from motionloom.tracks.formats.ati_list import AtiEntry, read_ati_list, write_ati_list
from motionloom.tracks.formats.base import Detection, Format
from motionloom.tracks.formats.registry import detect, list_formats, read_motion, read_tracks, write_tracks
from motionloom.tracks.formats.tapvid import clip_names

__all__ = [
    "AtiEntry",
    "Detection",
    "Format",
    "clip_names",
    "detect",
    "list_formats",
    "read_ati_list",
    "read_motion",
    "read_tracks",
    "reference_frames",
    "write_ati_list",
    "write_tracks",
]
