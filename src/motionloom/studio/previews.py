"""Instant previews: the geometric warp of a motion at reduced size, made in threads while a person draws.

What is drawn changes faster than a clip can be made, so a newer request with the same key takes the place of an older
one, and what nobody waits for any longer stops at its next frame. Pictures are decoded once, clips are kept by what
they show, and the event loop only waits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import tempfile
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from motionloom.errors import Cancelled
from motionloom.studio.documents import parse_motion
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import PreviewRequest
from motionloom.studio.settings import Limits

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motionloom.tracks.layers import Layer
    from motionloom.tracks.motion import Motion

MAX_TRACKS = 200
"""Tracks of one layer that a preview is made from: more of them look the same at this size, and take their time."""
KEPT_PICTURES = 64 * 2**20
KEPT_CLIPS = 128 * 2**20
"""Bytes of reduced pictures, and of finished clips, kept in memory."""
_LATER = 3.0
"""Seconds after the start when torch is loaded: the page comes first."""
_KEYFRAMES = 8
"""Every so many frames a seek in the clip begins anew, so that scrubbing follows the hand."""


class Superseded(Refused):
    """A newer request with the same key took this one's place."""

    def __init__(self, key: str) -> None:
        super().__init__("superseded", f"preview: a newer request with the key {key!r} took this one's place")


class Overloaded(Refused):
    """More previews are waiting than will ever be looked at."""

    def __init__(self, waiting: int) -> None:
        message = f"preview: {waiting} are waiting already; ask again in a moment"
        super().__init__("busy", message, headers={"Retry-After": "1"})


@dataclass(frozen=True)
class Preview:
    """A finished preview.

    Args:
        video: MP4 (H.264, yuv420p), seekable.
        num_frames, fps: of the clip. A long motion has fewer frames than drawn, at a lower rate: it lasts as long.
        size: (height, width) in pixels.
        drawn_frames: of the motion itself.
    """

    video: bytes
    num_frames: int
    fps: float
    size: tuple[int, int]
    drawn_frames: int


class PreviewService:
    """Makes previews.

    Args:
        image_path: the file of a project's picture, by the project's id; raises what says that there is none.
        threads: clips made at once; most of the work runs outside Python's lock.
        max_waiting: requests that may wait; beyond, `Overloaded`.
    """

    def __init__(
        self,
        image_path: Callable[[str], Path],
        limits: Limits | None = None,
        *,
        threads: int = 2,
        max_waiting: int = 512,
    ) -> None:
        self._image_path, self._limits = image_path, limits or Limits()
        self._threads = ThreadPoolExecutor(threads, "preview")
        self._max_waiting = max_waiting
        self._waiting = 0
        self._later: threading.Timer | None = None
        self._newest: dict[str, _Ticket] = {}
        self._pictures: _Kept[NDArray[np.uint8]] = _Kept(KEPT_PICTURES)
        self._clips: _Kept[Preview] = _Kept(KEPT_CLIPS)

    async def make(self, request: PreviewRequest) -> Preview:
        """The preview. Cancelling the task that waits for it (its client left) stops the work too.

        Raises:
            Superseded: a newer request has the same key: it came later, or has a higher number.
            Overloaded: too many are waiting.
            MotionloomError: the motion or the picture cannot be used; the message names the instruction.
        """
        if self._waiting >= self._max_waiting:
            raise Overloaded(self._waiting)
        loop = asyncio.get_running_loop()
        other = self._newest.get(request.key)
        if other is not None:
            if other.is_newer_than(request):
                raise Superseded(request.key)
            other.supersede()
        ticket = _Ticket(loop.create_future(), request.number)
        self._newest[request.key] = ticket
        self._waiting += 1
        work = loop.run_in_executor(self._threads, self._make, request, ticket)
        try:
            await asyncio.wait({work, ticket.superseded}, return_when=asyncio.FIRST_COMPLETED)
            if ticket.superseded.done():
                raise Superseded(request.key)
            return work.result()
        finally:
            # One that still waits for a thread leaves the queue; one that runs notices at its next frame.
            ticket.stopped.set()
            if not work.cancel() and not work.done():
                work.add_done_callback(_ignore)
            self._waiting -= 1
            if self._newest.get(request.key) is ticket:
                del self._newest[request.key]
            ticket.superseded.cancel()

    def warm_up(self) -> None:
        """Loads what the first preview needs, and a little later what `received` does, in threads; returns at once."""
        self._threads.submit(_first_clip)
        self._later = threading.Timer(_LATER, _load_methods)
        self._later.daemon = True
        self._later.start()

    def close(self) -> None:
        """Ends the threads; what still waits is not made."""
        if self._later is not None:
            self._later.cancel()
        for ticket in list(self._newest.values()):
            ticket.stopped.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _make(self, request: PreviewRequest, ticket: _Ticket) -> Preview:
        ticket.check()
        path = self._image_path(request.project)
        motion = parse_motion(request.motion, self._limits)
        facts = path.stat()
        picture = (str(path), facts.st_mtime_ns, facts.st_size, request.max_side)
        content = (picture, essence(motion), request.max_frames)
        kept = self._clips.get(content)
        if kept is not None:
            return kept
        image = self._pictures.get(picture)
        if image is None:
            image = reduced_picture(path, request.max_side)
            self._pictures.put(picture, image, image.nbytes)
        ticket.check()
        preview = render(image, motion, request.max_frames, lambda *_: ticket.check())
        ticket.check()
        self._clips.put(content, preview, len(preview.video))
        return preview


