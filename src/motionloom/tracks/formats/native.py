"""motionloom's own tracks file: safetensors with the canvas and the rate in its metadata. Lossless.

Tensors ``points`` float32 [T, N, 2] and ``visible`` bool [T, N]; metadata ``format`` = "motionloom.tracks",
``version`` = "1", ``height``, ``width``, ``fps``.
"""

from __future__ import annotations

import json
from pathlib import Path

from motionloom.tracks.formats.base import Ask, Detection, Format, make_tracks, shape_text, stretch
from motionloom.tracks.formats.source import MAX_ARRAY_BYTES, MIB, Source
from motionloom.tracks.tracks import Tracks

KIND = "motionloom.tracks"
VERSION = 1
MAX_HEADER = MIB


def sniff(source: Source) -> Detection | None:
    if source.head[8:9] != b"{" or KIND.encode() not in source.head:
        return None
    return Detection("motionloom", f'safetensors with "{KIND}" in its metadata')


def read(source: Source, ask: Ask) -> Tracks:
    """Tracks exactly as they were written. ``size`` and ``fps`` of the caller override the file's."""
    from safetensors import SafetensorError, safe_open

    if source.size > MAX_ARRAY_BYTES:
        raise source.error(f"found {source.size} bytes, expected at most {MAX_ARRAY_BYTES}")
    if int.from_bytes(source.head[:8], "little") > MAX_HEADER:
        raise source.error(f"the safetensors header declares more than {MAX_HEADER} bytes")
    try:
        with safe_open(source.path, "numpy") as tensors:
            facts = tensors.metadata() or {}
            found = set(tensors.keys())
            arrays = {name: tensors.get_tensor(name) for name in ("points", "visible") if name in found}
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as problem:
        raise source.error(f"damaged safetensors file ({str(problem)[:100]})") from None
    version = facts.get("version", "")
    if facts.get("format") != KIND or version != str(VERSION):
        raise source.error(
            f"found format {facts.get('format')!r} version {version!r}, expected {KIND!r} version {VERSION}; "
            "a newer motionloom may read it"
        )
    if len(arrays) < 2:
        raise source.error(f"found tensors {sorted(found)[:5]}, expected 'points' and 'visible'")
    points, visible = arrays["points"], arrays["visible"]
    if points.ndim != 3 or points.shape[-1] != 2 or points.dtype != "float32":
        raise source.error(f"points: found {points.dtype} {shape_text(points.shape)}, expected float32 [T, N, 2]")
    if visible.dtype != "bool" or visible.shape != points.shape[:2]:
        raise source.error(f"visible: found {visible.dtype} {shape_text(visible.shape)}, expected bool [T, N]")
    try:
        size = ask.size or (int(facts["height"]), int(facts["width"]))
        fps = ask.fps or float(facts["fps"])
    except (KeyError, ValueError):
        raise source.error("the metadata lacks a proper height, width or fps") from None
    return stretch(make_tracks(source, points, visible, size, fps), ask.num_frames)


def write(tracks: Tracks, path: Path) -> dict[Path, bytes]:
    from safetensors.numpy import save

    facts = {
        "format": KIND,
        "version": str(VERSION),
        "height": str(tracks.height),
        "width": str(tracks.width),
        "fps": json.dumps(tracks.fps),
    }
    return {path: save({"points": tracks.points, "visible": tracks.visible}, facts)}


FORMAT = Format(
    name="motionloom",
    title="motionloom tracks",
    suffixes=(".tracks.safetensors", ".safetensors"),
    units="continuous pixels of the size in its metadata",
    frames="any number, any rate, both in the file",
    sniff=sniff,
    read=read,
    write=write,
)
