"""Tracks as a drawing: one editable instruction for each, that compiles to the same points again."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.tracks.instructions import MAX_COORDINATE, MAX_KEYS
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

MAX_TRACKS = 2_000
"""Tracks that become instructions; a page with more of them can no longer be drawn on."""
MAX_POINTS = 400_000
"""Control points in all, so that the document stays within what is accepted of one."""
TOLERANCE = 1e-4
"""Pixels along an axis by which a control point may be off the straight way, in time, between those that are kept."""
_DIGITS = 4


def motion_of_tracks(
    tracks: Tracks, size: tuple[int, int], *, fps: float | None = None, num_frames: int | None = None
) -> tuple[Motion, list[str]]:
    """A motion whose visible points are those of ``tracks`` to 1e-3 pixels, and notes on what was done.

    A track that moves becomes a polyline with a frame at each control point that is needed; all that stay where they
    are become single points, in one instruction for each span of time in which they are seen. A track that is seen
    several times is one instruction for each.

    Args:
        size: (height, width) of the canvas; the tracks are scaled to it.
        fps: rate of the motion. The points keep their speed and their places: only frames are counted anew.
        num_frames: of the motion; None: as long as the tracks.

    Raises:
        InputError: positions that no drawing holds.
    """
    notes: list[str] = []
    scale = np.array([size[1] / tracks.width, size[0] / tracks.height])
    points = np.round(tracks.points.astype(np.float64) * scale, _DIGITS)
    visible = tracks.visible
    if points.size and visible.any() and np.abs(points[visible]).max() > MAX_COORDINATE:
        raise InputError(f"tracks: found positions beyond {MAX_COORDINATE:g} pixels, expected them near the picture")
    rate = tracks.fps if fps is None else float(fps)
    ratio = rate / tracks.fps
    chosen = _chosen(tracks, notes)
    moving: list[dict[str, Any]] = []
    still: dict[tuple[int, int], list[list[float]]] = {}
    split = 0
    for track in chosen:
        runs = _runs(visible[:, track])
        split += len(runs) > 1
        for part, (first, last) in enumerate(runs):
            way = points[first : last + 1, track]
            if np.ptp(way, axis=0).max() <= TOLERANCE:
                still.setdefault((first, last), []).append([float(way[0, 0]), float(way[0, 1])])
                continue
            of = f" ({part + 1} of {len(runs)})" if len(runs) > 1 else ""
            kept = key_points(way, TOLERANCE)
            moving.append(
                {
                    "kind": "path",
                    "name": f"Track {track + 1}{of}",
                    "curve": "polyline",
                    "points": [[float(way[k, 0]), float(way[k, 1]), (first + k) * ratio] for k in kept],
                    **_span(first, last, tracks.num_frames, ratio),
                }
            )
    moving.extend(_still(still, tracks.num_frames, ratio))
    hidden = len(chosen) - int(visible[:, chosen].any(axis=0).sum())
    if split:
        notes.append(f"{_count(split, 'track')} seen several times: one instruction for each time")
    if hidden:
        notes.append(f"{_count(hidden, 'track')} never visible: left out")
    length = num_frames or max(1, int(np.ceil((tracks.num_frames - 1) * ratio - 1e-6)) + 1)
    if num_frames is not None and (tracks.num_frames - 1) * ratio > num_frames - 1 + 1e-6:
        notes.append(
            f"the tracks last {(tracks.num_frames - 1) * ratio + 1:g} frames, the motion {num_frames}: what comes "
            "later is kept and seen once the motion is made longer"
        )
    document = {
        "format": "motionloom.motion",
        "version": 1,
        "canvas": {"width": size[1], "height": size[0]},
        "num_frames": length,
        "fps": rate,
        "instructions": moving,
        # Visibility is said by the tracks; nothing here has an area to cover anything.
        "occlusion": True,
    }
    return Motion.parse(document, source="tracks"), notes


def key_points(way: NDArray[np.float64], tolerance: float) -> list[int]:
    """Indices of the points of a way [T, 2] that are needed: between two that follow each other, every point lies
    within ``tolerance`` along each axis of the straight way passed at even speed.

    From each kept point on, the velocities that meet all later points form an interval for each axis that only gets
    narrower; the last point whose own velocity lies in it is kept.
    """
    kept, last = [0], len(way) - 1
    ways: list[list[float]] = way.tolist()
    here = 0
    while here < last:
        x0, y0 = ways[here]
        low_x = low_y = -np.inf
        high_x = high_y = np.inf
        best = here + 1
        for there in range(here + 1, last + 1):
            gap = there - here
            dx, dy = ways[there][0] - x0, ways[there][1] - y0
            if low_x <= dx / gap <= high_x and low_y <= dy / gap <= high_y:
                best = there
            low_x, high_x = max(low_x, (dx - tolerance) / gap), min(high_x, (dx + tolerance) / gap)
            low_y, high_y = max(low_y, (dy - tolerance) / gap), min(high_y, (dy + tolerance) / gap)
            if low_x > high_x or low_y > high_y:
                break
        here = best
        kept.append(here)
    return kept


def _chosen(tracks: Tracks, notes: list[str]) -> list[int]:
    """The tracks that become instructions: all, or an even choice of too many."""
    count = tracks.num_tracks
    most = max(1, min(MAX_TRACKS, MAX_POINTS // max(1, tracks.num_frames)))
    if count <= most:
        return list(range(count))
    notes.append(
        f"{count} tracks are more than can be drawn: {most} of them, evenly chosen, are here; the command line "
        "generates from all"
    )
    return [index * count // most for index in range(most)]


def _runs(seen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of each span in which a track is visible."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], seen, [False]]).astype(np.int8)))
    return [(int(first), int(after) - 1) for first, after in edges.reshape(-1, 2)]


def _span(first: int, last: int, num_frames: int, ratio: float) -> dict[str, Any]:
    """When an instruction is there; nothing to say where that is always."""
    span: dict[str, Any] = {}
    if first > 0:
        span |= {"start": first * ratio, "before": "vanish"}
    if last < num_frames - 1:
        span |= {"end": last * ratio, "after": "vanish"}
    # Without a second point there is no other frame that could say when it ends.
    if first == last:
        span |= {"start": first * ratio, "end": last * ratio}
    return span


def _still(groups: dict[tuple[int, int], list[list[float]]], num_frames: int, ratio: float) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for (first, last), places in groups.items():
        for begin in range(0, len(places), MAX_KEYS):
            part = places[begin : begin + MAX_KEYS]
            name = "Static point" if len(part) == 1 else f"{len(part)} static points"
            found.append({"kind": "static", "name": name, "points": part, **_span(first, last, num_frames, ratio)})
    return found


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
