"""Frames of a video by number, without holding the whole of a long one in memory."""

from __future__ import annotations

import os
import zlib
from array import array
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.media.clip import Clip
from motionloom.media.video import envelope_of, frame_rate, meant_size, open_video, undamaged, upright

IN_MEMORY = 256_000_000
"""Bytes of frames up to which a video is simply held."""

WINDOW = 32
"""Frames that are looked at together."""

MAX_FRAMES = 100_000
MAX_FRAME_PIXELS = 100_000_000
_HELD_FORMATS = (".gif", ".webp", ".png")


@runtime_checkable
class Frames(Protocol):
    """Frames of a video by number.

    Attributes:
        num_frames, fps: of the video; size: (height, width).
    """

    @property
    def num_frames(self) -> int: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def fps(self) -> float: ...
    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames ``start`` to ``stop`` (not included), uint8 [n, H, W, 3]; cheapest where it follows the last call."""
        ...


class HeldFrames:
    """Frames that are in memory: uint8 [T, H, W, 3]."""

    def __init__(self, frames: NDArray[np.uint8], fps: float) -> None:
        self.frames, self.fps = frames, fps
        self.num_frames = len(frames)
        self.size = (frames.shape[1], frames.shape[2])

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """A view of the frames ``start`` to ``stop`` (not included)."""
        _check_range(start, stop, self.num_frames)
        return self.frames[start:stop]


class VideoFrames:
    """Frames of a video file, decoded when they are read.

    Opening decodes the file once and keeps a time stamp and a checksum of every frame: headers lie about how many
    frames there are, and about where they are. Reading on is as cheap as decoding; for going back the decoder starts
    again at a key frame, or at the beginning where the file's time stamps are of no use. What it then delivers is
    compared with the checksums. Not for use by several threads at once.

    Attributes:
        num_frames, fps, size: of the frames as `Clip.load` would give them.

    Raises:
        FileFormatError: missing, damaged, too large, without a rate, or with frames of several sizes.
    """

    def __init__(self, path: str | os.PathLike[str], *, max_frames: int = MAX_FRAMES) -> None:
        self._path = Path(path)
        self._stamps = array("q")
        self._sums = array("L")
        self._container: InputContainer | None = None
        self._pictures: Iterator[av.VideoFrame] = iter(())
        self._next = 0  # number of the picture that the decoder delivers next
        self._recent: deque[NDArray[np.uint8]] = deque(maxlen=WINDOW)  # the frames before it
        with open_video(self._path) as container:
            self.fps, self.size = self._index(container, max_frames)
        self.num_frames = len(self._stamps)
        stamps = np.array(self._stamps)
        self._seekable = bool((stamps[1:] > stamps[:-1]).all())

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Frames ``start`` to ``stop`` (not included), uint8 [n, H, W, 3].

        Raises:
            InputError: there are no such frames.
            FileFormatError: the file has changed since it was opened, or reading fails.
        """
        _check_range(start, stop, self.num_frames)
        block = np.empty((stop - start, *self.size, 3), np.uint8)
        if stop == start:
            return block
        first = start
        while first < stop and 0 < self._next - first <= len(self._recent):
            block[first - start] = self._recent[first - self._next]
            first += 1
        for number in range(first, stop):
            block[number - start] = self._frame(number)
        return block

    def close(self) -> None:
        """Give the file back; reading opens it again."""
        if self._container is not None:
            self._container.close()
        self._container, self._pictures, self._next = None, iter(()), 0
        self._recent.clear()

    def __enter__(self) -> VideoFrames:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        height, width = self.size
        return f"VideoFrames({self._path.name}, {self.num_frames} frames at {self.fps:g} fps, {width}x{height})"

    def _index(self, container: InputContainer, max_frames: int) -> tuple[float, tuple[int, int]]:
        """Note stamp and checksum of every frame; the rate and the size."""
        if not container.streams.video:
            raise FileFormatError(f"{self._path}: holds no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        envelope = envelope_of(container)
        _check_size(self._path, stream.codec_context.height, stream.codec_context.width)
        fps = frame_rate(self._path, stream, envelope)
        shape: tuple[int, int] | None = None
        try:
            for picture in undamaged(self._path, container, stream):
                count = len(self._stamps)
                turned = picture.rotation % 180 != 0
                found = (picture.width, picture.height) if turned else (picture.height, picture.width)
                if shape is None:
                    _check_size(self._path, *found)
                elif found != shape:
                    raise FileFormatError(f"{self._path}: the frame size changes at frame {count}")
                if count == max_frames:
                    raise FileFormatError(f"{self._path}: more than {max_frames} frames; cut the video")
                shape = found
                # Without a stamp, order is all there is: equal stamps rule out seeking.
                self._stamps.append(picture.pts if picture.pts is not None else -1)
                self._sums.append(_checksum(picture))
        except FFmpegError as error:
            raise FileFormatError(
                f"{self._path}: the video is damaged after frame {len(self._stamps)} ({error})"
            ) from error
        if shape is None:
            raise FileFormatError(f"{self._path}: no frame could be decoded")
        return fps, meant_size(shape, envelope)

    def _frame(self, number: int) -> NDArray[np.uint8]:
        """One frame [H, W, 3]; the decoder then stands behind it."""
        # Decoding on is cheaper than seeking over a few frames, and never wrong.
        ahead = number - self._next
        stay = self._container is not None and 0 <= ahead <= (WINDOW if self._seekable else ahead)
        if not stay and not (self._seekable and number > WINDOW and self._seek(number)):
            self._restart()
        while self._next < number:
            self._decode(keep=number - self._next <= WINDOW)
        frame = self._decode(keep=True)
        assert frame is not None
        return frame

    def _decode(self, *, keep: bool) -> NDArray[np.uint8] | None:
        """The next picture, compared with what was there when the file was opened; None where it is not kept."""
        number = self._next
        try:
            picture = next(self._pictures, None)
        except FFmpegError as error:
            raise FileFormatError(f"{self._path}: frame {number} cannot be read ({error})") from error
        if picture is None or _checksum(picture) != self._sums[number]:
            raise FileFormatError(f"{self._path}: frame {number} is not what it was when the file was opened")
        self._next += 1
        if not keep:
            self._recent.clear()
            return None
        height, width = self.size
        frame = np.ascontiguousarray(upright(picture)[:height, :width])
        self._recent.append(frame)
        return frame

    def _seek(self, number: int) -> bool:
        """Put the decoder at a key frame at or before a frame; False where the file does not lead there."""
        container = self._container or self._restart()
        stream = container.streams.video[0]
        self._recent.clear()
        try:
            container.seek(self._stamps[number], stream=stream, backward=True)
            pictures = cast("Iterator[av.VideoFrame]", container.decode(stream))
            first = next(pictures, None)
            while first is not None and not self._is(first, at_most=number):
                # What precedes the key frame in time may need frames from before it, and be broken.
                if first.pts is None or first.pts >= self._stamps[number]:
                    return False
                first = next(pictures, None)
        except FFmpegError:
            return False
        if first is None or first.pts is None:
            return False
        self._next = int(np.searchsorted(np.array(self._stamps), first.pts))
        self._pictures = _chain(first, pictures)
        return True

    def _is(self, picture: av.VideoFrame, *, at_most: int) -> bool:
        """The picture is one of the frames up to a number, undamaged."""
        if picture.pts is None or picture.pts > self._stamps[at_most]:
            return False
        number = int(np.searchsorted(np.array(self._stamps), picture.pts))
        return self._stamps[number] == picture.pts and self._sums[number] == _checksum(picture)

    def _restart(self) -> InputContainer:
        """Open the file again, at its first frame."""
        self.close()
        self._container = open_video(self._path)
        stream = self._container.streams.video[0]
        stream.thread_type = "AUTO"
        self._pictures = cast("Iterator[av.VideoFrame]", self._container.decode(stream))
        return self._container


def open_frames(
    source: Frames | Clip | NDArray[Any] | str | os.PathLike[str],
    *,
    max_bytes: int = IN_MEMORY,
    fps: float = 16.0,
) -> Frames:
    """Frames of a clip, an array or a file: held where they are few, decoded when they are read where they are many.

    Args:
        source: frames (given back as they are), a clip, uint8 [T, H, W, 3] RGB or [T, H, W] grey, or a file or folder
            as `Clip.load` reads them. GIF, WebP and folders of PNGs are always held.
        max_bytes: a video file with more bytes of frames is not held.
        fps: of an array.

    Raises:
        InputError: an array that is no video.
        FileFormatError: missing, damaged, too large, or not a clip; sizes are checked before decoding.
    """
    if isinstance(source, Clip):
        return HeldFrames(source.frames, source.fps)
    if isinstance(source, (str, os.PathLike)):
        path = Path(source)
        if path.is_dir() or path.suffix.lower() in _HELD_FORMATS or _frame_bytes(path) <= max_bytes:
            return open_frames(Clip.load(path))
        return VideoFrames(path)
    if not isinstance(source, np.ndarray) and isinstance(source, Frames):
        return source
    frames = np.asarray(source)
    if frames.dtype != np.uint8 or frames.ndim not in (3, 4) or (frames.ndim == 4 and frames.shape[-1] != 3):
        raise InputError(f"video: found {frames.dtype} {frames.shape}, expected uint8 [T, H, W, 3] or [T, H, W]")
    if 0 in frames.shape:
        raise InputError(f"video: found shape {frames.shape}, expected at least one frame and one pixel")
    if frames.ndim == 3:
        frames = np.broadcast_to(frames[..., None], (*frames.shape, 3))
    return HeldFrames(frames, float(fps))


class BackwardFrames:
    """The same frames from the last to the first: number 0 is the last one."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames
        self.num_frames, self.size, self.fps = frames.num_frames, frames.size, frames.fps

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        _check_range(start, stop, self.num_frames)
        return self._frames.read(self.num_frames - stop, self.num_frames - start)[::-1]


class PartFrames:
    """The frames ``start`` to ``stop`` (not included) of others, numbered from 0; to the end where ``stop`` is None.

    Raises:
        InputError: there are no such frames.
    """

    def __init__(self, frames: Frames, start: int, stop: int | None = None) -> None:
        stop = frames.num_frames if stop is None else stop
        if not 0 <= start < stop <= frames.num_frames:
            raise InputError(
                f"frames {start} to {stop}: expected a part of the {frames.num_frames} frames of the video"
            )
        self._frames, self._start = frames, start
        self.num_frames, self.size, self.fps = stop - start, frames.size, frames.fps

    def read(self, start: int, stop: int) -> NDArray[np.uint8]:
        _check_range(start, stop, self.num_frames)
        return self._frames.read(self._start + start, self._start + stop)


def windows(frames: Frames, length: int = WINDOW, overlap: int = 0) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """All frames in blocks: (number of the block's first frame, uint8 [n, H, W, 3]) with n up to ``length``.

    Args:
        overlap: frames that each block repeats from the one before; 1 where pairs of neighbours are looked at.
    """
    if not 0 <= overlap < length:
        raise InputError(f"overlap: found {overlap}, expected 0 to {length - 1}")
    start = 0
    while True:
        stop = min(start + length, frames.num_frames)
        yield start, frames.read(start, stop)
        if stop == frames.num_frames:
            return
        start = stop - overlap


def _frame_bytes(path: Path) -> int:
    """Bytes that all frames of a video take, by counting packets; nothing is decoded.

    Raises:
        FileFormatError: no video, or frames beyond any reason.
    """
    with open_video(path) as container:
        if not container.streams.video:
            raise FileFormatError(f"{path}: holds no video stream")
        stream = container.streams.video[0]
        height, width = stream.codec_context.height, stream.codec_context.width
        _check_size(path, height, width)
        try:
            packets = sum(1 for packet in container.demux(stream) if packet.size)
        except FFmpegError as error:
            raise FileFormatError(f"{path}: the video is damaged ({error})") from error
    return packets * height * width * 3


def _check_size(path: Path, height: int, width: int) -> None:
    if height * width > MAX_FRAME_PIXELS:
        raise FileFormatError(
            f"{path}: frames of {width}x{height}, expected at most {MAX_FRAME_PIXELS / 1e6:.0f} million pixels; "
            "scale the video down"
        )


def _check_range(start: int, stop: int, count: int) -> None:
    if not 0 <= start <= stop <= count:
        raise InputError(f"frames {start} to {stop}: expected a range within the {count} frames of the video")


def _checksum(picture: av.VideoFrame) -> int:
    """Of the first plane, which is brightness or all there is; what fills up its rows is left out."""
    plane = picture.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    return zlib.crc32(rows[:, : plane.width].tobytes())


def _chain(first: av.VideoFrame, rest: Iterator[av.VideoFrame]) -> Iterator[av.VideoFrame]:
    yield first
    yield from rest
