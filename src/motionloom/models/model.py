"""Model: a method bound to weights. One call turns a photograph and a motion into a clip."""

from __future__ import annotations

import os
import time
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionloom import provenance
from motionloom.errors import InputError
from motionloom.media import Clip, read_image
from motionloom.models.card import ModelCard, Solver
from motionloom.models.inputs import check_inputs, fit_motion, read_motion_for, refuse_motion_as_image
from motionloom.models.parameters import RESOLUTIONS, Parameters
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.motion import Motion

ImageSource = Any
"""A path, uint8 [H, W, 3], or a PIL image; see `motionloom.media.read_image`."""

Progress = Callable[[int, int], Any]

OnPreview = Callable[[NDArray[np.uint8]], Any]
"""Takes a small frame of a clip that is being made, uint8 [h, w, 3]."""


@dataclass(frozen=True)
class Request:
    """One clip to make, with everything settled: what a model's `render` gets.

    Attributes:
        image: uint8 [H, W, 3] as given; None for models that start from none. size: (height, width) of the clip.
        tracks: of all instructions, on ``size`` and on the clip's frames.
        layers: the same motion layer by layer, back to front.
        on_preview: see `Model.generate`; None: nobody wants to look.
    """

    image: NDArray[np.uint8] | None
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
    guidance_scale_2: float | None = None
    shift: float | None = None
    solver: Solver | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    on_preview: OnPreview | None = None
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def photograph(self) -> NDArray[np.uint8]:
        """The image, for models that start from one: `Model.run` has made sure that it is there."""
        if self.image is None:
            raise InputError("image: missing, expected a photograph")
        return self.image


