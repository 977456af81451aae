"""Models of the Wan family: a stock image-to-video pipeline guided by ATI or Wan-Move."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from numpy.typing import NDArray
from PIL import Image

from motionloom.errors import InputError
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.guidance import TrackConditionedPipeline, check_pipeline
from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.models.catalog import ModelCard
from motionloom.models.model import Model, Request
from motionloom.models.nano.guidance import ati_temperature
from motionloom.tracks.dense import dense_tracks
from motionloom.tracks.tracks import Tracks

METHODS: dict[str, type[TrackConditionedPipeline]] = {
    "ati": ATIWanImageToVideoPipeline,
    "wan_move": WanMoveImageToVideoPipeline,
}


class WanModel(Model):
    """A Wan image-to-video pipeline with one of `METHODS`.

    Args:
        pipeline: unmodified; its components are shared, it is left as it is.
        method: a key of `METHODS`.
        digest: hex SHA-256 of the weights.

    Raises:
        InputError: an unknown method, or a pipeline that tracks cannot guide.
    """

    def __init__(self, pipeline: WanImageToVideoPipeline, card: ModelCard, *, name: str, method: str, digest: str):
        if method not in METHODS:
            raise InputError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
        check_pipeline(pipeline)
        self.card, self.name, self.method, self.digest = card, name, method, digest
        self.pipeline: Any = METHODS[method](**pipeline.components)
        self.pipeline.set_progress_bar_config(disable=True)

    @property
    def _step(self) -> int:
        """Pixels that height and width must be a multiple of; the stock pipeline insists on 16."""
        token = self.pipeline.vae_scale_factor_spatial * self.pipeline.transformer.config.patch_size[1]
        return math.lcm(token, 16)

    @property
    def _reads_text(self) -> bool:
        return self.pipeline.text_encoder is not None

    def default_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        height, width = self.card.native_size or image_size
        aspect = math.sqrt(image_size[0] / image_size[1])
        side = math.sqrt(height * width)
        # Extreme shapes would leave one side below a token; they are cut off at 4:1.
        aspect = min(max(aspect, 0.5), 2.0)
        return self._nearest(side * aspect), self._nearest(side / aspect)

    def legal_size(self, size: tuple[int, int]) -> tuple[int, int]:
        height, width = super().legal_size(size)
        if height % self._step or width % self._step:
            raise InputError(
                f"size: found {width}x{height}, expected multiples of {self._step}; "
                f"the nearest is {self._nearest(width)}x{self._nearest(height)}"
            )
        return height, width

    def legal_frames(self, num_frames: int) -> int:
        stride = self.pipeline.vae_scale_factor_temporal
        if (num_frames - 1) % stride:
            below = (num_frames - 1) // stride * stride + 1
            raise InputError(
                f"num_frames: found {num_frames}, expected 1 + a multiple of {stride}; "
                f"the nearest are {below} and {below + stride}"
            )
        return num_frames

    def refuse(self, request: Request) -> None:
        if not self._reads_text:
            if request.prompt or request.negative_prompt:
                warnings.warn(f"{self.name} reads no text: the prompt is ignored", stacklevel=4)
            if request.last_image is not None:
                raise InputError(
                    f"last_image: {self.name} was trained to start from one photograph; leave it out, or choose a "
                    "model with a last frame"
                )

    def render(self, request: Request) -> NDArray[np.uint8]:
        height, width = request.size
        steps = request.num_inference_steps or self.card.default_steps or 40
        tracks = self._tracks(request)
        guidance_scale = request.guidance_scale
        if guidance_scale is None:
            guidance_scale = 5.0 if self._reads_text else 1.0
        request.details.update(num_inference_steps=steps, guidance_scale=guidance_scale, tracks_seen=tracks.num_tracks)

        def after_step(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
            if request.on_progress is not None:
                request.on_progress(step + 1, steps)
            return {}

        if request.on_progress is not None:
            request.on_progress(0, steps)
        frames = self.pipeline(
            image=_fitted(request.image, request.size),
            height=height,
            width=width,
            num_frames=request.num_frames,
            num_inference_steps=steps,
            guidance_scale=guidance_scale,
            generator=torch.Generator("cpu").manual_seed(request.seed),
            output_type="np",
            callback_on_step_end=after_step,
            tracks=tracks,
            strength=request.strength,
            window=request.window,
            **self._text(request),
            **self._options(request),
        ).frames[0]
        return np.clip(np.round(frames * 255), 0, 255).astype(np.uint8)

    def _tracks(self, request: Request) -> Tracks:
        spread = not self._reads_text if request.densify is None else request.densify
        if not spread or request.tracks.num_tracks == 0:
            return request.tracks
        return dense_tracks(request.layers, self.pipeline.vae_scale_factor_spatial)

    def _text(self, request: Request) -> dict[str, Any]:
        if self._reads_text:
            return {
                "prompt": request.prompt or "",
                "negative_prompt": request.negative_prompt,
                "last_image": None if request.last_image is None else _fitted(request.last_image, request.size),
            }
        # Without text, classifier-free guidance can only be about motion: the other branch does not see the tracks.
        nothing = torch.zeros(1, 1, self.pipeline.transformer.config.text_dim)
        return {"prompt_embeds": nothing, "negative_prompt_embeds": nothing, "drop_tracks_in_uncond": True}

    def _options(self, request: Request) -> dict[str, Any]:
        if self.method == "ati" and self.card.name == "nano":
            return {"temperature": ati_temperature(min(request.size) // self.pipeline.vae_scale_factor_spatial)}
        return {"collision_seed": request.seed} if self.method == "wan_move" else {}

    def _nearest(self, side: float) -> int:
        return max(1, round(side / self._step)) * self._step


def _fitted(image: NDArray[np.uint8], size: tuple[int, int]) -> Image.Image:
    """The photograph at (height, width), antialiased, so that the pipeline has nothing left to resize."""
    return Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.LANCZOS)
