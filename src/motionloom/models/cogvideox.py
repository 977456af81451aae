"""CogVideoX image-to-video models (1.0 and 1.5): moved without training, or shown tracks they were not trained for."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping
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


class CogVideoXModel(DiffusersModel):
    """A CogVideoX image-to-video pipeline with one of `METHODS`.

    Args:
        pipeline: unmodified; its components are shared, it is left as it is.
        method: a key of `METHODS`.
        digest: hex SHA-256 of the weights.
        settings: "published" runs the authors' stochastic DPM solver on trailing timesteps with dynamic guidance, as
            their ``cli_demo.py``; "diffusers" the scheduler in the model's folder and constant guidance.
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
        self.settings = settings
        module, kind = _PIPELINES[method]
        self.pipeline: Any = getattr(importlib.import_module(module), kind)(**pipeline.components)
        self.pipeline.set_progress_bar_config(disable=True)
        if settings == "published":
            self.pipeline.scheduler = CogVideoXDPMScheduler.from_config(
                pipeline.scheduler.config, timestep_spacing="trailing"
            )

    @property
    def shape(self) -> ClipShape:
        config = self.pipeline.transformer.config
        return cogvideox_shape(
            self.name,
            self.card,
            strides=(self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial),
            patch=config.patch_size,
            sample=(config.sample_frames, config.sample_height, config.sample_width),
            learned=bool(config.use_learned_positional_embeddings),
        )

    def refuse(self, request: Request) -> None:
        if request.last_image is not None:
            raise InputError(f"last_image: {self.name} starts from one photograph; leave it out")
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
        fits = fitting(self.plan, self.pipeline, request.size, frames)
        with fits, previewing(self.pipeline, request) as previews:
            video = self.pipeline(
                image=fitted(request.image, request.size),
                height=height,
                width=width,
                num_frames=frames,
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=torch.Generator("cpu").manual_seed(request.seed),
                output_type="np",
                callback_on_step_end=telling(request, previews),
                strength=request.strength,
                **{"use_dynamic_cfg": dynamic, **request.options},
                **self._text(request),
                **self._motion(request, frames),
            ).frames[0]
        return in_bytes(video[: request.num_frames])

    def _text(self, request: Request) -> dict[str, Any]:
        if self.reads_text:
            return {"prompt": request.prompt or "", "negative_prompt": request.negative_prompt or ""}
        config = self.pipeline.transformer.config
        nothing = torch.zeros(1, config.max_text_seq_length, config.text_embed_dim, dtype=self.pipeline.dtype)
        return {"prompt_embeds": nothing, "negative_prompt_embeds": nothing}

    def _motion(self, request: Request, frames_made: int) -> dict[str, Any]:
        """The motion as the method takes it, held still on the frames that are cut off in the end."""
        more = frames_made - request.num_frames

        if self.method == "time_to_move":
            return self._motion_cue(request, request.num_frames, more)
        tracks = request.tracks
        request.details.update(tracks_seen=tracks.num_tracks)
        return {"tracks": held_tracks(tracks, more), "window": request.window, "collision_seed": request.seed}

    def _frames_made(self, num_frames: int) -> int:
        """The frames that the model makes for so many."""
        return self.shape.most_frames or self.shape.whole_latents(num_frames)

    def _known_options(self) -> Mapping[str, str]:
        # The collisions are drawn from the run's seed.
        known = options_of(type(self.pipeline), CogVideoXImageToVideoPipeline)
        return {name: kind for name, kind in known.items() if name != "collision_seed"} | {"use_dynamic_cfg": "bool"}
