"""What metrics look at: everything that is known of a sample, computed on demand and once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import CheckpointError, FileFormatError, InputError
from motionloom.evaluate.measurement import UsedWeights
from motionloom.evaluate.sample import ImageSource, Sample
from motionloom.evaluate.weights import WeightsMissing, find_weights, is_missing, sha256_of
from motionloom.jobs import fitted
from motionloom.media.flow import Flow, optical_flow
from motionloom.media.images import read_image
from motionloom.media.stream import IN_MEMORY, WINDOW, Frames, open_frames, windows
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.trackers import Tracker

T = TypeVar("T")


class Tools:
    """What measuring needs beside the sample: a device, a tracker and networks, which are loaded once and kept.

    Args:
        device: where networks run.
        tracker: finds the points again; None is the offline default.
        weights: explicit places of networks, by the names of `motionloom.evaluate.published_weights.WEIGHTS`.
        allow_download: networks that are not here may be fetched from the hub.

    Raises:
        InputError: no such device.
    """

    def __init__(
        self,
        *,
        device: str = "cpu",
        tracker: Tracker | None = None,
        weights: Mapping[str, Path] | None = None,
        allow_download: bool = False,
    ) -> None:
        _check_device(device)
        self.device = device
        self.tracker = tracker
        self._weights, self._allow_download = dict(weights or {}), allow_download
        self._networks: dict[str, Any] = {}
        self._failed: dict[str, CheckpointError] = {}

    @classmethod
    def of(
        cls,
        *,
        device: str = "cpu",
        tracker: str | None = None,
        checkpoint: str | None = None,
        code: str | None = None,
        weights: Mapping[str, str] | None = None,
        allow_download: bool = False,
    ) -> Tools:
        """Tools from plain values, such as another process gets.

        Args:
            tracker, checkpoint, code: see `motionloom.tracks.trackers.load_tracker`.

        Raises:
            InputError, CheckpointError, MissingDependencyError: the tracker cannot be loaded.
        """
        loaded = None
        if tracker not in (None, "offline"):
            from motionloom.tracks.trackers import load_tracker

            loaded = load_tracker(tracker, checkpoint=checkpoint, code=code, device=device)
        places = {name: Path(path) for name, path in (weights or {}).items()}
        return cls(device=device, tracker=loaded, weights=places, allow_download=allow_download)

    def path(self, name: str) -> Path:
        """Where a network's file or folder is.

        Raises:
            WeightsMissing: it is not on this disk.
            CheckpointError: it could not be fetched; that is tried once, not for each video.
        """
        if name in self._failed:
            raise self._failed[name]
        try:
            return find_weights(name, self._weights, allow_download=self._allow_download)
        except CheckpointError as error:
            self._failed[name] = error
            raise

    def lacks(self, name: str) -> bool:
        """Whether a network is not on this disk as it should be; nothing is fetched."""
        return is_missing(name, self._weights)

    def wants(self, names: Sequence[str]) -> str:
        """All that is missing of some networks, in words: each file, where it comes from, and where to put it."""
        found = []
        for name in names:
            try:
                find_weights(name, self._weights)
            except WeightsMissing as error:
                found.append(str(error))
        return "; and ".join(found)

    def network(self, name: str, build: Callable[[Path], T]) -> T:
        """A network by name; ``build`` gets its path, once, also where the file turns out to be another one."""
        if name not in self._networks:
            path = self.path(name)
            try:
                self._networks[name] = build(path)
            except CheckpointError as error:
                self._failed[name] = error
                raise
        return self._networks[name]

    def used(self, *names: str) -> UsedWeights:
        """The record of the networks a number comes from."""
        return UsedWeights("+".join(names), "+".join(sha256_of(self.path(name)) for name in names))


class Evidence:
    """What is known of one sample. Every attribute is computed when first asked for.

    Raises:
        FileFormatError, InputError: where an attribute is asked for whose file is missing, damaged, or does not fit.
    """

    def __init__(self, sample: Sample, tools: Tools) -> None:
        self.sample, self.tools = sample, tools

    @cached_property
    def frames(self) -> Frames:
        """The video to be measured."""
        return open_frames(self.sample.video)

    @cached_property
    def reference(self) -> Frames | None:
        """The true video as it is, maybe of another size and length."""
        return None if self.sample.reference is None else open_frames(self.sample.reference)

    def pairs(
        self, length: int = WINDOW, *, size: tuple[int, int] | None = None
    ) -> Iterator[tuple[int, NDArray[np.uint8], NDArray[np.uint8]]]:
        """Blocks of frames beside those of the true video: (first frame, video, reference), both uint8 [n, H, W, 3].

        Args:
            size: (height, width) that both are brought to (bilinear); that of the video when not given. The programs
                of MoveBench take that of the true video.

        Raises:
            InputError: there is no reference, or it has another number of frames.
        """
        if self.reference is None:
            raise InputError("reference: none is known")
        self._refuse_length(self.reference)
        wanted = size or self.frames.size
        for start, block in windows(self.frames, length):
            true = self.reference.read(start, start + len(block))
            yield start, _all_resized(block, wanted), _all_resized(true, wanted)

    @cached_property
    def wanted(self) -> Tracks | None:
        """The tracks asked for, on the video's canvas and frames: those that are visible and inside at its start.

        Where they leave the picture they are not visible: nothing can be found there.
        """
        if self.sample.motion is None:
            return None
        motion, frames = self.sample.motion, self.frames
        if self.sample.by_frame and isinstance(motion, Tracks):
            if motion.num_frames != frames.num_frames:
                raise InputError(
                    f"motion: found {motion.num_frames} frames, expected {frames.num_frames} as the video has; cut or "
                    "resample one of them"
                )
            tracks = motion.resize(frames.size)
        else:
            tracks = fitted(motion, frames.size, frames.num_frames, frames.fps)
        seen = tracks.visible & tracks.inside()
        return replace(tracks, visible=seen).select(seen[0])

    @cached_property
    def measured(self) -> Tracks | None:
        """Where the tracker finds the wanted points in the video."""
        return None if self.wanted is None else self._followed(self.wanted, self.frames)

    @cached_property
    def measured_in_reference(self) -> Tracks | None:
        """Where the tracker finds the wanted points in the true video, on the video's canvas: what it can see at all.

        Raises:
            InputError: the true video has another number of frames.
        """
        if self.wanted is None or self.reference is None:
            return None
        self._refuse_length(self.reference)
        return self._followed(self.wanted.resize(self.reference.size), self.reference).resize(self.frames.size)

    @cached_property
    def first_image(self) -> NDArray[np.uint8] | None:
        """The photograph the video should begin with, at the video's size."""
        return self._image(self.sample.first_image)

    @cached_property
    def last_image(self) -> NDArray[np.uint8] | None:
        """The photograph the video should end with, at the video's size."""
        return self._image(self.sample.last_image)

    @cached_property
    def masks(self) -> NDArray[np.bool_] | None:
        """Where the subject is, bool [T, H, W] at the video's size."""
        if self.sample.masks is None:
            return None
        masks = self.sample.masks
        if not isinstance(masks, np.ndarray):
            masks = _read_masks(masks)
        if masks.ndim != 3 or len(masks) != self.frames.num_frames:
            raise InputError(f"masks: found shape {masks.shape}, expected [{self.frames.num_frames}, H, W]")
        sized = [_resized(mask.astype(np.uint8), self.frames.size, cv2.INTER_NEAREST) for mask in masks]
        return np.stack(sized).astype(np.bool_)

    def flows(self) -> Iterator[tuple[int, Flow, Flow]]:
        """For neighbouring frames t and t + 1: (t, flow from t to t + 1, flow back), float32 [H, W, 2], DIS medium.

        Kept for videos whose flow fits into memory, computed again at each call for longer ones.
        """
        height, width = self.frames.size
        if (self.frames.num_frames - 1) * height * width * 16 <= IN_MEMORY:
            yield from self._held_flows
        else:
            yield from self._computed_flows()

    @cached_property
    def _held_flows(self) -> list[tuple[int, Flow, Flow]]:
        return list(self._computed_flows())

    def _computed_flows(self) -> Iterator[tuple[int, Flow, Flow]]:
        for start, block in windows(self.frames, overlap=1):
            for index in range(len(block) - 1):
                now, after = block[index], block[index + 1]
                yield start + index, optical_flow(now, after), optical_flow(after, now)

    def _followed(self, wanted: Tracks, frames: Frames) -> Tracks:
        start = wanted.points[0].astype(np.float64)
        queries = np.concatenate([np.zeros((len(start), 1)), start], axis=1)
        if self.tools.tracker is None:
            return track(frames, queries)
        return self.tools.tracker.track(frames, queries)

    def _refuse_length(self, reference: Frames) -> None:
        if reference.num_frames != self.frames.num_frames:
            raise InputError(
                f"reference: found {reference.num_frames} frames, expected {self.frames.num_frames} as the video has; "
                "cut or resample one of them"
            )

    def _image(self, source: ImageSource | None) -> NDArray[np.uint8] | None:
        if source is None:
            return None
        image = source if isinstance(source, np.ndarray) else read_image(os.fspath(source))
        return _resized(image, self.frames.size, cv2.INTER_AREA)


