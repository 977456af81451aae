"""Model: a method bound to weights. One call turns a photograph and a motion into a clip."""

from __future__ import annotations

import hashlib
import os
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionloom import provenance
from motionloom.errors import AmbiguousUnitsError, FileFormatError, InputError
from motionloom.media import Clip, read_image
from motionloom.models.catalog import ModelCard
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.motion import Motion

ImageSource = Any
"""A path, uint8 [H, W, 3], or a PIL image; see `motionloom.media.read_image`."""

Progress = Callable[[int, int], Any]

_WARP_DIGEST = hashlib.sha256(b"motionloom warp 2").hexdigest()
"""The warp model has no weights; the number goes up when its pictures change."""


@dataclass(frozen=True)
class Request:
    """One clip to make, with everything settled: what a model's `render` gets.

    Attributes:
        image: uint8 [H, W, 3] as given; size: (height, width) of the clip.
        tracks: of all instructions, on ``size`` and on the clip's frames.
        layers: the same motion layer by layer, back to front.
    """

    image: NDArray[np.uint8]
    tracks: Tracks
    layers: Sequence[Layer]
    size: tuple[int, int]
    num_frames: int
    seed: int
    strength: float
    window: tuple[float, float]
    prompt: str | None
    negative_prompt: str | None
    num_inference_steps: int | None
    guidance_scale: float | None
    last_image: NDArray[np.uint8] | None
    densify: bool | None
    on_progress: Progress | None
    details: dict[str, Any] = field(default_factory=dict)


class Model(ABC):
    """A method bound to weights, as `motionloom.load` returns it.

    Attributes:
        card: what the catalogue knows; name: how it was asked for; method: how tracks guide it.
        digest: hex SHA-256 of the weights, part of every clip's provenance.
    """

    card: ModelCard
    name: str
    method: str
    digest: str

    def generate(
        self,
        image: ImageSource,
        motion: Motion | Tracks | str | os.PathLike[str] | None,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        last_image: ImageSource | None = None,
        densify: bool | None = None,
        on_progress: Progress | None = None,
    ) -> Clip:
        """A video of the photograph that moves as drawn.

        Args:
            image: a path, uint8 [H, W, 3] RGB, or a PIL image. It is scaled to the clip's size.
            motion: a `Motion`, `Tracks`, or a file of any supported format; None or no track: the model's own motion.
            prompt, negative_prompt: for models that read text.
            seed: same seed and same inputs give the same clip on one machine.
            size: (height, width); by default the model's native area in the photograph's shape.
            num_frames: by default the model's, or the motion's where the model takes any number. The whole motion is
                fitted into them.
            fps: of the clip. By default the rate at which the clip lasts as long as the motion; given, the motion plays
                at its true speed and is cut, or holds its end.
            num_inference_steps, guidance_scale: of the denoising; by default the model's.
            strength: 1 is the method as published, 0 the base model.
            window: (start, end) of the denoising, 0 to 1, in which the tracks are seen.
            last_image: the last frame, for models that take one.
            densify: spread the drawn motion over the picture first (see `motionloom.tracks.dense`); by default as
                the model was trained.
            on_progress: called with (step, total); what it raises ends the run.

        Raises:
            InputError: an argument the model cannot work with; the message names it and what would do.
        """
        picture = read_image(image)
        if not 0 <= seed < 2**63:
            raise InputError(f"seed: found {seed}, expected 0 to 2^63 - 1")
        if not (np.isfinite(strength) and strength >= 0):
            raise InputError(f"strength: found {strength}, expected zero or more")
        if num_frames is not None and num_frames < 1:
            raise InputError(f"num_frames: found {num_frames}, expected at least 1")
        size = self.legal_size(size or self.default_size((picture.shape[0], picture.shape[1])))
        drawn = motion
        if isinstance(drawn, (str, os.PathLike)):
            drawn = read_motion_for(drawn, (picture.shape[0], picture.shape[1]))
        frames = num_frames or self.card.num_frames or (drawn.num_frames if drawn else None)
        if frames is None:
            raise InputError("num_frames: without a motion the number of frames has to be given")
        frames = self.legal_frames(frames)
        rate = fps or (None if drawn else self.card.fps or 16.0)
        tracks, layers = _fit(drawn, size, frames, rate)
        request = Request(
            image=picture,
            tracks=tracks,
            layers=layers,
            size=size,
            num_frames=frames,
            seed=seed,
            strength=strength,
            window=window,
            prompt=prompt,
            negative_prompt=negative_prompt,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            last_image=None if last_image is None else read_image(last_image),
            densify=densify,
            on_progress=on_progress,
        )
        self.refuse(request)
        record = provenance.run_record(
            image=_file(image),
            last_image=_file(last_image),
            motion=drawn or tracks,
            motion_name=Path(motion).name if isinstance(motion, (str, os.PathLike)) else None,
            model=self.name,
            digest=self.digest,
            parameters={
                "prompt": prompt,
                "negative_prompt": negative_prompt,
                "seed": seed,
                "size": list(size),
                "num_frames": frames,
                "fps": fps,
                "num_inference_steps": num_inference_steps,
                "guidance_scale": guidance_scale,
                "strength": strength,
                "window": list(window),
                "method": self.method,
                "densify": densify,
            },
        )
        started = time.perf_counter()
        clip = Clip(self.render(request), tracks.fps)
        details = {
            "method": self.method,
            "size": list(size),
            "num_frames": frames,
            "fps": tracks.fps,
            "tracks": tracks.num_tracks,
            **request.details,
        }
        facts = provenance.finished(
            record,
            frames_sha256=clip.digest(),
            seconds=time.perf_counter() - started,
            details=details,
            command=["motionloom.generate"],
        )
        return replace(clip, provenance=facts)

    @abstractmethod
    def render(self, request: Request) -> NDArray[np.uint8]:
        """Frames uint8 [T, H, W, 3] of a settled request."""

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the clip for a photograph of (height, width)."""
        return image_size

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself, or `InputError` if the model cannot make it."""
        if min(size) < 1:
            raise InputError(f"size: found {size[1]}x{size[0]}, expected positive sides")
        return (int(size[0]), int(size[1]))

    def legal_frames(self, num_frames: int) -> int:
        """The number itself, or `InputError` if the model cannot make it."""
        return num_frames

    @abstractmethod
    def refuse(self, request: Request) -> None:
        """Raise `InputError` for what this model has no use for; warn about what it ignores."""


