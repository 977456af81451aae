"""Videos of the worst cases, small enough to lie inside the page: tracks drawn over them, the true video beside.

Green is where points were asked to go. Each point found in the video is drawn in a colour for its mean error: blue
where it is right, through yellow to red at a tenth of the picture's diagonal.
"""

from __future__ import annotations

import base64
import io
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from motionloom.draw import Colour, Style, draw
from motionloom.errors import MotionloomError
from motionloom.evaluate.report.columns import Results
from motionloom.evaluate.run import Row, Run, load_tracks
from motionloom.media import Clip
from motionloom.media.stream import Frames, open_frames, windows
from motionloom.tracks.tracks import Tracks

SIDE = 288
"""Longer side of an embedded video, pixels."""
FRAMES = 96
"""Longer videos are shown with some frames left out."""
TRACKS = 24
"""More tracks than this are thinned out: a drawing of hundreds shows none of them."""
QUALITY = 62
WORST = 0.1
"""Mean error, as a share of the diagonal, that is drawn red."""

WANTED: Colour = (64, 214, 110)
_SCALE = np.array([(70, 150, 255), (120, 205, 250), (255, 214, 64), (255, 140, 50), (235, 50, 60)], np.float64)


@dataclass(frozen=True)
class _Video:
    frames: NDArray[np.uint8]
    fps: float
    index: NDArray[np.int64]
    num_frames: int


