"""One call of a CogVideoX pipeline that follows trajectories: what it asks for, and how it is shown to the transformer.

The pipelines' own code runs unchanged. Their latents tell the size of the clip (`prepare_latents`), from which the
features of the motion are computed, once per run; an adapter attached to the transformer for the length of the call
puts them in. Guidance by the number of the step comes in through the property that the stock loop reads.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, get_args

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler
from diffusers.schedulers.scheduling_dpm_cogvideox import CogVideoXDPMScheduler
from torch import Tensor
from transformers import T5EncoderModel, T5Tokenizer

from motionloom.errors import InputError
from motionloom.methods.guidance import TrackGuidance
from motionloom.methods.latent_trajectory.calls import after_each_step
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.flow import Normalisation
from motionloom.methods.tora.fuser import Cache
from motionloom.methods.tora.guidance_scale import (
    DynamicGuidance,
    scale_at_step,
    scale_at_timestep,
)
from motionloom.methods.tora.hooks import Attachment, attach
from motionloom.methods.tora.motion_latents import (
    Flow,
    Posterior,
    given_video,
    motion_latents,
    part_of,
    tracks_videos,
)
from motionloom.methods.tora.windows import ImageCondition, Order, plan_windows, usual_order, windowed
from motionloom.tracks.tracks import Tracks

Negative = Literal["encoded", "zero"]
"""The unconditional branch sees the negative prompt ("" by default) as the text encoder codes it; or zeros, as in the
original program."""
OVERLAP = 16
"""Frames that windows share at least, unless asked otherwise."""


@dataclass
class _Run:
    """One call, and where it is."""

    guidance: TrackGuidance
    flows: Sequence[Flow]
    latent_frames: int  # that are kept
    windows: list[slice]
    turns: int  # how often the steps are gone through: once, or once for every window
    colours: dict[str, Any]
    posterior: Posterior
    motion_seed: int
    dynamic: DynamicGuidance | None
    zero_negative: bool
    attachment: Attachment | None = None
    features: list[list[Tensor]] = field(default_factory=list)
    left_alone: list[int] = field(default_factory=list)  # videos of a batch that nothing moves in
    step: int = 0


class WithTora:
    """Mixin: put it before a CogVideoX pipeline class of diffusers."""

    _optional_components: ClassVar[list[str]] = ["adapter", "motion_vae"]
    adapter: ToraAdapter | None
    motion_vae: Any
    _run: _Run | None = None

    def __init__(
        self,
        tokenizer: T5Tokenizer,
        text_encoder: T5EncoderModel,
        vae: AutoencoderKLCogVideoX,
        transformer: CogVideoXTransformer3DModel,
        scheduler: CogVideoXDDIMScheduler | CogVideoXDPMScheduler,
        adapter: ToraAdapter | None = None,
        motion_vae: AutoencoderKLCogVideoX | None = None,
    ) -> None:
        stock: Any = super()
        stock.__init__(tokenizer, text_encoder, vae, transformer, scheduler)
        if adapter is not None:
            adapter.check_fits(transformer)
        stock.register_modules(adapter=adapter, motion_vae=motion_vae)

    def __call__(
        self,
        *args: Any,
        tracks: Tracks | Sequence[Tracks] | None = None,
        flow: Flow | Sequence[Flow] | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        flow_normalisation: Normalisation = "inference",
        scale_blob: bool = False,
        whole_pixels: bool = False,
        motion_posterior: Posterior = "mode",
        motion_seed: int = 0,
        motion_cache: Cache = "features",
        dynamic_guidance: DynamicGuidance = "steps",
        negative: Negative = "encoded",
        window_frames: int | None = None,
        window_overlap: int | None = None,
        window_order: Order | None = None,
        window_condition: ImageCondition = "carry",
        **kwargs: Any,
    ) -> Any:
        """The stock `__call__`, following the tracks.

        Without tracks, and with ``strength`` 0, it is the stock pipeline bit for bit; a clip longer than a window is
        made in the same windows as with tracks.

        Args:
            *args, **kwargs: of the pipeline. ``use_dynamic_cfg=True``, as published, takes the form that
                ``dynamic_guidance`` says.
            tracks: for all prompts, or one per prompt; several trajectories are several tracks of one `Tracks`.
                Stretched to the video's size, fitted into its frames. None, no track, or none that is ever seen on the
                canvas: the base model.
            flow: instead of tracks: see `Flow`, for all prompts or a list with one per prompt.
            strength: 1 is as published, 0 the base model.
            window: (start, end) of the denoising, from 0 to 1, in which the motion is seen.
            flow_normalisation: see `Normalisation`; "inference" is what the published checkpoints are used with.
            scale_blob: spread points in proportion to the video's size; they are spread by 10 pixels otherwise.
            whole_pixels: cut positions to whole pixels, as the published program does.
            motion_posterior: see `Posterior`; motion_seed: of "sample".
            motion_cache: what is kept of the motion between steps, for every window; see
                `motionloom.methods.tora.hooks.attach`.
            dynamic_guidance: guidance by the number of the "steps", or "legacy", the formula of diffusers.
            negative: see `Negative`; "zero" takes the place of embeddings that are given too.
            window_frames: frames that are denoised at once; by default as many as the transformer was trained on. A
                longer clip is made in windows that overlap; as many as the clip has make it in one piece.
            window_overlap: frames that windows share at least; by default 16, or what a shorter window allows.
            window_order, window_condition: see `motionloom.methods.tora.windows.windowed`. Every window sees its own
                part of the motion, in colours that mean the same speed in all.

        Raises:
            InputError: options out of range, tracks or flow that do not fit the batch or the video, no adapter.
        """
        stock: Any = super()
        arguments = inspect.signature(stock.__call__).bind_partial(*args, **kwargs).arguments
        listed = [] if tracks is None else [tracks] if isinstance(tracks, Tracks) else list(tracks)
        flows = [] if flow is None else [flow] if isinstance(flow, (Tensor, np.ndarray)) else list(flow)
        guidance = TrackGuidance(listed, strength, window)
        _check("flow_normalisation", flow_normalisation, Normalisation)
        _check("motion_posterior", motion_posterior, Posterior)
        _check("dynamic_guidance", dynamic_guidance, DynamicGuidance)
        _check("negative", negative, Negative)
        if window_order is not None:
            _check("window_order", window_order, Order)
        _check("window_condition", window_condition, ImageCondition)
        if listed and flows:
            raise InputError("flow: takes the place of tracks; give one of the two")
        if negative == "zero" and arguments.get("negative_prompt"):
            raise InputError('negative_prompt: is not read with negative="zero"; give one of the two')
        pipe: Any = self
        order = window_order or usual_order(pipe.transformer.config)
        frames = arguments.get("num_frames") or pipe.transformer.config.sample_frames
        windows = self.windows(frames, window_frames, window_overlap)
        moved = guidance.active or (bool(flows) and strength > 0 and window[0] < window[1])
        if moved and self.adapter is None:
            raise InputError(
                "tracks: this pipeline has no adapter to show them to; make it with adapter=, or leave the tracks out"
            )
        run = _Run(
            guidance,
            flows,
            (frames - 1) // pipe.vae_scale_factor_temporal + 1,
            windows,
            turns=len(windows) if order == "sequential" else 1,
            colours={"scale_blob": scale_blob, "whole_pixels": whole_pixels, "normalisation": flow_normalisation},
            posterior=motion_posterior,
            motion_seed=motion_seed,
            dynamic=dynamic_guidance if arguments.pop("use_dynamic_cfg", False) else None,
            zero_negative=negative == "zero",
        )
        before, self._run = self._run, run
        try:
            with ExitStack() as stack:
                if moved:
                    run.attachment = stack.enter_context(self._attached(run, motion_cache))
                if len(windows) > 1:
                    stack.enter_context(
                        windowed(self, windows, on_window=self._show, order=order, condition=window_condition)
                    )
                return stock.__call__(**after_each_step(dict(arguments), self._after_step))
        finally:
            self._run = before

    def windows(
        self, num_frames: int, window_frames: int | None = None, window_overlap: int | None = None
    ) -> list[slice]:
        """The windows that a clip of so many frames is made in, as latent frames; see `__call__`.

        Raises:
            InputError: numbers that make no windows.
        """
        pipe: Any = self
        config, stride = pipe.transformer.config, pipe.vae_scale_factor_temporal
        unit = config.patch_size_t or 1
        at_once = config.sample_frames if window_frames is None else window_frames
        if at_once < 1:
            raise InputError(f"window_frames: found {at_once}, expected one or more")
        length, total = (math.ceil(((frames - 1) // stride + 1) / unit) * unit for frames in (at_once, num_frames))
        most = length - unit
        overlap = min(OVERLAP // stride, most) if window_overlap is None else math.ceil(window_overlap / stride)
        if (window_overlap or 0) < 0 or (total > length and overlap > most):
            raise InputError(
                f"window_overlap: found {window_overlap}, expected 0 to {most * stride} frames for windows of {at_once}"
            )
        return plan_windows(total, length, min(overlap, most), unit=unit)

    @property
    def guidance_scale(self) -> float:
        """Of the present step. The stock loop asks for it after it may have set ``_guidance_scale``."""
        pipe: Any = self
        run, scale = self._run, pipe._guidance_scale
        if run is None or run.dynamic is None:
            return scale
        steps = pipe.num_timesteps // run.turns
        if run.dynamic == "legacy":
            return scale_at_timestep(float(pipe._current_timestep), steps, scale)
        return scale_at_step(run.step % steps, steps, scale)

    def encode_prompt(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor | None]:
        """The stock embeddings, with zeros for the negative prompt where the call asks for them."""
        stock: Any = super()
        prompt, negative = stock.encode_prompt(*args, **kwargs)
        if self._run is not None and self._run.zero_negative and negative is not None:
            negative = torch.zeros_like(negative)
        return prompt, negative

    def prepare_latents(self, *args: Any, **kwargs: Any) -> Any:
        """The stock latents; for a clip of their size the features of the motion are computed."""
        stock: Any = super()
        outputs = stock.prepare_latents(*args, **kwargs)
        if self._run is not None and self._run.attachment is not None:
            self._compute_features(self._run, outputs[0] if isinstance(outputs, tuple) else outputs)
        return outputs

    def decode_latents(self, latents: Tensor) -> Tensor:
        """The stock frames. The motion has been seen by then, and leaves its memory to them."""
        stock: Any = super()
        if self._run is not None and self._run.attachment is not None:
            self._run.features.clear()
            self._run.attachment.features = None
        return stock.decode_latents(latents)

    def _compute_features(self, run: _Run, latents: Tensor) -> None:
        """Features for latents [B, T', C, h, w]: of every window, for one motion or for B."""
        pipe: Any = self
        assert self.adapter is not None
        stride, side = pipe.vae_scale_factor_temporal, pipe.vae_scale_factor_spatial
        size, frames = (latents.shape[3] * side, latents.shape[4] * side), (run.latent_frames - 1) * stride + 1
        motions = len(run.flows) or len(run.guidance.tracks)
        if motions not in (1, len(latents)):
            raise InputError(
                f"{'flow' if run.flows else 'tracks'}: found {motions} for {len(latents)} videos; give one for all, or "
                "one for every prompt"
            )
        if run.flows:
            normalisation = run.colours["normalisation"]
            videos = [given_video(flow, size, frames, normalisation=normalisation) for flow in run.flows]
        else:
            videos, seen = tracks_videos(run.guidance.tracks, size, frames, **run.colours)
            if not any(seen):
                return
            run.left_alone = [index for index, one in enumerate(seen) if not one]
        generator = torch.Generator().manual_seed(run.motion_seed)
        vae = self.motion_vae or pipe.vae
        # Latents that fill up a pair (CogVideoX 1.5) stand in front, and are thrown away in the end.
        lead = run.windows[-1].stop - run.latent_frames
        for window in run.windows:
            first = max(0, window.start - lead)
            length = (window.stop - lead - first - 1) * stride + 1
            parts = [part_of(video, first * stride, length).to(latents.device) for video in videos]
            coded = motion_latents(vae, parts, posterior=run.posterior, generator=generator)
            run.features.append(self.adapter.features(coded.to(self.adapter.dtype)))
        self._show(0)
        self._after_step(self, -1, latents)

    def _show(self, window: int) -> None:
        """Show the motion of a window."""
        run = self._run
        if run is not None and run.attachment is not None and run.features:
            run.attachment.features = run.features[window]

    def _after_step(self, pipe: Any, step: int, latents: Tensor) -> None:
        """Whether the next step sees the motion."""
        run = self._run
        assert run is not None
        run.step, steps = step + 1, pipe.num_timesteps // run.turns
        if run.attachment is not None:
            seen = run.guidance.in_window(run.step % steps, steps)
            run.attachment.strength = run.guidance.strength if seen else 0.0

    @contextmanager
    def _attached(self, run: _Run, cache: Cache) -> Iterator[Attachment]:
        """The adapter, attached; of a batch, videos in which nothing is seen to move stay the base model's."""
        pipe: Any = self
        assert self.adapter is not None
        kept: dict[Any, Tensor] = {}

        def keep(norm: Any, args: Any, output: tuple[Tensor, ...]) -> None:
            if run.left_alone:
                kept[norm] = output[0]

        def put_back(norm: Any, args: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
            if not run.left_alone:
                return None
            rows = torch.arange(len(output[0]), device=output[0].device) % len(run.guidance.tracks)
            alone = torch.isin(rows, torch.tensor(run.left_alone, device=rows.device))[:, None, None]
            return torch.where(alone, kept.pop(norm), output[0]), *output[1:]

        norms = [block.norm1 for block in pipe.transformer.transformer_blocks] if len(run.guidance.tracks) > 1 else []
        with ExitStack() as stack:
            for norm in norms:
                stack.callback(norm.register_forward_hook(keep).remove)
            attachment = stack.enter_context(attach(pipe.transformer, self.adapter, cache=cache))
            for norm in norms:
                stack.callback(norm.register_forward_hook(put_back).remove)
            yield attachment


def _check(name: str, found: str, kind: Any) -> None:
    if found not in get_args(kind):
        raise InputError(f"{name}: found {found!r}, expected {' or '.join(map(repr, get_args(kind)))}")
