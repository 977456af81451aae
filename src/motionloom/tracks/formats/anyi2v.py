"""AnyI2V's JSON: boxes that move, with the points inside them.

Facts: FudanCVL/AnyI2V, trajectory files. Per object ``bounding_box`` [left, top, right, bottom], ``target_box`` (its
size alone counts: the size in the last frame), ``center_traj`` one [x, y] per frame (differences to the first count)
and ``query_point`` [[x, y], ...]; pixels of a 512x512 canvas, 16 frames at 8 fps. Boxes are edges and the program
divides them into cells, so coordinates are continuous: no half-pixel shift.
"""

from __future__ import annotations

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
from motionloom.tracks.tracks import Tracks

CANVAS = 512
FPS = 8.0
DECIMALS = 3
KEYS = ("bounding_box", "center_traj")


def sniff(source: Source) -> Detection | None:
    data = source.json_bytes
    if not data.startswith(b"{") or not all(f'"{key}"'.encode() in data for key in KEYS):
        return None
    return Detection("anyi2v", "JSON object with bounding_box and center_traj")


def read(source: Source, ask: Ask, *, points: str = "query") -> Tracks:
    """Tracks of the points that move with the boxes.

    Args:
        points: "query" the salient points (the centre of the box where there is none), "box" its four corners, "both".

    ``size`` is the canvas the file was drawn on, by default the program's 512x512; ``num_frames`` resamples the paths.
    """
    if points not in ("query", "box", "both"):
        raise InputError(f"points: found {points!r}, expected 'query', 'box' or 'both'")
    content = source.json
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in KEYS):
        raise source.error("expected lists bounding_box and center_traj, one entry per object")
    boxes = numbers(source, content["bounding_box"], "bounding_box", columns=4)
    targets = (
        boxes if not content.get("target_box") else numbers(source, content["target_box"], "target_box", columns=4)
    )
    paths, queries = content["center_traj"], content.get("query_point") or [[] for _ in boxes]
    if not (len(boxes) == len(targets) == len(paths)) or not isinstance(queries, list) or len(queries) != len(boxes):
        raise source.error("bounding_box, target_box, center_traj and query_point differ in their number of objects")
    if not len(boxes):
        raise source.error("found no object")
    if not all((corners[:, 2:] > corners[:, :2]).all() for corners in (boxes, targets)):
        raise source.error("a box has no area, expected [left, top, right, bottom]")
    centres, frames = _paths(source, paths, ask.num_frames)
    anchors = _anchors(source, boxes, queries, points)
    owner = np.repeat(np.arange(len(boxes)), [len(a) for a in anchors])
    afford(source, frames, len(owner))
    relative = np.concatenate(anchors)
    # The box moves with its path and grows evenly about it; a point keeps its place within the box.
    side, last_side = boxes[:, 2:] - boxes[:, :2], targets[:, 2:] - targets[:, :2]
    start = boxes[owner, :2] + relative * side[owner]
    growth = (relative - 0.5) * (last_side - side)[owner]
    positions = (centres - centres[:1]) if len(owner) == len(boxes) else (centres - centres[:1])[:, owner]
    positions += start
    if growth.any():
        positions += (np.arange(frames) / max(frames - 1, 1))[:, None, None] * growth
    return make_tracks(source, positions, None, ask.size or (CANVAS, CANVAS), ask.fps or FPS)


def _paths(source: Source, paths: list[Any], num_frames: int | None) -> tuple[NDArray[np.float64], int]:
    """Centres [T, objects, 2]; paths of another length are resampled to the longest."""
    arrays = key_paths(source, paths, "center_traj")
    if any(len(path) == 0 for path in arrays):
        raise source.error("center_traj: found an empty path")
    frames = num_frames or max(len(path) for path in arrays)
    afford(source, frames, len(arrays))
    if all(len(path) == len(arrays[0]) for path in arrays):
        stacked = np.stack(arrays, axis=1)
        return (stacked if len(stacked) == frames else by_index(stacked, frames)), frames
    return np.stack([by_index(path, frames) for path in arrays], axis=1), frames


def _anchors(source: Source, boxes: NDArray[np.float64], queries: list[Any], points: str) -> list[NDArray[np.float64]]:
    """Points of every object relative to its box, [n, 2], 0 to 1."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64)
    if points == "box":
        return [corners] * len(boxes)
    given = key_paths(source, queries, "query_point") if any(queries) else [np.zeros((0, 2))] * len(boxes)
    counts = [len(found) for found in given]
    owner = np.repeat(np.arange(len(boxes)), counts)
    start, side = boxes[owner, :2], boxes[owner, 2:] - boxes[owner, :2]
    relative = (np.concatenate(given) - start) / side
    outside = ((relative <= 0) | (relative >= 1)).any(axis=1)
    relative[outside] = 0.5  # as the program treats them
    own = np.split(relative, np.cumsum(counts)[:-1])
    own = [found if len(found) else np.full((1, 2), 0.5) for found in own]
    return own if points == "query" else [np.concatenate([found, corners]) for found in own]


def write(tracks: Tracks, path: Path, *, box: float = 64.0, hidden: str = "error") -> dict[Path, bytes]:
    """One object per track: a square box around its first position, moving without scaling, the track as its path.

    Args:
        box: side of the box in pixels of the 512x512 canvas.
        hidden: see `require_visible`.

    The published program wants exactly 16 frames; `Tracks.resample` first if you write for it.
    """
    require_tracks(tracks, "AnyI2V files")
    require_visible(tracks, "AnyI2V files", hidden)
    require_writable(tracks, "AnyI2V files")
    if not box > 0:
        raise InputError(f"box: found {box}, expected a side in pixels above zero")
    canvas = tracks.points * (CANVAS / np.array([tracks.width, tracks.height], np.float64))
    first = canvas[0]
    edges = np.concatenate([first - box / 2, first + box / 2], axis=1)
    columns: list[bytes | Fixed] = [b"["]
    for axis in range(4):
        columns += [Fixed(edges[:, axis], DECIMALS), b", " if axis < 3 else b"],\n"]
    box_text = rows_text(columns).removesuffix(b",\n")
    point_text = rows_text([b"[[", Fixed(first[:, 0], DECIMALS), b", ", Fixed(first[:, 1], DECIMALS), b"]],\n"])
    path_text = path_lists(canvas, DECIMALS)
    content = b'{"bounding_box": [%b],\n"target_box": [%b],\n"center_traj": [%b],\n"query_point": [%b]}\n'
    return {path: content % (box_text, box_text, path_text, point_text.removesuffix(b",\n"))}


FORMAT = Format(
    name="anyi2v",
    title="AnyI2V boxes",
    suffixes=(".json",),
    units=f"pixels of a {CANVAS}x{CANVAS} canvas",
    frames=f"one per path point (the program: 16) at {FPS:g} fps",
    sniff=sniff,
    read=read,
    write=write,
)
