"""CogVideoX models (1.0 and 1.5): how they run, and two ways of moving them that need no weights trained on tracks."""

from __future__ import annotations

import importlib
import warnings
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.models.card import ModelCard
from motionloom.models.clip_shape import ClipShape, cogvideox_shape
from motionloom.models.diffusers_model import DiffusersModel, fitted, held_tracks, in_bytes, telling
from motionloom.models.memory import fitting
from motionloom.models.model import Request
from motionloom.models.options import check_options, options_of
from motionloom.models.parameters import Settings
from motionloom.models.preview_frames import previewing

_PIPELINES = {
    "time_to_move": ("motionloom.methods.time_to_move.pipeline", "TimeToMoveCogVideoXPipeline"),
    "latent_trajectory": ("motionloom.methods.latent_trajectory.pipeline", "LatentTrajectoryCogVideoXPipeline"),
}
METHODS = tuple(_PIPELINES)
"""Ways of guiding a CogVideoX image-to-video pipeline."""

STEPS, GUIDANCE_SCALE = 50, 6.0
"""``inference/cli_demo.py`` of CogVideo."""


class CogVideoXBase(DiffusersModel):
    """A CogVideoX pipeline, run as its authors run it. Models say what guides it: `_motion`.

    Attributes:
        settings: "published" runs the authors' stochastic DPM solver on trailing timesteps with dynamic guidance, as
            their ``cli_demo.py``; "diffusers" the scheduler in the model's folder and constant guidance.
    """

    can_be_shared = True
    settings: Settings

    def _prepare(self, pipeline: Any, settings: Settings) -> None:
        """Take a pipeline of the model's own, whose scheduler follows the settings."""
        self.pipeline, self.settings = pipeline, settings
        pipeline.set_progress_bar_config(disable=True)
        if settings == "published":
            pipeline.scheduler = CogVideoXDPMScheduler.from_config(
                pipeline.scheduler.config, timestep_spacing="trailing"
            )

    @property
    def shape(self) -> ClipShape:
        return cogvideox_shape(
            self.name,
            self.card,
            self.pipeline.transformer.config,
            strides=(self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial),
        )

    def refuse(self, request: Request) -> None:
        if request.last_image is not None:
            start = "one photograph" if self.takes_image else "no photograph"
            raise InputError(f"last_image: {self.name} starts from {start}; leave it out")
        if request.guidance_scale_2 is not None:
            raise InputError(f"guidance_scale_2: {self.name} has one expert; leave it out")
        if request.shift is not None or request.solver not in (None, "own"):
            name = "solver" if request.shift is None else "shift"
            raise InputError(
                f"{name}: is for the Wan models; {self.name} has a solver of its own (load it with "
                'settings="diffusers" for the one in its folder)'
            )
        if not self.reads_text and (request.prompt or request.negative_prompt):
            warnings.warn(f"{self.name} has no text encoder: the prompt is ignored", stacklevel=4)
        self._refuse_window_of_clocks(request)
        check_options(request.options, self._known_options(), self.method)

    def render(self, request: Request) -> NDArray[np.uint8]:
        frames = self._frames_made(request.num_frames)
        steps = request.num_inference_steps or self.card.default_steps or STEPS
        scale = GUIDANCE_SCALE if request.guidance_scale is None else request.guidance_scale
        dynamic = request.options.get("use_dynamic_cfg", self.settings == "published")
        request.details.update(num_inference_steps=steps, guidance_scale=scale, use_dynamic_cfg=dynamic)

        if request.on_progress is not None:
            request.on_progress(0, steps)
        height, width = request.size
        fits = fitting(self.plan, self.pipeline, request.size, frames, windows=self._windows(request, frames))
        shared = self._shared(request, frames, scale)
        arguments = {
            "height": height,
            "width": width,
            "num_frames": frames,
            "num_inference_steps": steps,
            "guidance_scale": scale,
            "generator": torch.Generator("cpu").manual_seed(request.seed),
            "output_type": "np",
            "strength": request.strength,
            "use_dynamic_cfg": dynamic,
            **request.options,
            **self._pictures(request),
            **self._text(request),
            **self._motion(request, frames),
        }
        with fits, shared, previewing(self.pipeline, request) as previews:
            video = self.pipeline(**arguments, callback_on_step_end=telling(request, previews)).frames[0]
        return in_bytes(video[: request.num_frames])

    @abstractmethod
    def _motion(self, request: Request, frames_made: int) -> dict[str, Any]:
        """The motion as the pipeline takes it, held still on the frames that are cut off in the end."""

    @abstractmethod
    def _known_options(self) -> Mapping[str, str]:
        """Options of the method; see `motionloom.models.options`."""

    def _pictures(self, request: Request) -> dict[str, Any]:
        return {"image": fitted(request.photograph, request.size)}

    def _text(self, request: Request) -> dict[str, Any]:
        if self.reads_text:
            return {"prompt": request.prompt or "", "negative_prompt": request.negative_prompt or ""}
        config = self.pipeline.transformer.config
        nothing = torch.zeros(
            (1, config.max_text_seq_length, config.text_embed_dim),
            dtype=self.pipeline.dtype,
            device=self.pipeline._execution_device,  # the stock pipeline moves only what it encodes itself
        )
        return {"prompt_embeds": nothing, "negative_prompt_embeds": nothing}

    def _frames_made(self, num_frames: int) -> int:
        """The frames that the model makes for so many."""
        return self.shape.most_frames or self.shape.whole_latents(num_frames)

    def _windows(self, request: Request, frames_made: int) -> Sequence[slice] | None:
        """The latent frames that the transformer sees in each call, where it makes a clip in windows."""
        return None

    def _shared(self, request: Request, num_frames: int, guidance_scale: float) -> AbstractContextManager[Any]:
        if self.sharing is None:
            return nullcontext()
        return self.sharing(self.pipeline, size=request.size, num_frames=num_frames, guidance_scale=guidance_scale)


