"""What condition methods share: tracks into a stock Wan image-to-video pipeline, through its image condition.

A method says in one function how tracks change the condition; everything else is here. The pipeline's own code is
untouched: `prepare_latents` is overridden, and while a run needs two conditions (a window of the denoising, or tracks
left out of the unconditional branch) a forward hook on the transformers swaps one for the other.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.methods.published import PublishedInputsPipeline
from motionloom.tracks.tracks import Tracks


@dataclass
class TrackGuidance:
    """What one call of a pipeline asks for, and what it finds out on the way.

    Args:
        tracks: one per prompt, or one for all.
        strength: 0 is the base model, 1 the method as published.
        window: the part of the denoising, from 0 (noise) to 1 (done), in which the tracks are seen. Of n steps, those
            numbered i with start <= i / n < end.
        drop_tracks_in_uncond: show the unconditional branch of classifier-free guidance the plain condition.
        options: of the method.
    """

    tracks: Sequence[Tracks]
    strength: float = 1.0
    window: tuple[float, float] = (0.0, 1.0)
    drop_tracks_in_uncond: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    plain: Tensor | None = field(default=None, init=False)  # the condition the base model would see

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength: found {self.strength}, expected zero or more")
        if len(self.window) != 2 or not 0.0 <= self.window[0] <= self.window[1] <= 1.0:
            raise InputError(f"window: found {self.window}, expected (start, end) with 0 <= start <= end <= 1")

    @property
    def active(self) -> bool:
        """Whether anything differs from the base model."""
        return (
            self.strength > 0 and self.window[0] < self.window[1] and any(tracks.num_tracks for tracks in self.tracks)
        )

    @property
    def needs_plain(self) -> bool:
        """Whether the base model's own condition is needed beside the guided one."""
        return self.active and (self.drop_tracks_in_uncond or tuple(self.window) != (0.0, 1.0))

    def in_window(self, step: int, steps: int) -> bool:
        """Whether denoising step ``step`` of ``steps`` sees the tracks."""
        # The margin makes 0.3 * 10 mean step 3, whatever binary fractions say.
        return self.window[0] * steps - 1e-6 <= step < self.window[1] * steps - 1e-6


