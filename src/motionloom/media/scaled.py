"""Video read for looking at its motion: frame by frame, scaled down, a part of it if wanted."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.media.clip import MAX_FRAMES, Clip
from motionloom.media.video import open_video, read_envelope

_VIDEO_SUFFIXES = frozenset(
    (
        *(
            ".mp4",
            ".m4v",
            ".mov",
            ".qt",
            ".3gp",
            ".3g2",
            ".f4v",
            ".mj2",
            ".mkv",
            ".webm",
            ".avi",
            ".flv",
            ".wmv",
            ".asf",
        ),
        *(".mpg", ".mpeg", ".m2v", ".ts", ".m2ts", ".mts", ".h264", ".264", ".hevc", ".265", ".ogv", ".ivf", ".y4m"),
        ".gif",
    )
)
_STILL = (b"avif", b"heic", b"heix", b"mif1")  # brands of the same container that are pictures
_MAX_PIXELS = 600_000_000  # in all, after scaling: 1.8 GB


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a path names a video, by its ending or first bytes; an animated WebP and a folder of PNGs count."""
    source = Path(path)
    suffix = source.suffix.lower()
    if source.is_dir():
        return sum(1 for _ in source.glob("*.png")) > 1
    if suffix in _VIDEO_SUFFIXES:
        return True
    try:
        with source.open("rb") as file:
            head = file.read(32)
    except OSError:
        return False
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return head[12:16] == b"VP8X" and bool(head[20] & 0b10)  # the header's animation flag
    if head[4:8] == b"ftyp":
        return head[8:12] not in _STILL
    return head[:4] == b"\x1a\x45\xdf\xa3" or (head[:4] == b"RIFF" and head[8:12] == b"AVI ")


def read_scaled(
    path: str | os.PathLike[str], longest: int, frames: tuple[int, int | None] = (0, None)
) -> tuple[NDArray[np.uint8], float, tuple[int, int]]:
    """Frames of a video, scaled down where a side is longer than ``longest``.

    Args:
        path: whatever `Clip.load` reads.
        frames: (first, end) of the part to read, end not included; None is to the last.

    Returns:
        frames uint8 [T, h, w, 3], frames per second, and the (height, width) of the video as it is.

    Raises:
        FileFormatError: missing, damaged, not a video, or too long.
        InputError: a part that is not there.
    """
    source, (first, end) = Path(path), frames
    if first < 0 or (end is not None and end <= first):
        raise InputError(f"frames: found {first} to {end}, expected a first frame and a later end")
    if source.is_dir() or source.suffix.lower() in (".gif", ".webp", ".png"):
        clip = Clip.load(source)
        kept = [scaled(frame, longest) for frame in clip.frames[first:end]]
        count, fps, size = clip.num_frames, clip.fps, clip.size
    else:
        kept, count, fps, size = _decode(source, longest, first, end)
    if not kept:
        raise InputError(f"frames: found {first} to {end}, but {source} has {count} frames")
    return np.stack(kept), fps, size


def scaled(frame: NDArray[np.uint8], longest: int) -> NDArray[np.uint8]:
    """A frame [H, W, 3] whose sides are at most ``longest``, in its shape."""
    height, width = frame.shape[:2]
    scale = longest / max(height, width)
    if scale >= 1:
        return np.ascontiguousarray(frame)
    smaller = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(frame, smaller, interpolation=cv2.INTER_AREA), np.uint8)


def _decode(
    source: Path, longest: int, first: int, end: int | None
) -> tuple[list[NDArray[np.uint8]], int, float, tuple[int, int]]:
    envelope = read_envelope(source)
    kept: list[NDArray[np.uint8]] = []
    size, count = (0, 0), 0
    with open_video(source) as container:
        if not container.streams.video:
            raise FileFormatError(f"{source}: holds no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        rate = stream.average_rate or stream.guessed_rate or stream.base_rate
        fps = envelope.fps if envelope else float(rate or 0)
        if not fps > 0:
            raise FileFormatError(f"{source}: the frame rate is not known; re-encode the video with a constant rate")
        try:
            for picture in container.decode(stream):
                count += 1
                if count <= first:
                    continue
                frame = picture.to_ndarray(format="rgb24").astype(np.uint8, copy=False)
                frame = np.rot90(frame, k=picture.rotation // 90) if picture.rotation else frame
                if envelope and 0 <= frame.shape[0] - envelope.size[0] <= 1:
                    frame = frame[: envelope.size[0], : envelope.size[1]]
                size = size if kept else (frame.shape[0], frame.shape[1])
                if frame.shape[:2] != size:
                    raise FileFormatError(f"{source}: the frame size changes at frame {count - 1}")
                kept.append(scaled(frame, longest))
                if len(kept) > MAX_FRAMES or len(kept) * kept[0].shape[0] * kept[0].shape[1] > _MAX_PIXELS:
                    raise FileFormatError(f"{source}: too long to be held in memory; choose a part of its frames")
                if count == end:
                    break
        except FFmpegError as error:
            raise FileFormatError(f"{source}: the video is damaged after frame {count} ({error})") from error
    if count == 0:
        raise FileFormatError(f"{source}: no frame could be decoded")
    return kept, count, fps, size