def essence(motion: Motion) -> str:
    """Hex digest of what decides how a motion looks: not names, colours, locks or prompts."""
    document = motion.model_dump(mode="json", exclude={"prompt", "image"}, exclude_none=True)
    for instruction in document["instructions"]:
        instruction.pop("name", None)
        instruction.pop("color", None)
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def reduced_picture(path: Path, max_side: int) -> NDArray[np.uint8]:
    """uint8 [h, w, 3] with even sides (H.264 stores colour at half the size) of at most ``max_side``."""
    import cv2
    import numpy as np

    from motionloom.media import read_image

    image = read_image(path)
    scale = min(1.0, max_side / max(image.shape[:2]))
    height, width = (max(2, round(side * scale / 2) * 2) for side in image.shape[:2])
    if (height, width) == image.shape[:2]:
        return image
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(image, (width, height), interpolation=way), np.uint8)


def render(
    image: NDArray[np.uint8], motion: Motion, max_frames: int, on_progress: Callable[[int, int], Any] | None = None
) -> Preview:
    """The preview of a motion on a picture uint8 [h, w, 3] with even sides; ``on_progress`` is called per frame.

    The place a thing leaves is filled with the colours around it alone: a texture takes longer than the rest together
    and shows at full size only.
    """
    from motionloom.methods.warp.warp import warp

    size = (image.shape[0], image.shape[1])
    # None keeps the motion's own frames; fewer are spread over the whole of it, at the rate that lasts as long.
    wanted = max_frames if motion.num_frames > max_frames else None
    layers = [_thinned(layer) for layer in motion.layers(size, wanted)]
    frames = warp(image, layers=layers, fill="smooth", matting="refine", on_progress=on_progress)
    fps = layers[0].tracks.fps
    return Preview(encode(frames, fps), len(frames), fps, size, motion.num_frames)


def encode(frames: NDArray[np.uint8], fps: float) -> bytes:
    """Frames uint8 [T, h, w, 3] with even sides as MP4, quickly: small enough for a local connection."""
    import av

    from motionloom.media.video import mux_frames

    handle, name = tempfile.mkstemp(suffix=".mp4", prefix="motionloom-preview-")
    os.close(handle)
    try:
        with av.open(name, "w", container_options={"movflags": "+faststart"}) as container:
            stream = container.add_stream("libx264", rate=Fraction(fps).limit_denominator(65_535))
            stream.height, stream.width = frames.shape[1:3]
            stream.options = {"preset": "superfast", "crf": "22", "g": str(_KEYFRAMES), "bf": "0"}
            stream.codec_context.thread_count = 1
            mux_frames(container, stream, frames)
        return Path(name).read_bytes()
    finally:
        with contextlib.suppress(OSError):
            os.unlink(name)


def _thinned(layer: Layer) -> Layer:
    count = layer.tracks.num_tracks
    if count <= MAX_TRACKS:
        return layer
    chosen = [index * count // MAX_TRACKS for index in range(MAX_TRACKS)]
    return replace(layer, tracks=layer.tracks.select(chosen))


class _Ticket:
    """One request's place in the queue."""

    def __init__(self, superseded: asyncio.Future[None], number: int | None) -> None:
        self.superseded, self._number = superseded, number
        self.stopped = threading.Event()

    def is_newer_than(self, request: PreviewRequest) -> bool:
        """Whether that one was sent before this one, and was overtaken on its way here."""
        return self._number is not None and request.number is not None and self._number > request.number

    def supersede(self) -> None:
        self.stopped.set()
        if not self.superseded.done():
            self.superseded.set_result(None)

    def check(self) -> None:
        if self.stopped.is_set():
            raise Cancelled("preview: nobody waits for it any longer")


T = TypeVar("T")


class _Kept(Generic[T]):
    """The most recently used values, up to a number of bytes in all; for threads."""

    def __init__(self, most: int) -> None:
        self._most, self._held = most, 0
        self._values: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> T | None:
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def put(self, key: Hashable, value: T, size: int) -> None:
        with self._lock:
            before = self._values.pop(key, None)
            self._held += size - (before[1] if before else 0)
            self._values[key] = (value, size)
            while self._held > self._most and len(self._values) > 1:
                _, (_, gone) = self._values.popitem(last=False)
                self._held -= gone


def _ignore(work: asyncio.Future[Any]) -> None:
    """The outcome of work that nobody waits for is taken note of, so that asyncio does not report it."""
    if not work.cancelled():
        work.exception()


def _first_clip() -> None:
    """Makes the smallest of clips, so that all its modules are there when a person waits for one."""
    import numpy as np

    from motionloom.tracks.motion import Motion

    path = {"kind": "path", "points": [[8, 8], [16, 8]]}
    document = {"canvas": {"width": 32, "height": 32}, "num_frames": 2, "fps": 8, "instructions": [path]}
    motion = Motion.parse({"format": "motionloom.motion", "version": 1, **document})
    render(np.zeros((32, 32, 3), np.uint8), motion, 2)


def _load_methods() -> None:
    from motionloom.studio.received import warm_up

    warm_up()