def players(
    results: Results,
    *,
    max_bytes: int,
    cases: int = 12,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[dict[str, Any]]:
    """Players of the worst cases: for each, the true video and that of every run, encoded and in base64.

    Args:
        max_bytes: of all of them as text in the page; cases that no longer fit are left out.
        cases: most that are shown.

    Returns:
        {"case": number, "why": [runs whose worst cases it is among], "panels": [{"run": number or None for the true
        video, "row", "seed", "value", "video", "poster", "width", "height", "fps", "frames"} or with "error" instead of
        a video that could not be read]}.
    """
    chosen = worst_cases(results, cases)
    found: list[dict[str, Any]] = []
    room = max_bytes
    for step, (case, why) in enumerate(chosen):
        panels = _panels(results, case)
        size = sum(len(panel.get("video", "")) + len(panel.get("poster", "")) for panel in panels)
        if size <= room and any("video" in panel for panel in panels):
            room -= size
            found.append({"case": results.cases.index(case), "why": why, "panels": panels})
        if on_progress is not None:
            on_progress(step + 1, len(chosen))
    return found


def worst_cases(results: Results, count: int) -> list[tuple[str, list[int]]]:
    """The worst cases of each run in turn, each with the runs whose worst ``count`` it is among."""
    column = results.primary
    if column is None:
        return [(case, []) for case in results.cases[:count]]
    sign = -1 if column.better == "lower" else 1
    ranked: list[list[str]] = []
    for number in range(len(results.runs)):
        by_case: dict[str, list[float]] = {}
        for (case, _), value in results.cells[number, column].numbers().items():
            by_case.setdefault(case, []).append(value)
        ranked.append(sorted(by_case, key=lambda case: (sign * float(np.mean(by_case[case])), case)))
    chosen: dict[str, None] = {}
    for place in range(len(results.cases)):
        for cases in ranked:
            if place < len(cases) and len(chosen) < count:
                chosen.setdefault(cases[place])
    each = max(1, -(-count // len(ranked)))
    return [(case, [number for number, cases in enumerate(ranked) if case in cases[:each]]) for case in chosen]


def _panels(results: Results, case: str) -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    truth: dict[str, Any] | None = None
    for number, run in enumerate(results.runs):
        place, row, value = _shown(results, number, case)
        if row is None:
            continue
        if truth is None and row.reference is not None:
            truth = {"run": None, **_encoded(run, row.reference, None)}
        if row.video is None:
            panels.append({"run": number, "row": place, "seed": row.seed, "error": row.error or "there is no video"})
            continue
        panel = _encoded(run, row.video, row.tracks)
        panels.append({"run": number, "row": place, "seed": row.seed, "value": value, **panel})
    return panels if truth is None else [truth, *panels]


def _shown(results: Results, number: int, case: str) -> tuple[int, Row | None, float | None]:
    """Of a case's seeds, the one with the worst value, and the value."""
    column, run = results.primary, results.runs[number]
    values = results.cells[number, column].numbers() if column else {}
    rows = [(place, row, values.get((case, row.seed))) for place, row in enumerate(run.rows) if row.case == case]
    if not rows:
        return -1, None, None
    sign = 1 if column is None or column.better == "lower" else -1
    return max(rows, key=lambda each: (each[2] is not None, sign * (each[2] or 0.0), -each[0]))


def _encoded(run: Run, video: str, tracks: str | None) -> dict[str, Any]:
    try:
        shown = _read(open_frames(_file(run, video)))
        clip = Clip(shown.frames, shown.fps)
        drawn, note = _drawn_if_possible(clip, shown, _file(run, tracks)) if tracks else (clip, None)
        return {
            "video": base64.b64encode(_webm(drawn)).decode(),
            "poster": base64.b64encode(_poster(drawn.frames[-1])).decode(),
            "height": clip.size[0],
            "width": clip.size[1],
            "fps": clip.fps,
            "frames": shown.num_frames,
            "note": note,
            "index": shown.index.tolist() if len(shown.index) != shown.num_frames else None,
        }
    except MotionloomError as error:
        return {"error": str(error)}


def _file(run: Run, name: str) -> Path:
    return (run.folder or Path()) / name


def _read(frames: Frames) -> _Video:
    """Few and small frames of a video of any length, read window by window."""
    count = min(frames.num_frames, FRAMES)
    index = np.unique(np.linspace(0, frames.num_frames - 1, count).round().astype(np.int64))
    height, width = frames.size
    scale = SIDE / max(height, width)
    # Sides of 4:2:0 video are even.
    size = (max(2, round(height * scale / 2) * 2), max(2, round(width * scale / 2) * 2))
    kept: list[NDArray[Any]] = []
    for start, block in windows(frames):
        for place in index[(index >= start) & (index < start + len(block))] - start:
            method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
            kept.append(cv2.resize(block[place], (size[1], size[0]), interpolation=method))
    return _Video(np.stack(kept), max(1.0, frames.fps * len(index) / frames.num_frames), index, frames.num_frames)


def _drawn_if_possible(clip: Clip, shown: _Video, file: Path) -> tuple[Clip, str | None]:
    """The clip with its tracks; without them, and why, where their file is missing or damaged."""
    try:
        return _drawn(clip, shown, file), None
    except MotionloomError as error:
        return clip, f"without its tracks: {error}"


def _drawn(clip: Clip, shown: _Video, file: Path) -> Clip:
    wanted, measured = load_tracks(file)
    chosen = np.linspace(0, wanted.num_tracks - 1, min(wanted.num_tracks, TRACKS)).round().astype(np.int64)
    if not len(chosen):
        return clip
    wanted, measured = (
        tracks.select(chosen).at(shown.index * (tracks.num_frames - 1) / max(shown.num_frames - 1, 1))
        for tracks in (wanted, measured)
    )
    below = draw(
        clip, wanted, trail=None, colours=[WANTED] * len(chosen), style=Style(radius=0.013, width=0.007, hidden="none")
    )
    style = Style(radius=0.017, width=0.006, outline=False, start=False)
    return draw(below, measured, trail=0.8, colours=_by_error(wanted, measured), style=style)


def _by_error(wanted: Tracks, measured: Tracks) -> Sequence[Colour]:
    seen = wanted.visible
    distance = np.linalg.norm(measured.points - wanted.points, axis=-1) / np.hypot(*wanted.size)
    error = (distance * seen).sum(0) / np.maximum(seen.sum(0), 1)
    place = np.clip(error / WORST, 0, 1) * (len(_SCALE) - 1)
    steps = np.arange(len(_SCALE))
    rgb = np.stack([np.interp(place, steps, _SCALE[:, channel]) for channel in range(3)], axis=1).round().astype(int)
    return [(int(r), int(g), int(b)) for r, g, b in rgb]


def _webm(clip: Clip) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return clip.save(os.path.join(folder, "clip.webm"), quality=QUALITY).read_bytes()


def _poster(frame: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(frame).quantize(256, Image.Quantize.FASTOCTREE).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
