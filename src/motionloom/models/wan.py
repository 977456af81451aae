"""Models of the Wan family: the stock image-to-video pipeline, guided, and run as the published programs run it."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.methods.wan import published_scheduler
from motionloom.models.card import ModelCard, Sampling
from motionloom.models.clip_shape import ClipShape, wan_shape
from motionloom.models.diffusers_model import DiffusersModel, fitted, held_tracks, in_bytes, telling
from motionloom.models.memory import fitting
from motionloom.models.model import Request
from motionloom.models.nano.few_steps import first_order, step_token
from motionloom.models.nano.guidance import guidance_options
from motionloom.models.options import check_options, options_of
from motionloom.models.parameters import Settings
from motionloom.models.preview_frames import previewing
from motionloom.tracks.dense import dense_tracks
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks

_PIPELINES = {
    "ati": ("motionloom.methods.ati.pipeline", "ATIWanImageToVideoPipeline"),
    "wan_move": ("motionloom.methods.wan_move.pipeline", "WanMoveImageToVideoPipeline"),
    "time_to_move": ("motionloom.methods.time_to_move.pipeline", "TimeToMoveWanPipeline"),
    "latent_trajectory": ("motionloom.methods.latent_trajectory.pipeline", "LatentTrajectoryWanPipeline"),
}
METHODS = tuple(_PIPELINES)
"""Ways of guiding a Wan image-to-video pipeline."""

_CONDITION_METHODS = ("ati", "wan_move")
_NOISE = ("cpu", "device")
"""Where a seed's noise is drawn: on the CPU, the same on every machine and as ComfyUI does it; or where the model runs,
as the programs of Wan, ATI and Wan-Move do, whose seeds then mean the same here on the same kind of GPU."""

_DIFFUSERS = Sampling(num_inference_steps=50, guidance_scale=5.0)
"""The defaults of `WanImageToVideoPipeline.__call__`."""


def pipeline_class(method: str) -> Any:
    """The pipeline of one of `METHODS`.

    Raises:
        InputError: there is no such method.
    """
    if method not in _PIPELINES:
        raise InputError(f"method: found {method!r}, expected one of {', '.join(METHODS)}")
    module, name = _PIPELINES[method]
    return getattr(importlib.import_module(module), name)


class WanModel(DiffusersModel):
    """A Wan image-to-video pipeline with one of `METHODS`.

    Args:
        pipeline: unmodified; its components are shared, it is left as it is.
        method: a key of `METHODS`.
        digest: hex SHA-256 of the weights.
        settings: "published" follows the card's `Sampling` and prepares pictures as the published programs do,
            "diffusers" the stock pipeline and the scheduler in the model's folder.
        loaded_with: see `Model`.

    Attributes:
        adapters: facts of the LoRAs attached, as `motionloom.models.lora.load_loras` gives them.

    Raises:
        InputError: an unknown method, or a pipeline that tracks cannot guide.
    """

    can_be_shared = True
    adapters: Sequence[Mapping[str, Any]] = ()

    def __init__(
        self,
        pipeline: WanImageToVideoPipeline,
        card: ModelCard,
        *,
        name: str,
        method: str,
        digest: str,
        settings: Settings = "published",
        loaded_with: Mapping[str, Any] | None = None,
    ) -> None:
        wanted = pipeline_class(method)
        if method in _CONDITION_METHODS:
            from motionloom.methods.guidance import check_pipeline

            check_pipeline(pipeline)
        self.card, self.name, self.method, self.digest = card, name, method, digest
        self.loaded_with = {"method": method, **(loaded_with or {})}
        self.sampling = card.sampling if settings == "published" else None
        self.pipeline: Any = wanted.from_pipe(pipeline)
        self._own_scheduler = self.pipeline.scheduler
        self.pipeline.set_progress_bar_config(disable=True)

    @property
    def shape(self) -> ClipShape:
        config = self._transformer.config
        return wan_shape(
            self.name,
            self.card,
            strides=(self.pipeline.vae_scale_factor_temporal, self.pipeline.vae_scale_factor_spatial),
            patch=tuple(config.patch_size),
            positions=getattr(config, "rope_max_seq_len", None),
            published=self.sampling is not None,
        )

    @property
    def _predicts(self) -> Literal["flow_prediction", "sample"]:
        """What its transformer was trained to predict: the flow, as the published models, or the clean sample."""
        return "sample" if self._own_scheduler.config.get("prediction_type") == "sample" else "flow_prediction"

    @property
    def _moves_nano(self) -> bool:
        return self.method == "time_to_move" and self.card.name == "nano"

    @property
    def _transformer(self) -> Any:
        return self.pipeline.transformer or self.pipeline.transformer_2

    def refuse(self, request: Request) -> None:
        if not self.reads_text and (request.prompt or request.negative_prompt):
            warnings.warn(f"{self.name} reads no text: the prompt is ignored", stacklevel=4)
        if request.last_image is not None:
            if not (self.reads_text or self.card.takes_last_image):
                raise InputError(
                    f"last_image: {self.name} was trained to start from one photograph; leave it out, or choose a "
                    "model with a last frame"
                )
            frames = self.shape.whole_latents(request.num_frames)
            if frames != request.num_frames:
                stride = self.pipeline.vae_scale_factor_temporal
                raise InputError(
                    f"num_frames: found {request.num_frames} with a last image, expected 1 + a multiple of {stride}; "
                    f"the nearest are {frames - stride} and {frames}"
                )
        if request.guidance_scale_2 is not None and self.pipeline.transformer_2 is None:
            raise InputError(f"guidance_scale_2: {self.name} has one expert; leave it out")
        self._refuse_window_of_clocks(request)
        known = self._known_options()
        if request.solver == "euler" and self._predicts == "sample":
            raise InputError(f"solver: found 'euler', expected 'unipc' or 'dpm++': {self.name} predicts clean frames")
        check_options(request.options, known, self.method)
        noise = request.options.get("noise", "cpu")
        if "noise" in known and noise not in _NOISE:
            raise InputError(f"noise: found {noise!r}, expected one of {', '.join(_NOISE)}")

    def render(self, request: Request) -> NDArray[np.uint8]:
        return self.render_seeds(request, [request.seed])[0]

    def render_seeds(self, request: Request, seeds: Sequence[int]) -> list[NDArray[np.uint8]]:
        """All seeds in one batch; the text encoder, CLIP and the VAE's encoder run once."""
        asked, request = request, replace(request, num_frames=self.shape.whole_latents(request.num_frames))
        height, width = request.size
        settings = self._sampling(request)
        if self.adapters:
            kept = ("file", "sha256", "rank", "modules", "experts", "strength")
            request.details.setdefault("loras", [{key: facts[key] for key in kept} for facts in self.adapters])

        # Time-to-Move leaves out steps at the beginning; how many there are is known with the first.
        if request.on_progress is not None and self.method != "time_to_move":
            request.on_progress(0, settings["num_inference_steps"])
        arguments = {
            **self._pictures(request),
            **self._motion(request, asked.num_frames),
            **self._text(request, settings.pop("negative_prompt"), settings["num_inference_steps"]),
            **settings,
            "height": height,
            "width": width,
            "num_frames": request.num_frames,
            "num_videos_per_prompt": len(seeds),
            "generator": self._generators(request, seeds),
            "output_type": "np",
            "strength": request.strength,
            **self._method_options(request),
        }
        fits = fitting(self.plan, self.pipeline, request.size, request.num_frames, batch=len(seeds))
        shared = self._shared(request, settings["guidance_scale"])
        with fits, shared, previewing(self.pipeline, request) as previews:
            output = self.pipeline(**arguments, callback_on_step_end=telling(request, previews))
        # Frames beyond what was asked for fill up the last latent frame.
        return [in_bytes(video[: asked.num_frames]) for video in output.frames]

    def _generators(self, request: Request, seeds: Sequence[int]) -> list[torch.Generator]:
        """One for each seed; see `_NOISE`."""
        on_cpu = request.options.get("noise", "cpu") == "cpu"
        device = torch.device("cpu") if on_cpu else self.pipeline._execution_device
        return [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def _shared(self, request: Request, guidance_scale: float) -> AbstractContextManager[Any]:
        if self.sharing is None:
            return nullcontext()
        size, frames = request.size, request.num_frames
        return self.sharing(self.pipeline, size=size, num_frames=frames, guidance_scale=guidance_scale)

    def _sampling(self, request: Request) -> dict[str, Any]:
        """Steps, guidance and negative prompt of a run; puts its scheduler in place."""
        published = self.sampling or replace(_DIFFUSERS, num_inference_steps=self.card.default_steps or 50)
        scale, second = request.guidance_scale, request.guidance_scale_2
        if self.reads_text or self.sampling is not None:
            second = second if second is not None else published.guidance_scale_2 if scale is None else None
            scale = published.guidance_scale if scale is None else scale
        elif scale is None:
            scale = 1.0
        steps = request.num_inference_steps or published.num_inference_steps
        if self._moves_nano and self._is_moved(request):
            from motionloom.methods.time_to_move.dual_clock import NANO_STEPS

            steps = request.num_inference_steps or NANO_STEPS
        if published.steps_are_fixed and steps != published.num_inference_steps:
            warnings.warn(
                f"{self.name} is distilled for {published.num_inference_steps} steps, found {steps}", stacklevel=5
            )
        few = self._few_steps(request, steps)
        self.pipeline.scheduler = self._own_scheduler if few is None else first_order(self._own_scheduler, few)
        if self.sampling is not None or request.shift is not None or request.solver is not None:
            solver = request.solver or published.solver
            # The native size is rounded to the photograph's shape, its shift is not.
            native = request.size == self.default_size((request.photograph.shape[0], request.photograph.shape[1]))
            fixed = native or published.steps_are_fixed  # a distilled model knows one grid
            shift = request.shift or (published.shift if fixed else published.shift_at(request.size))
            if solver != "own":
                self.pipeline.scheduler = published_scheduler(solver, shift, self._predicts)
                request.details.update(solver=solver, shift=round(shift, 4))
        settings: dict[str, Any] = {"num_inference_steps": steps, "guidance_scale": scale}
        if self.pipeline.config["boundary_ratio"] is not None:
            settings["guidance_scale_2"] = second
        request.details.update(settings)
        if few is not None:
            request.details.update(distilled_steps=few)
        return {**settings, "negative_prompt": published.negative_prompt}

    def _pictures(self, request: Request) -> dict[str, Any]:
        if self.sampling is not None:
            return {"image": request.photograph, "last_image": request.last_image, "preprocessing": "published"}
        last = request.last_image
        return {
            "image": fitted(request.photograph, request.size),
            "last_image": None if last is None else fitted(last, request.size),
        }

    def _motion(self, request: Request, drawn_frames: int) -> dict[str, Any]:
        """The motion as the method takes it, held still on the frames that fill up the last latent frame."""
        more = request.num_frames - drawn_frames
        if self.method == "time_to_move":
            return self._motion_cue(request, drawn_frames, more)
        tracks = self._tracks(request)
        request.details.update(tracks_seen=tracks.num_tracks)
        return {"tracks": held_tracks(tracks, more), "window": request.window}

    def _tracks(self, request: Request) -> Tracks:
        spread = not self.reads_text if request.densify is None else request.densify
        if not spread or request.tracks.num_tracks == 0:
            return request.tracks
        layers: Sequence[Layer] = request.layers
        return dense_tracks(layers, self.pipeline.vae_scale_factor_spatial)

    def _is_moved(self, request: Request) -> bool:
        """Time-to-Move puts a moved clip into the run, which then has not the model's own grid."""
        return self.method == "time_to_move" and request.strength > 0 and bool(request.tracks.visible.any())

    def _few_steps(self, request: Request, steps: int) -> int | None:
        """The step count the weights are told of, where they were distilled to it and run on the grid of that."""
        own_grid = request.solver is None and request.shift is None and not self._is_moved(request)
        return steps if own_grid and steps in self.card.distilled_steps else None

    def _text(self, request: Request, negative_prompt: str, steps: int) -> dict[str, Any]:
        if self.reads_text:
            negative = negative_prompt if request.negative_prompt is None else request.negative_prompt
            return {"prompt": request.prompt or "", "negative_prompt": negative}
        # 512 rows where CLIP tokens come in front of the text: the stock attention counts on that many.
        rows = 1 if self._transformer.config.image_dim is None else 512
        told = step_token(self._few_steps(request, steps), self._transformer.config.text_dim).repeat(1, rows, 1)
        told = told.to(self.pipeline._execution_device)  # the stock pipeline moves only what it encodes itself
        return {"prompt_embeds": told, "negative_prompt_embeds": told}

    def _known_options(self) -> Mapping[str, str]:
        return {**options_of(type(self.pipeline), WanImageToVideoPipeline), "noise": "Noise"}

    def _method_options(self, request: Request) -> dict[str, Any]:
        options: dict[str, Any] = {}
        if self.method in _CONDITION_METHODS and not self.reads_text:
            # Without text, classifier-free guidance can only be about motion: the other branch sees no tracks.
            options["cfg_mode"] = "joint"
        if self._moves_nano:
            from motionloom.methods.time_to_move.dual_clock import NANO

            options |= {"t_weak": NANO.t_weak, "t_strong": NANO.t_strong}
        short_cells = min(request.size) // self.pipeline.vae_scale_factor_spatial
        options |= guidance_options(self.method, short_cells, self.card.guidance)
        return {**options, **{name: value for name, value in request.options.items() if name != "noise"}}
