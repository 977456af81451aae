"""What a tracker is, and `track`, which runs one on whatever holds a video."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.media import Clip
from motionloom.media.stream import Frames, open_frames
from motionloom.tracks.tracks import Tracks

Progress = Callable[[int, int], None]


@runtime_checkable
class Tracker(Protocol):
    """Follows points through a video.

    Attributes:
        name: as in `list_trackers`; licence: of its code and weights.
    """

    @property
    def name(self) -> str: ...
    @property
    def licence(self) -> str: ...
    def track(self, frames: Frames, queries: NDArray[np.float64], *, on_progress: Progress | None = None) -> Tracks:
        """Tracks of queries [N, 3] of (frame, x, y), each followed to both ends, on the video's canvas and frames.

        Every query is visible on its frame, at exactly its place.
        """
        ...


def track(
    video: Frames | Clip | NDArray[np.uint8] | str | os.PathLike[str],
    queries: NDArray[Any] | float | None = None,
    *,
    fps: float | None = None,
    refine: bool = True,
    tracker: str | Tracker = "offline",
    on_progress: Progress | None = None,
) -> Tracks:
    """Follow points through a video.

    Args:
        video: a clip, uint8 [T, H, W, 3] RGB or [T, H, W] grey, a file, or frames; files too long to hold are read
            piece by piece.
        queries: [N, 3] of (frame, x, y): where each point is on one frame; it is followed from there to both ends.
            Or a number: the spacing in pixels of a grid of points on the first frame. None: 16 points along the
            longer side.
        fps: of the tracks; a clip's own unless given, 16 for an array.
        refine: register each point to its own frame; off is faster and drifts under rotation and zoom. For the default
            tracker.
        tracker: a name of `list_trackers`, or what `load_tracker` gives.
        on_progress: called with (frames done, frames in all).

    Returns:
        Tracks on the video's canvas. A point is visible while it is inside, is followed consistently and looks like
        itself. One that has left keeps its last position, a hidden one has the position where the flow takes it
        (learned trackers: that they guess).

    Raises:
        InputError: not such a video, or queries outside of it.
        MissingDependencyError, CheckpointError: of a learned tracker.
    """
    frames = open_frames(video, fps=16.0 if fps is None else fps)
    query = _queries(queries, frames)
    if tracker == "offline":
        from motionloom.tracks.trackers.offline import OfflineTracker

        chosen: Tracker = OfflineTracker(refine=refine)
    elif isinstance(tracker, str):
        from motionloom.tracks.trackers.catalog import load_tracker

        chosen = load_tracker(tracker)
    else:
        chosen = tracker
    if len(query) == 0:
        found = Tracks.empty(frames.num_frames, frames.size, frames.fps)
    else:
        found = chosen.track(frames, query, on_progress=on_progress)
    return found if fps is None else replace(found, fps=fps)


def grid(size: tuple[int, int], spacing: float, frame: int = 0) -> NDArray[np.float64]:
    """Queries [N, 3] of (frame, x, y) on a regular grid, centred on a canvas of (height, width)."""
    if not (np.isfinite(spacing) and spacing > 0):
        raise InputError(f"spacing: found {spacing}, expected pixels above zero")
    height, width = size
    axes = [
        (np.arange(max(1, int(side // spacing))) + 0.5) * (side / max(1, int(side // spacing)))
        for side in (height, width)
    ]
    y, x = np.meshgrid(*axes, indexing="ij")
    return np.stack([np.full(x.size, float(frame)), x.ravel(), y.ravel()], axis=1).astype(np.float64)


def _queries(queries: NDArray[Any] | float | None, frames: Frames) -> NDArray[np.float64]:
    count, (height, width) = frames.num_frames, frames.size
    if queries is None:
        queries = max(height, width) / 16
    if isinstance(queries, (int, float)):
        query = grid((height, width), float(queries))
    else:
        query = np.asarray(queries, np.float64)
    if query.size == 0:
        return np.zeros((0, 3))
    if query.ndim != 2 or query.shape[1] != 3 or not np.isfinite(query).all():
        raise InputError(f"queries: found shape {query.shape}, expected finite [N, 3] of (frame, x, y)")
    frame = query[:, 0]
    if (frame != np.floor(frame)).any() or frame.min() < 0 or frame.max() >= count:
        raise InputError(f"queries: expected whole frame numbers from 0 to {count - 1}")
    out = (query[:, 1] < 0) | (query[:, 1] > width) | (query[:, 2] < 0) | (query[:, 2] > height)
    if out.any():
        number = int(np.argmax(out))
        raise InputError(
            f"queries: point {number} at ({query[number, 1]:g}, {query[number, 2]:g}) "
            f"is outside the {width}x{height} video"
        )
    return query
