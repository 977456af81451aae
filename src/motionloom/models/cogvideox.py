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
from motionloom.models.diffusers_model import DiffusersModel, fitted, held_tracks, in_bytes, telling
from motionloom.models.memory import fitting
from motionloom.models.model import Request
from motionloom.models.options import check_options, options_of
from motionloom.models.parameters import Settings

_PIPELINES = {
    "time_to_move": ("motionloom.methods.time_to_move.pipeline", "TimeToMoveCogVideoXPipeline"),
    "latent_trajectory": ("motionloom.methods.latent_trajectory.pipeline", "LatentTrajectoryCogVideoXPipeline"),
}
METHODS = tuple(_PIPELINES)
"""Ways of guiding a CogVideoX image-to-video pipeline."""

STEPS, GUIDANCE_SCALE = 50, 6.0
"""``inference/cli_demo.py`` of CogVideo."""

_NATIVE_1_5 = (768, 1360)
"""CogVideoX 1.5; its configuration names only the largest sides it can tell apart."""


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
    def native_size(self) -> tuple[int, int]:
        """(height, width) the transformer was made for: 480 x 720 in 1.0, about 768 x 1360 in 1.5."""
        return self._largest if self._one_size else self.card.native_size or _NATIVE_1_5

    @property
    def _largest(self) -> tuple[int, int]:
        config, side = self.pipeline.transformer.config, self.pipeline.vae_scale_factor_spatial
        return config.sample_height * side, config.sample_width * side

    @property
    def _one_size(self) -> bool:
        """CogVideoX 1.0 learnt a position for every token of one size and length; it can make no other."""
        return bool(self.pipeline.transformer.config.use_learned_positional_embeddings)

    @property
    def _step(self) -> int:
        return self.pipeline.vae_scale_factor_spatial * self.pipeline.transformer.config.patch_size

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        height, width = self.native_size
        return self.native_size if self._one_size else self.size_at(image_size, height * width)

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        height, width = super().legal_size(size)
        if self._one_size and (height, width) != self.native_size:
            only = self.native_size
            raise InputError(
                f"size: found {width}x{height}, expected {only[1]}x{only[0]}: {self.name} was made for this one size; "
                "leave it out (the photograph is stretched to it, and the motion with it)"
            )
        self._refuse_odd_size((height, width))
        most = self._largest
        if height > most[0] or width > most[1]:
            raise InputError(f"size: found {width}x{height}, expected at most {most[1]}x{most[0]} for {self.name}")
        return height, width

    def legal_frames(self, num_frames: int) -> int:
        most = self.pipeline.transformer.config.sample_frames
        if self._one_size and num_frames > most:
            raise InputError(f"num_frames: found {num_frames}, expected at most {most} for {self.name}")
        return num_frames

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
        with fitting(self.plan, self.pipeline, request.size, frames):
            video = self.pipeline(
                image=fitted(request.image, request.size),
                height=height,
                width=width,
                num_frames=frames,
                num_inference_steps=steps,
                guidance_scale=scale,
                generator=torch.Generator("cpu").manual_seed(request.seed),
                output_type="np",
                callback_on_step_end=telling(request),
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
        if self._one_size:
            return self.pipeline.transformer.config.sample_frames
        return self._whole_latents(num_frames)

    def _known_options(self) -> Mapping[str, str]:
        # The collisions are drawn from the run's seed.
        known = options_of(type(self.pipeline), CogVideoXImageToVideoPipeline)
        return {name: kind for name, kind in known.items() if name != "collision_seed"} | {"use_dynamic_cfg": "bool"}