def _all_resized(block: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    if block.shape[1:3] == tuple(size):
        return block
    return np.stack([_resized(frame, size) for frame in block])


def _check_device(device: str) -> None:
    if device == "cpu":
        return
    import torch

    try:
        found = torch.device(device)
    except RuntimeError:
        raise InputError(f"device: found {device!r}, expected cpu, cuda, cuda:1, ... or mps") from None
    count = torch.cuda.device_count()
    if found.type == "cuda" and (found.index or 0) >= count:
        raise InputError(f"device: found {device!r}, but torch {torch.__version__} sees {count} GPUs here; use cpu")
    if found.type == "mps" and not torch.backends.mps.is_available():
        raise InputError(f"device: found {device!r}, which torch {torch.__version__} cannot use here; use cpu")


def _resized(
    image: NDArray[np.uint8], size: tuple[int, int], interpolation: int = cv2.INTER_LINEAR
) -> NDArray[np.uint8]:
    if image.shape[:2] == tuple(size):
        return image
    if interpolation == cv2.INTER_AREA and image.shape[0] < size[0]:
        interpolation = cv2.INTER_CUBIC  # to larger sizes
    return np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=interpolation), np.uint8)


def _read_masks(path: Path) -> NDArray[np.bool_]:
    if path.is_dir():
        files = sorted(path.glob("*.png"))
        if not files:
            raise FileFormatError(f"{path}: found no PNG, expected one mask per frame")
        pictures = [read_image(file).max(-1) for file in files]
        sizes = sorted({picture.shape for picture in pictures})
        if len(sizes) > 1:
            raise FileFormatError(f"{path}: found masks of sizes {sizes[0]} and {sizes[1]}, expected one size")
        masks = np.stack(pictures)
        # Masks are drawn in white, or as labels, which count from one.
        return masks > (127 if masks.max() > 127 else 0)
    try:
        masks = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileFormatError(f"{path}: not readable as masks ({error}); expected a .npy of bool [T, H, W]") from None
    if not isinstance(masks, np.ndarray) or masks.dtype.kind not in "buif":
        found = masks.dtype if isinstance(masks, np.ndarray) else "several arrays"
        raise FileFormatError(f"{path}: found {found}, expected a .npy of bool [T, H, W]")
    return masks > 0