class WarpModel(Model):
    """The geometric model; see `motionloom.methods.warp`."""

    def __init__(self, card: ModelCard) -> None:
        from motionloom.methods.warp import WarpPipeline

        self.card, self.name, self.method, self.digest = card, card.name, "warp", _WARP_DIGEST
        self._pipeline = WarpPipeline()

    def refuse(self, request: Request) -> None:
        if request.last_image is not None:
            raise InputError("last_image: warp starts from one photograph only; leave it out or choose another model")
        ignored = [
            name
            for name in ("prompt", "negative_prompt", "num_inference_steps", "guidance_scale")
            if getattr(request, name) is not None
        ]
        if ignored:
            warnings.warn(f"warp has no use for {', '.join(ignored)}: ignored", stacklevel=4)

    def render(self, request: Request) -> NDArray[np.uint8]:
        return self._pipeline(
            request.image,
            request.tracks,
            request.layers or None,
            num_frames=request.num_frames,
            height=request.size[0],
            width=request.size[1],
            strength=request.strength,
            on_progress=request.on_progress,
        )


def _file(source: ImageSource | None) -> Path | None:
    return Path(source) if isinstance(source, (str, os.PathLike)) else None


def read_motion_for(path: str | os.PathLike[str], image_size: tuple[int, int]) -> Motion | Tracks:
    """The motion in a file of any supported format, for a photograph.

    Pixels of a file that names no canvas are the photograph's; frames of a file that names no rate are taken to follow
    at 16 per second, which a clip that shows the whole motion does not depend on.

    Args:
        image_size: (height, width) of the photograph.

    Raises:
        FileFormatError: no such file, or not a motion.
        AmbiguousUnitsError: the units stay unclear; the message says how to state them.
    """
    from motionloom.tracks.formats import read_motion

    if not Path(path).is_file():
        raise FileFormatError(f"{path}: no such file, expected a motion or tracks")
    known: dict[str, Any] = {}
    for name, value in (("size", image_size), ("fps", 16.0)):
        try:
            return read_motion(path, **known)
        except AmbiguousUnitsError:
            known[name] = value
    try:
        return read_motion(path, **known)
    except AmbiguousUnitsError as error:
        raise AmbiguousUnitsError(
            f"{error}; state it once with motionloom tracks convert {path} tracks.safetensors and generate from that"
        ) from None


def _fit(
    motion: Motion | Tracks | None, size: tuple[int, int], num_frames: int, fps: float | None
) -> tuple[Tracks, list[Layer]]:
    """The motion on the clip's canvas and frames, whole and by layers."""
    from motionloom.tracks.layers import Layer

    if motion is None:
        return Tracks.empty(num_frames, size, fps or 16.0), []
    if isinstance(motion, Tracks):
        tracks = motion.resize(size).resample(num_frames, fps=fps)
        return tracks, [Layer(tracks, None, False, "background", 0)]
    return motion.compile(size, num_frames, fps), motion.layers(size, num_frames, fps)
