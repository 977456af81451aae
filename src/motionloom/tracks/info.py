"""What a track file holds, in words: format and why, units, frames, visibility, extent, speeds, and what is missing."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from motionloom.errors import AmbiguousUnitsError
from motionloom.tracks.formats.base import Detection
from motionloom.tracks.formats.registry import detect, list_formats, make_ask, read_with
from motionloom.tracks.tracks import Tracks

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class Speeds:
    """Steps of visible points from frame to frame, in pixels per frame: median, 95th percentile, largest."""

    median: float
    high: float
    largest: float


@dataclass(frozen=True)
class TrackInfo:
    """The facts about a file that `describe` found.

    Args:
        path: the file, or the first of several.
        detection: format and why.
        title: the format's name for people.
        units: what the numbers in the file mean.
        frames_rule: what the format says about frame count and rate.
        tracks: the tracks, or None if the file needs more said about it.
        missing: the message that says what is needed, if tracks are missing.
        visible_share: part of all points that is visible, 0 to 1.
        outside_share: part of the visible points that is off the canvas, 0 to 1.
        bounds: smallest x, y and largest x, y of visible points, or None.
        speeds: see `Speeds`, or None without two visible frames in a row.
        hidden_first: tracks hidden in the first frame.
        notes: what the reader assumed, and what deserves a look.
    """

    path: Path
    detection: Detection
    title: str
    units: str
    frames_rule: str
    tracks: Tracks | None = None
    missing: str | None = None
    visible_share: float = 0.0
    outside_share: float = 0.0
    bounds: tuple[float, float, float, float] | None = None
    speeds: Speeds | None = None
    hidden_first: int = 0
    notes: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The facts as lines of text."""
        rows = [
            ("file", str(self.path)),
            ("format", f"{self.title} ({self.detection.format}): {self.detection.reason}"),
        ]
        rows += [("units", self.units), ("frames", self.frames_rule)]
        if self.tracks is not None:
            rows[-1] = ("frames", f"{self.tracks.num_frames} at {self.tracks.fps:g} fps, {self.tracks.duration:.2f} s")
            rows.append(("canvas", f"{self.tracks.width}x{self.tracks.height}"))
            rows.append(("tracks", str(self.tracks.num_tracks)))
        if self.tracks is not None and self.tracks.num_tracks:
            late = f", {self.hidden_first} tracks hidden at the start" if self.hidden_first else ""
            rows.append(("visible", f"{self.visible_share:.1%} of points{late}"))
            rows.append(("off canvas", f"{self.outside_share:.1%} of visible points"))
        if self.bounds is not None:
            left, top, right, bottom = self.bounds
            rows.append(("range", f"x {left:.1f} to {right:.1f}, y {top:.1f} to {bottom:.1f}"))
        if self.speeds is not None:
            speeds = self.speeds
            rows.append(
                ("speed", f"median {speeds.median:.2f}, 95% {speeds.high:.2f}, largest {speeds.largest:.2f} px/frame")
            )
        if self.missing is not None:
            rows.append(("needed", self.missing))
        rows += [("note", note) for note in self.notes]
        return [f"{name:<11}{value}" for name, value in rows]

    def as_dict(self) -> dict[str, Any]:
        """The facts as JSON values, without the tracks themselves."""
        tracks = self.tracks
        return {
            "path": str(self.path),
            "format": self.detection.format,
            "reason": self.detection.reason,
            "needs": list(self.detection.needs),
            "units": self.units,
            "missing": self.missing,
            "num_frames": tracks.num_frames if tracks else None,
            "num_tracks": tracks.num_tracks if tracks else None,
            "fps": tracks.fps if tracks else None,
            "size": list(tracks.size) if tracks else None,
            "visible_share": self.visible_share if tracks else None,
            "outside_share": self.outside_share if tracks else None,
            "hidden_first": self.hidden_first if tracks else None,
            "bounds": list(self.bounds) if self.bounds else None,
            "speeds": vars(self.speeds) if self.speeds else None,
            "notes": list(self.notes),
        }


def describe(path: PathLike | Sequence[PathLike], *, format: str | None = None, **arguments: Any) -> TrackInfo:
    """The facts about a track file. Arguments as of `read_tracks`.

    A file that does not say all (canvas size, rate, ...) is described as far as it goes; `TrackInfo.missing` tells
    what to give.

    Raises:
        FileFormatError: unknown, damaged or hostile content.
        InputError: an argument that makes no sense.
    """
    first = Path(path if isinstance(path, str | os.PathLike) else next(iter(path)))
    detection = Detection(format, "as said by format=") if format is not None else detect(first)
    ask, options = make_ask(arguments)
    missing, tracks = None, None
    try:
        tracks = read_with(path, ask, format=format, **options)
    except AmbiguousUnitsError as problem:
        missing = str(problem).removeprefix(f"{first}: ")
    known = next(entry for entry in list_formats() if entry.name == detection.format)
    facts = _facts(tracks) if tracks is not None else {}
    notes = (*ask.notes, *(_warnings(tracks, facts) if tracks is not None else ()))
    return TrackInfo(
        first, detection, known.title, known.units, known.frames, tracks, missing, **facts, notes=tuple(notes)
    )


def _facts(tracks: Tracks) -> dict[str, Any]:
    seen = tracks.visible
    points = tracks.points[seen]
    both = seen[1:] & seen[:-1]
    steps = np.hypot(*np.moveaxis(np.diff(tracks.points, axis=0), -1, 0))[both]
    speeds = None
    if steps.size:
        median, high, largest = (float(value) for value in np.quantile(steps, (0.5, 0.95, 1.0)))
        speeds = Speeds(median, high, largest)
    corners = np.concatenate([points.min(axis=0), points.max(axis=0)]) if len(points) else None
    return {
        "visible_share": float(seen.mean()) if seen.size else 0.0,
        "outside_share": float((~tracks.inside()[seen]).mean()) if len(points) else 0.0,
        "bounds": tuple(float(value) for value in corners) if corners is not None else None,
        "speeds": speeds,
        "hidden_first": int((~seen[0]).sum()),
    }


def _warnings(tracks: Tracks, facts: dict[str, Any]) -> list[str]:
    notes: list[str] = []
    if tracks.num_tracks == 0:
        notes.append("no track: the model moves as it likes")
    if facts["outside_share"] > 0.5:
        notes.append("most points lie off the canvas: is the size right, as height then width?")
    bounds: tuple[float, ...] | None = facts["bounds"]
    if bounds is not None and max(bounds[2] - bounds[0], bounds[3] - bounds[1]) <= 2.0 and max(map(abs, bounds)) <= 2.0:
        notes.append("all points lie in the top left corner: are the units pixels?")
    if facts["hidden_first"]:
        notes.append("methods take a track's look from its first frame; tracks hidden there may be left out")
    speeds = facts["speeds"]
    if speeds is not None and speeds.largest > 0.25 * min(tracks.size):
        notes.append("a point jumps by more than a quarter of the image in one frame")
    if facts["visible_share"] == 0.0 and tracks.num_tracks:
        notes.append("no point is visible: the tracks do nothing")
    return notes
