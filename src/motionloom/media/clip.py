"""Clip: frames, their rate, and everything needed to make them again."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError, InputError
from motionloom.media.envelope import Envelope

MAX_FRAMES = 10_000
MAX_PIXELS = 1_000_000_000
FORMATS = (".mp4", ".webm", ".gif", ".webp", ".png")


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a video with their rate and provenance.

    Args:
        frames: uint8 [T, H, W, 3] RGB.
        fps: frames per second, above zero.
        provenance: everything needed to make the clip again (JSON values only); empty where nothing is known.

    Raises:
        InputError: another shape or type, no frame, no pixel, or a rate that makes no sense.
    """

    frames: NDArray[np.uint8]
    fps: float
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        frames = np.asarray(self.frames)
        if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
            raise InputError(f"frames: found {frames.dtype} {list(frames.shape)}, expected uint8 [T, H, W, 3]")
        fps = float(self.fps)
        if not (math.isfinite(fps) and fps > 0):
            raise InputError(f"fps: found {self.fps}, expected a number above zero")
        object.__setattr__(self, "frames", np.ascontiguousarray(frames))
        object.__setattr__(self, "fps", fps)

    @property
    def num_frames(self) -> int:
        return self.frames.shape[0]

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.frames.shape[1], self.frames.shape[2]

    @property
    def duration(self) -> float:
        """Seconds the clip plays: T / fps."""
        return self.num_frames / self.fps

    def digest(self) -> str:
        """Hex SHA-256 of the frames' shape and bytes; two clips with the same digest look exactly the same."""
        digest = hashlib.sha256(repr(self.frames.shape).encode())
        digest.update(self.frames.data)
        return digest.hexdigest()

    def __repr__(self) -> str:
        height, width = self.size
        return f"Clip({self.num_frames} frames at {self.fps:g} fps, {width}x{height})"

    def save(self, path: str | os.PathLike[str], *, quality: int = 90, lossless: bool = False) -> Path:
        """Write the clip with its provenance inside the file; complete or not at all. An existing file is replaced.

        Args:
            path: the ending chooses the format: ``.mp4`` (H.264), ``.webm`` (VP9), ``.gif``, ``.webp`` (animated),
                ``.png`` (one frame), or a folder of PNGs (a path ending in ``/``, without an ending, or an existing
                folder). MP4 and WebM store even sides; an odd one gains a repeated row or column that `load` removes.
            quality: 1 (smallest) to 100 (best) for mp4, webm and lossy webp.
            lossless: keep every pixel; webp only (png always does).

        Raises:
            InputError: an unknown ending, options that do not go together, provenance that is not JSON.
            MotionloomError: the encoder refused.
        """
        kind, target = _kind(path)
        if not 1 <= quality <= 100:
            raise InputError(f"quality: found {quality}, expected 1 to 100")
        if lossless and kind not in (".webp", ".png", "folder"):
            raise InputError(f"{target}: {kind} cannot be lossless here; use .webp or a folder of PNGs")
        envelope = Envelope(self.size, self.num_frames, self.fps, self.provenance)
        try:
            json.dumps(self.provenance, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"provenance: holds something that is not JSON ({error})") from None
        if kind in (".mp4", ".webm"):
            from motionloom.media.video import write_video

            write_video(target, self.frames, envelope, quality=quality)
            return target
        from motionloom.media import animation

        if kind == ".gif":
            animation.write_gif(target, self.frames, envelope)
        elif kind == ".webp":
            animation.write_webp(target, self.frames, envelope, quality=quality, lossless=lossless)
        elif kind == ".png":
            animation.write_png(target, self.frames, envelope)
        else:
            animation.write_folder(target, self.frames, envelope)
        return target

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, max_frames: int = MAX_FRAMES, max_pixels: int = MAX_PIXELS) -> Clip:
        """Read a clip, with its provenance if motionloom wrote it; of a sound track nothing is kept.

        Args:
            path: a video of any common container, a GIF, WebP or PNG, or a folder written by `save`.
            max_frames: longer clips are refused, by the header where it tells and otherwise while decoding.
            max_pixels: limit on frames x height x width, checked the same way.

        Raises:
            FileFormatError: missing, damaged, too large, or not a clip.
        """
        source = Path(path)
        if source.is_dir() or source.suffix.lower() in (".gif", ".webp", ".png"):
            from motionloom.media import animation

            read = animation.read_folder if source.is_dir() else animation.read_animation
        else:
            from motionloom.media.video import read_video as read
        frames, fps, envelope = read(source, max_frames=max_frames, max_pixels=max_pixels)
        return cls(frames, fps, envelope.provenance if envelope else {})


def read_provenance(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The provenance inside a file that `Clip.save` wrote, without decoding the video; empty where there is none.

    Raises:
        FileFormatError: the file is missing or no clip.
    """
    source = Path(path)
    if not source.exists():
        raise FileFormatError(f"{source}: no such file, expected a clip made by motionloom")
    if source.is_dir() or source.suffix.lower() in (".gif", ".webp", ".png"):
        from motionloom.media.animation import read_animation_envelope as read
    else:
        from motionloom.media.video import read_envelope as read
    envelope = read(source)
    return envelope.provenance if envelope else {}


def video_size(path: str | os.PathLike[str]) -> tuple[int, int]:
    """(height, width) of a video of any kind that `Clip.load` reads, without reading all of it where that is spared.

    Raises:
        FileFormatError: missing, damaged, or not a clip.
    """
    source = Path(path)
    if source.is_dir() or source.suffix.lower() in (".gif", ".webp", ".png"):
        return Clip.load(source).size
    from motionloom.media.video import first_size

    return first_size(source)


def check_target(path: str | os.PathLike[str]) -> None:
    """Refuse what `Clip.save` could not write to; known before hours are spent on the frames.

    Raises:
        InputError: an unknown ending, or a folder that cannot be written or made.
    """
    _, target = _kind(path)
    folder = next(parent for parent in target.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise InputError(f"{target}: {folder} is a file, expected a folder")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{target}: the folder {folder} cannot be written")


def _kind(path: str | os.PathLike[str]) -> tuple[str, Path]:
    target = Path(path)
    if os.fspath(path).endswith(("/", os.sep)) or target.is_dir() or not target.suffix:
        return "folder", target
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise InputError(f"{target}: cannot write {suffix!r}, expected {', '.join(FORMATS)}, or a folder (ending in /)")
    return suffix, target
