"""Clips for training from real videos, in the folder layout of the published program.

    videos/0001.mp4   labels/0001.txt        the same stem; the first line is the caption, none means ""

Videos are decoded as they are needed and motion is computed on the way. Frames are chosen as published
(``sat/data_video.py``): so many at so many per second, the first and last three of a video left out, from a random
start; too short a video gives 4n + 1 frames and repeats the last one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.media.flow import optical_flow
from motionloom.media.stream import Frames, VideoFrames, open_frames
from motionloom.tracks.trackers import grid, track
from motionloom.train.tora.camera_motion import accepts, flow_score, keep_probability, published_accepts
from motionloom.train.tora.denoising import MovingClips, Vae, video_latents

FPS = 8.0
SKIP = 3
"""Frames at both ends of a video that are left out: cuts and fades."""

FlowFunction = Callable[[NDArray[np.uint8], NDArray[np.uint8]], NDArray[np.float32]]
"""Flow [H, W, 2] from a frame uint8 [H, W, 3] to another. Published: RAFT; ours by default: DIS of OpenCV."""

Camera = Literal["any", "still", "published"]
"""Which clips are kept by how their camera moves: all; those of `camera_motion.accepts`; those of the paper's filter,
which also drops fast clips by chance."""

_SUFFIXES = (".mp4", ".webm", ".mov", ".mkv", ".avi")
_TRACK_SPACING = 24.0  # pixels between the points that are tracked, where tracks are wanted


@dataclass(frozen=True)
class LabelledVideo:
    path: Path
    caption: str


def find_videos(folder: str | Path) -> list[LabelledVideo]:
    """The videos of a folder with their captions, by name.

    Raises:
        InputError: no folder ``videos``, no video in it, or a label that is no text.
    """
    folder = Path(folder)
    inside = folder / "videos"
    if not inside.is_dir():
        raise InputError(f"{folder}: has no folder 'videos'; expected videos/NAME.mp4 and labels/NAME.txt in it")
    paths = sorted(path for path in inside.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise InputError(f"{inside}: holds no video; expected files that end in {', '.join(_SUFFIXES)}")
    return [LabelledVideo(path, _caption(folder / "labels" / f"{path.stem}.txt")) for path in paths]


def choose_frames(
    length: int, fps: float, num_frames: int, rng: np.random.Generator, *, target_fps: float = FPS, skip: int = SKIP
) -> NDArray[np.int64]:
    """Which frames of a video of ``length`` become a training clip, [num_frames]; see the top of this file.

    Raises:
        InputError: nothing is left between the ends.
    """
    usable = length - 2 * skip
    if usable < 1:
        raise InputError(f"video: found {length} frames, expected more than the {2 * skip} that are left out")
    step = max(fps / target_fps, 1.0)
    fitting = int((usable - 1) / step) + 1
    if fitting < num_frames:
        count = (fitting - 1) // 4 * 4 + 1
        chosen = skip + np.floor(np.arange(count) * step).astype(np.int64)
        return np.concatenate([chosen, np.repeat(chosen[-1:], num_frames - count)])
    free = usable - 1 - (num_frames - 1) * step
    start = skip + int(rng.integers(0, int(free) + 1))
    return start + np.floor(np.arange(num_frames) * step).astype(np.int64)


def cropped(frames: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Frames [T, H, W, 3] at (height, width): resized to cover it and cut in the middle.

    Bicubic, as published, where they grow; means of areas where they shrink.
    """
    height, width = size
    factor = max(height / frames.shape[1], width / frames.shape[2])
    rows, columns = (max(side, round(now * factor)) for side, now in zip(size, frames.shape[1:3], strict=True))
    method = cv2.INTER_CUBIC if factor > 1 else cv2.INTER_AREA
    top, left = (rows - height) // 2, (columns - width) // 2
    resized = [cv2.resize(frame, (columns, rows), interpolation=method) for frame in frames]
    return np.stack(resized)[:, top : top + height, left : left + width]