class TrackConditionedPipeline(PublishedInputsPipeline):
    """`WanImageToVideoPipeline` that also takes tracks. A method subclasses it and says `guide_condition`.

    `from_pretrained` and every argument of the stock pipeline work as they do there. Works for one expert (Wan 2.1) and
    two (Wan 2.2 A14B), any batch, and any VAE strides the pipeline has.
    """

    _guidance: TrackGuidance | None = None

    @abstractmethod
    def guide_condition(
        self,
        condition: Tensor,
        points: Tensor,
        visible: Tensor,
        size: tuple[int, int],
        *,
        strength: float,
        has_last_image: bool,
        **options: Any,
    ) -> Tensor:
        """The condition [B, masks + D, T, H, W] rewritten for points [B, F, N, 2] in pixels of ``size``.

        ``visible`` is bool [B, F, N]. Samples with fewer tracks than others are filled up with hidden ones, which must
        not change anything. ``options`` are what the method's `__call__` passed on.
        """
        raise NotImplementedError

    def call_with_tracks(
        self,
        *args: Any,
        tracks: Tracks | Sequence[Tracks] | None,
        strength: float,
        window: tuple[float, float],
        drop_tracks_in_uncond: bool,
        options: Mapping[str, Any],
        **kwargs: Any,
    ) -> Any:
        """The stock `__call__` with the tracks in force; the pipeline is left as it was found, whatever happens."""
        check_pipeline(self)
        listed = [] if tracks is None else [tracks] if isinstance(tracks, Tracks) else list(tracks)
        guidance = TrackGuidance(listed, strength, window, drop_tracks_in_uncond, options)
        before = self._guidance
        self._guidance = guidance
        try:
            with self._two_conditions(guidance):
                return super().__call__(*args, **kwargs)
        finally:
            self._guidance = before

    def prepare_latents(
        self,
        image: Any,
        batch_size: int,
        num_channels_latents: int = 16,
        height: int = 480,
        width: int = 832,
        num_frames: int = 81,
        dtype: torch.dtype | None = None,
        device: torch.device | None = None,
        generator: Any = None,
        latents: Tensor | None = None,
        last_image: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """The stock latents, and the stock condition guided by the tracks of the call."""
        latents, condition = super().prepare_latents(
            image,
            batch_size,
            num_channels_latents,
            height,
            width,
            num_frames,
            dtype,
            device,
            generator,
            latents,
            last_image,
        )
        guidance = self._guidance
        if guidance is None or not guidance.active:
            return latents, condition
        points, visible = batch_tracks(guidance.tracks, condition.shape[0], num_frames, (height, width))
        if guidance.needs_plain:
            guidance.plain = condition
        guided = self.guide_condition(
            condition,
            points.to(condition.device),
            visible.to(condition.device),
            (height, width),
            strength=guidance.strength,
            has_last_image=last_image is not None,
            **guidance.options,
        )
        return latents, guided

    @property
    def strides(self) -> tuple[int, int, int]:
        """Pixels per latent step of the VAE: time, height, width."""
        return self.vae_scale_factor_temporal, self.vae_scale_factor_spatial, self.vae_scale_factor_spatial

    @contextmanager
    def _two_conditions(self, guidance: TrackGuidance) -> Iterator[None]:
        """While inside, every transformer call sees the plain condition where the guidance says so."""
        if not guidance.needs_plain:
            yield
            return
        step, calls, timestep = -1, 0, None

        def swap(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, dict[str, Any]] | None:
            nonlocal step, calls, timestep
            # The loop makes a new tensor for every step's time, and calls the conditional branch first.
            if self._current_timestep is not timestep:
                step, calls, timestep = step + 1, 0, self._current_timestep
            calls += 1
            dropped = guidance.drop_tracks_in_uncond and calls > 1
            if guidance.plain is None or (guidance.in_window(step, self._num_timesteps) and not dropped):
                return None
            hidden = kwargs["hidden_states"]
            noise = hidden[:, : hidden.shape[1] - guidance.plain.shape[1]]
            return args, {**kwargs, "hidden_states": torch.cat([noise, guidance.plain.to(hidden)], dim=1)}

        experts = [model for model in (self.transformer, self.transformer_2) if model is not None]
        handles = [model.register_forward_pre_hook(swap, with_kwargs=True) for model in experts]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


def check_pipeline(pipeline: WanImageToVideoPipeline) -> None:
    """Refuse pipelines without an image condition to write tracks into.

    Raises:
        InputError: a model with per-token timesteps (Wan 2.2 5B), or one that does not take mask and image latents.
    """
    if pipeline.config["expand_timesteps"]:
        raise InputError(
            "model: this pipeline has expand_timesteps=True (Wan 2.2 TI2V-5B) and no image condition to write tracks "
            "into; use an image-to-video model with one, such as Wan 2.1 I2V or Wan 2.2 I2V-A14B"
        )
    latent = pipeline.vae.config.z_dim
    expected = 2 * latent + pipeline.vae_scale_factor_temporal
    for name in ("transformer", "transformer_2"):
        model = getattr(pipeline, name, None)
        if model is not None and model.config.in_channels != expected:
            raise InputError(
                f"model: {name} takes {model.config.in_channels} channels, expected {expected} ({latent} noise, "
                f"{pipeline.vae_scale_factor_temporal} mask, {latent} image); use an image-to-video model"
            )


def batch_tracks(tracks: Sequence[Tracks], batch: int, num_frames: int, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Tracks of every sample as tensors: points float32 [B, F, N, 2] in pixels of ``size``, visible bool [B, F, N].

    The tracks are resized to ``size`` (height, width), resampled to ``num_frames``, repeated for several videos per
    prompt, and filled up with hidden tracks to the largest number.

    Raises:
        InputError: the batch is no multiple of the number of tracks.
    """
    if batch % len(tracks):
        raise InputError(
            f"tracks: found {len(tracks)} for {batch} videos; give one Tracks for all, or one for every prompt"
        )
    most = max(one.num_tracks for one in tracks)
    points = np.zeros((len(tracks), num_frames, most, 2), np.float32)
    visible = np.zeros((len(tracks), num_frames, most), np.bool_)
    for index, one in enumerate(tracks):
        fitted = one.resize(size).resample(num_frames)
        points[index, :, : one.num_tracks] = fitted.points
        visible[index, :, : one.num_tracks] = fitted.visible
    repeats = batch // len(tracks)
    return torch.from_numpy(points).repeat_interleave(repeats, 0), torch.from_numpy(visible).repeat_interleave(
        repeats, 0
    )