class CogVideoXModel(CogVideoXBase):
    """A CogVideoX image-to-video pipeline with one of `METHODS`.

    Args:
        pipeline: unmodified; its components are shared, it is left as it is.
        method: a key of `METHODS`.
        digest: hex SHA-256 of the weights.
        settings: see `CogVideoXBase`.
        loaded_with: see `Model`.

    Raises:
        InputError: an unknown method, or a pipeline that does not start from a photograph.
    """

    def __init__(
        self,
        pipeline: CogVideoXImageToVideoPipeline,
        card: ModelCard,
        *,
        name: str,
        method: str,
        digest: str,
        settings: Settings = "published",
        loaded_with: Mapping[str, Any] | None = None,
    ) -> None:
        if method not in _PIPELINES:
            raise InputError(
                f"method: found {method!r}, expected one of {', '.join(METHODS)}; CogVideoX has no weights trained on "
                "tracks for the others"
            )
        config = pipeline.transformer.config
        if config.in_channels != 2 * config.out_channels:
            raise InputError(
                f"model: the transformer takes {config.in_channels} channels, expected {2 * config.out_channels} "
                "(noise and photograph); use an image-to-video model of CogVideoX"
            )
        self.card, self.name, self.method, self.digest = card, name, method, digest
        self.loaded_with = {"method": method, **(loaded_with or {})}
        module, kind = _PIPELINES[method]
        self._prepare(getattr(importlib.import_module(module), kind)(**pipeline.components), settings)

    def _motion(self, request: Request, frames_made: int) -> dict[str, Any]:
        more = frames_made - request.num_frames

        if self.method == "time_to_move":
            return self._motion_cue(request, request.num_frames, more)
        tracks = request.tracks
        request.details.update(tracks_seen=tracks.num_tracks)
        return {"tracks": held_tracks(tracks, more), "window": request.window, "collision_seed": request.seed}

    def _known_options(self) -> Mapping[str, str]:
        # The collisions are drawn from the run's seed.
        known = options_of(type(self.pipeline), CogVideoXImageToVideoPipeline)
        return {name: kind for name, kind in known.items() if name != "collision_seed"} | {"use_dynamic_cfg": "bool"}