class VideoFolder:
    """Clips from a folder of videos, for `train_adapter`.

    What is taken at a step depends on the seed and the step alone.

    Args:
        videos: see `find_videos`.
        vae: encodes the frames, on its own device.
        text: the embedding [L, D] of every caption; see `folder_training.encode_captions`.
        size, num_frames: of the clips; frames are 1 + 4n.
        flow: see `FlowFunction`.
        tracked: also follow a grid of points with the package's tracker, for `MotionMix(following="tracks")`.
        camera: see `Camera`.

    Raises:
        InputError: frames that are not 1 + 4n, or captions without embedding.
    """

    def __init__(
        self,
        videos: list[LabelledVideo],
        vae: Vae,
        text: Mapping[str, torch.Tensor],
        *,
        size: tuple[int, int],
        num_frames: int,
        seed: int = 0,
        flow: FlowFunction = optical_flow,
        tracked: bool = False,
        camera: Camera = "any",
    ) -> None:
        if num_frames % 4 != 1:
            raise InputError(f"num_frames: found {num_frames}, expected 1 + a multiple of 4")
        refuse_unknown("camera", camera, Camera)
        silent = [video.path.name for video in videos if video.caption not in text]
        if silent:
            raise InputError(f"text: has no embedding of the caption of {silent[0]}; encode all captions first")
        self.videos, self.vae, self.text, self.seed = videos, vae, text, seed
        self.size, self.num_frames, self.flow, self.tracked, self.camera = size, num_frames, flow, tracked, camera
        self._indexed: dict[Path, VideoFrames] = {}

    def batch(self, step: int, size: int) -> MovingClips:
        """``size`` clips of random videos.

        Raises:
            FileFormatError: a video that cannot be read, by name.
            InputError: no clip of many was accepted, or a video without frames.
        """
        rng = np.random.default_rng([self.seed, step, 23])
        rows = [self._clip(rng) for _ in range(size)]
        return MovingClips(*(torch.cat(values) for values in zip(*rows, strict=True)))

    def _clip(self, rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
        attempts = max(64, 4 * len(self.videos))
        for _ in range(attempts):
            video = self.videos[int(rng.integers(len(self.videos)))]
            frames = self._frames(video, rng)
            flow = np.stack([self.flow(a, b) for a, b in pairwise(frames)]).transpose(0, 3, 1, 2)
            if not self._accepted(flow, rng):
                continue
            pixels = torch.from_numpy(frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1
            points, visible = np.zeros((len(frames), 0, 2), np.float32), np.zeros((len(frames), 0), bool)
            if self.tracked:
                found = track(frames, grid(self.size, _TRACK_SPACING), fps=FPS)
                points, visible = found.points, found.visible
            return (
                video_latents(self.vae, pixels.to(self.vae.device)).float().cpu(),
                pixels[:, :, 0],
                self.text[video.caption][None].float(),
                torch.from_numpy(flow)[None],
                torch.from_numpy(points.copy())[None],
                torch.from_numpy(visible.copy())[None],
            )
        raise InputError(f"videos: of {attempts} clips none has a camera that is {self.camera!r} enough; allow 'any'")

    def _frames(self, video: LabelledVideo, rng: np.random.Generator) -> NDArray[np.uint8]:
        opened = self._opened(video.path)
        try:
            numbers = choose_frames(opened.num_frames, opened.fps, self.num_frames, rng)
        except InputError as error:
            raise InputError(f"{video.path}: {error}") from error
        different, back = np.unique(numbers, return_inverse=True)
        frames = np.concatenate([cropped(opened.read(int(n), int(n) + 1), self.size) for n in different])[back]
        if isinstance(opened, VideoFrames):
            opened.close()
        return frames

    def _opened(self, path: Path) -> Frames:
        opened = self._indexed.get(path) or open_frames(path)
        if isinstance(opened, VideoFrames):
            # Opening decodes all of the video, once; what is known of it then is small.
            self._indexed[path] = opened
        return opened

    def _accepted(self, flow: NDArray[np.float32], rng: np.random.Generator) -> bool:
        if self.camera == "any":
            return True
        if self.camera == "still":
            return accepts(flow)
        return all(map(published_accepts, flow)) and rng.random() < keep_probability(flow_score(flow))


def _caption(path: Path) -> str:
    if not path.is_file():
        return ""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is no UTF-8 text; expected the caption in its first line") from error
    return lines[0].strip() if lines else ""


def refuse_unknown(name: str, found: str, kind: Any) -> None:
    """Refuse a value that is not one of a `Literal`'s."""
    if found not in get_args(kind):
        raise InputError(f"{name}: found {found!r}, expected {' or '.join(map(repr, get_args(kind)))}")