class Model(ABC):
    """A method bound to weights, as `motionloom.load` returns it.

    Attributes:
        card: what the catalogue knows; name: how it was asked for; method: how tracks guide it.
        digest: hex SHA-256 of the weights, part of every clip's provenance.
        loaded_with: arguments of `motionloom.load` that change the result, part of the provenance too.
        plan: how it was fitted into memory, a `motionloom.models.memory.Plan`; None where nothing was to be fitted.
        notes: what was chosen for this machine when it was loaded, and why; one line each.
        sharing: `motionloom.scale.parallel.shared`, where several processes make a clip together; only of models that
            ``can_be_shared``.
    """

    card: ModelCard
    name: str
    method: str
    digest: str
    loaded_with: Mapping[str, Any] = MappingProxyType({})
    sharing: Callable[..., AbstractContextManager[Any]] | None = None
    can_be_shared: ClassVar[bool] = False
    notes: Sequence[str] = ()
    plan: Any = None

    def generate(
        self,
        image: ImageSource | None = None,
        motion: Motion | Tracks | str | os.PathLike[str] | None = None,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        seed: int = 0,
        size: tuple[int, int] | None = None,
        resolution: str | None = None,
        num_frames: int | None = None,
        fps: float | None = None,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        guidance_scale_2: float | None = None,
        shift: float | None = None,
        solver: Solver | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        last_image: ImageSource | None = None,
        densify: bool | None = None,
        options: Mapping[str, Any] | None = None,
        post: str | None = None,
        on_progress: Progress | None = None,
        on_preview: OnPreview | None = None,
    ) -> Clip:
        """A video of the photograph that moves as drawn; by text-to-video models, of what the prompt says.

        Args:
            image: a path, uint8 [H, W, 3] RGB, or a PIL image. It is scaled to the clip's size. None for text-to-video
                models: ``generate(None, motion, prompt="...")``.
            motion: a `Motion`, `Tracks`, a file of any supported format, or a video whose motion is taken over; None or
                no track: the model's own motion.
            prompt, negative_prompt: for models that read text; by default the published program's negative prompt.
                Text-to-video models cannot do without a prompt.
            seed: same seed and same inputs give the same clip on one machine.
            size: (height, width); by default the model's native area in the photograph's shape, or without one in that
                of the motion's canvas.
            resolution: "480p", "720p" or "1080p": so many pixels in that shape, instead of ``size``.
            num_frames: by default the model's, or the motion's where the model takes any number. The whole motion is
                fitted into them.
            fps: of the clip. By default the rate at which the clip lasts as long as the motion; given, the motion plays
                at its true speed and is cut, or holds its end.
            num_inference_steps, guidance_scale: of the denoising; by default the published program's.
            guidance_scale_2: of the second expert (Wan 2.2); by default the first one's, or the published program's.
            shift: of the noise levels; by default the published program's, adapted to the size.
            solver: "unipc", "dpm++" or "euler"; by default the published program's.
            strength: 1 is the method as published, 0 the base model.
            window: (start, end) of the denoising, 0 to 1, in which the tracks are seen.
            last_image: the last frame, for models that take one.
            densify: spread the drawn motion over the picture first (see `motionloom.tracks.dense`); by default as
                the model was trained.
            options: of the method, such as ``{"cfg_mode": "split"}``; see docs/methods.md.
            post: what is done to the finished frames, such as "sharpen,interpolate=2"; see `motionloom.media.post`.
            on_progress: called with (step, total); what it raises ends the run.
            on_preview: called about once a second while the model samples with the clip's middle frame as it is
                expected to become, uint8 [h, w, 3], small (about one pixel per latent cell); see
                `motionloom.models.preview_frames`. The clip is the same with and without, and without it costs nothing.
                Models that do not sample (warp) have nothing to show.

        Raises:
            InputError: an argument the model cannot work with; the message names it and what would do.
        """
        parameters = Parameters(
            prompt=prompt,
            negative_prompt=negative_prompt,
            seed=seed,
            size=size,
            resolution=resolution,
            num_frames=num_frames,
            fps=fps,
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            guidance_scale_2=guidance_scale_2,
            shift=shift,
            solver=solver,
            strength=strength,
            window=window,
            densify=densify,
            options=dict(options or {}),
            post=post,
            **self.loaded_with,
        )
        return self.run(
            image, motion, parameters, last_image=last_image, on_progress=on_progress, on_preview=on_preview
        )[0]

    def generate_videos(
        self,
        image: ImageSource | None = None,
        motion: Motion | Tracks | str | os.PathLike[str] | None = None,
        *,
        num_videos_per_prompt: int,
        last_image: ImageSource | None = None,
        on_progress: Progress | None = None,
        on_preview: OnPreview | None = None,
        **parameters: Any,
    ) -> list[Clip]:
        """Several videos of one photograph and motion, made together.

        Args:
            num_videos_per_prompt: the seeds are ``seed``, ``seed + 1``, ... Every clip is what `generate` gives for its
                seed, up to the rounding of batched arithmetic.
            on_preview: of the first video; see `generate`.
            **parameters: of `generate`, as are the errors.
        """
        return self.run(
            image,
            motion,
            Parameters(**parameters, **self.loaded_with),
            num_videos_per_prompt=num_videos_per_prompt,
            last_image=last_image,
            on_progress=on_progress,
            on_preview=on_preview,
        )

    def run(
        self,
        image: ImageSource | None,
        motion: Motion | Tracks | str | os.PathLike[str] | None,
        parameters: Parameters,
        *,
        num_videos_per_prompt: int = 1,
        last_image: ImageSource | None = None,
        on_progress: Progress | None = None,
        on_preview: OnPreview | None = None,
        motion_name: str | None = None,
        command: Sequence[str] = ("motionloom.generate",),
        beside: Path | None = None,
    ) -> list[Clip]:
        """`generate_videos` for parameters in one object.

        Args:
            parameters: those of `motionloom.load` are only recorded, since the model is loaded already.
            motion_name, command, beside: for the provenance; see `motionloom.provenance.run_record`.
        """
        if num_videos_per_prompt < 1:
            raise InputError(f"num_videos_per_prompt: found {num_videos_per_prompt}, expected at least 1")
        if parameters.seed < 0:
            raise InputError(f"seed: found {parameters.seed}, expected 0 to 2^63 - 1")
        steps_after = parsed_post(parameters.post)
        refuse_motion_as_image(image)
        check_inputs(
            self.name,
            has_image=image is not None,
            prompt=parameters.prompt,
            takes_image=self.takes_image,
            reads_text=self.reads_text,
        )
        picture = None if image is None else read_image(image)
        drawn = motion
        if isinstance(drawn, (str, os.PathLike)):
            drawn = read_motion_for(drawn, self._canvas(picture, None, parameters))
        if picture is not None and not self.takes_image:
            image, parameters = None, self.shaped_like(picture, parameters)
            picture = None
        request = self._request(picture, drawn, parameters, last_image, on_progress, on_preview)
        self.refuse(request)
        started = time.perf_counter()
        made = self.render_seeds(request, [parameters.seed + index for index in range(num_videos_per_prompt)])
        seconds = time.perf_counter() - started
        clips: list[Clip] = []
        for index, pixels in enumerate(made):
            clip = Clip(pixels, request.tracks.fps)
            if steps_after:
                from motionloom.media.post import postprocess

                clip = Clip(*postprocess(clip.frames, steps_after, clip.fps))
            record = provenance.run_record(
                image=_file(image),
                from_pixels=image is not None,
                last_image=_file(last_image),
                motion=drawn or request.tracks,
                motion_name=Path(motion).name if isinstance(motion, (str, os.PathLike)) else motion_name,
                model=self.name,
                digest=self.digest,
                parameters=replace(parameters, seed=parameters.seed + index).record(),
                beside=beside,
            )
            details = {
                "method": self.method,
                "size": list(request.size),
                "num_frames": clip.num_frames,
                "fps": clip.fps,
                "tracks": request.tracks.num_tracks,
                **request.details,
            }
            facts = provenance.finished(
                record,
                frames_sha256=clip.digest(),
                seconds=seconds / len(made),
                details=details,
                command=command,
            )
            clips.append(replace(clip, provenance=facts))
        return clips

    def shaped_like(self, picture: NDArray[np.uint8], parameters: Parameters) -> Parameters:
        """The parameters of a clip in a photograph's shape, for models that take no photograph: all they use of it."""
        warnings.warn(
            f"{self.name} makes its own picture from the prompt: of the photograph only the shape is used",
            stacklevel=4,
        )
        return replace(parameters, size=self._size(picture, None, parameters), resolution=None)

    def _size(
        self, picture: NDArray[np.uint8] | None, motion: Motion | Tracks | None, parameters: Parameters
    ) -> tuple[int, int]:
        """(height, width) of the clip, as given or chosen."""
        size = parameters.size
        if size is None:
            shape = self._canvas(picture, motion, parameters)
            area = RESOLUTIONS.get(parameters.resolution or "")
            size = self.default_size(shape) if area is None else self.size_at(shape, area)
        return self.legal_size(size)

    def _canvas(
        self, picture: NDArray[np.uint8] | None, motion: Motion | Tracks | None, parameters: Parameters
    ) -> tuple[int, int]:
        """(height, width) that gives the clip its shape: the photograph's, else the motion's, else the model's own."""
        if picture is not None:
            return picture.shape[0], picture.shape[1]
        if motion is not None:
            return motion.size
        found = parameters.size or self.card.native_size
        if found is None:
            raise InputError(
                f"size: missing, {self.name} has no size of its own; without a photograph or a motion give one"
            )
        return found

    def _request(
        self,
        picture: NDArray[np.uint8] | None,
        motion: Motion | Tracks | None,
        parameters: Parameters,
        last_image: ImageSource | None,
        on_progress: Progress | None,
        on_preview: OnPreview | None = None,
    ) -> Request:
        size = self._size(picture, motion, parameters)
        frames = parameters.num_frames or self.card.num_frames or (motion.num_frames if motion else None)
        if frames is None:
            raise InputError("num_frames: without a motion the number of frames has to be given")
        frames = self.legal_frames(frames)
        rate = parameters.fps or (None if motion else self.card.fps or 16.0)
        tracks, layers = fit_motion(motion, size, frames, rate)
        taken = Request.__dataclass_fields__.keys() & Parameters.__dataclass_fields__.keys() - {"size", "num_frames"}
        return Request(
            image=picture,
            tracks=tracks,
            layers=layers,
            size=size,
            num_frames=frames,
            last_image=None if last_image is None else read_image(last_image),
            on_progress=on_progress,
            on_preview=on_preview,
            **{name: getattr(parameters, name) for name in taken},
        )

    def render_seeds(self, request: Request, seeds: Sequence[int]) -> list[NDArray[np.uint8]]:
        """`render` for each seed; a model that can makes them in one batch."""
        return [self.render(replace(request, seed=seed)) for seed in seeds]

    @abstractmethod
    def render(self, request: Request) -> NDArray[np.uint8]:
        """Frames uint8 [T, H, W, 3] of a settled request."""

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(height, width) of the clip for a photograph of (height, width)."""
        return image_size

    def size_at(self, image_size: tuple[int, int], area: int) -> tuple[int, int]:
        """(height, width) of about ``area`` pixels in the shape of a photograph of (height, width)."""
        scale = (area / (image_size[0] * image_size[1])) ** 0.5
        # Even sides: most video formats store colour at half the size.
        height, width = (max(2, round(side * scale / 2) * 2) for side in image_size)
        return height, width

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """The size itself, or `InputError` if the model cannot make it."""
        if min(size) < 1:
            raise InputError(f"size: found {size[1]}x{size[0]}, expected positive sides")
        return (int(size[0]), int(size[1]))

    def legal_frames(self, num_frames: int) -> int:
        """The number itself, or `InputError` if the model cannot make it."""
        return num_frames

    @property
    def takes_image(self) -> bool:
        """Whether its clips start from a photograph; text-to-video models make their own picture."""
        return self.card.takes_image

    @property
    def reads_text(self) -> bool:
        """Whether a prompt means anything to it."""
        return False

    @abstractmethod
    def refuse(self, request: Request) -> None:
        """Raise `InputError` for what this model has no use for; warn about what it ignores."""


def parsed_post(post: str | None) -> Sequence[Any]:
    """The steps of `motionloom.media.post`, checked before the long part begins."""
    if not post:
        return ()
    from motionloom.media.post import parse_post

    return parse_post(post)


def _file(source: ImageSource | None) -> Path | None:
    return Path(source) if isinstance(source, (str, os.PathLike)) else None
