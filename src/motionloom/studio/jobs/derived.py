"""What is made of a finished video when somebody asks for it: overlay, warp clip, side by side, other formats.

Each file is made once and kept beside the video in its result's folder, whole or not at all. Two requests for the same
file wait for one making of it.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from motionloom.errors import Cancelled
from motionloom.studio.jobs.results import MADE, MOTION, VIDEO, ResultStore
from motionloom.studio.jobs.snapshots import read_motion

if TYPE_CHECKING:
    from motionloom.media import Clip

Kind = Literal["video", "overlay", "side_by_side", "preview"]
Format = Literal["mp4", "webm", "gif", "webp"]

TYPES: dict[Format, str] = {"mp4": "video/mp4", "webm": "video/webm", "gif": "image/gif", "webp": "image/webp"}
"""Content types of the formats."""


class Derived:
    """Files made of the results of a store. Its methods take seconds: call them in a thread.

    Args:
        at_once: how many are made at the same time.
    """

    def __init__(self, results: ResultStore, at_once: int = 2) -> None:
        self._results = results
        self._room = threading.Semaphore(at_once)
        self._locks: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
        self._guard = threading.Lock()
        self._closed = threading.Event()

    def path(self, result: str, kind: Kind, form: Format = "mp4") -> Path:
        """The file, made now if it is not there.

        Args:
            kind: the video itself; with the motion drawn over it ("overlay"); the warp clip of the same motion, of the
                same size and length ("preview"); or the video beside that ("side_by_side").

        Raises:
            Refused: there is no such result.
            Cancelled: the server stops.
        """
        folder = self._results.folder(result)
        if kind == "video" and form == "mp4":
            return folder / VIDEO
        path = folder / MADE / f"{kind}.{form}"
        if path.is_file():
            return path
        with self._guard:
            lock = self._locks[path]
        with lock, self._room:
            self._check()
            if not path.is_file():
                make: Callable[[str], Clip] = {
                    "video": self._video,
                    "overlay": self._overlay,
                    "side_by_side": self._side_by_side,
                    "preview": self._preview,
                }[kind]
                kept = None if form == "mp4" else self._kept(result, kind)
                clip = kept or make(result)
                with self._results.adding(result, f"{MADE}/{path.name}") as part:
                    clip.save(part)
        return path

    def close(self) -> None:
        """End what is being made."""
        self._closed.set()

    def _kept(self, result: str, kind: Kind) -> Clip | None:
        from motionloom.media import Clip

        path = self._results.folder(result) / MADE / f"{kind}.mp4"
        return Clip.load(path) if path.is_file() else None

    def _video(self, result: str) -> Clip:
        from motionloom.media import Clip

        return Clip.load(self._results.folder(result) / VIDEO)

    def _overlay(self, result: str) -> Clip:
        from motionloom.draw import draw

        return draw(self._video(result), read_motion(self._results.folder(result) / MOTION))

    def _preview(self, result: str) -> Clip:
        from motionloom.models.loading import load
        from motionloom.models.parameters import Parameters
        from motionloom.studio.jobs.results import image_in

        facts, folder = self._results.get(result), self._results.folder(result)
        parameters = Parameters(size=(facts.height, facts.width), num_frames=facts.num_frames, fps=facts.fps)
        image, motion = image_in(folder), read_motion(folder / MOTION)
        clip = load("warp").run(str(image), motion, parameters, on_progress=self._check, motion_name=MOTION)[0]
        # As with the video, no folder of this machine goes out with the file.
        clip.provenance["image"] |= {"path": image.name, "path_from_clip": image.name}
        return clip

    def _side_by_side(self, result: str) -> Clip:
        from motionloom.draw import side_by_side

        video, preview = self._video(result), self._kept(result, "preview") or self._preview(result)
        pair = side_by_side(video, preview, labels=("Video", "Preview"))
        return replace(pair, provenance={"drawn_on": video.provenance})

    def _check(self, *_: object) -> None:
        if self._closed.is_set():
            raise Cancelled("the server stops")
