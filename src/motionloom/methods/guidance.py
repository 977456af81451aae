"""What condition methods share: tracks into a stock Wan image-to-video pipeline, through its image condition.

A method says in one function how tracks change the condition; everything else is here. The pipeline's own code is
untouched: the condition is rewritten where `prepare_latents` makes it, and while a run needs two conditions (a window
of the denoising, or tracks left out of a branch of classifier-free guidance) hooks on the transformers swap one for
the other (`branches`).
"""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.adaptive import Adaptive, AdaptiveWeight
from motionloom.methods.branches import CFG_MODES, MOTION_GUIDANCE_SCALE, CfgMode, conditions_by_branch
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
        cfg_mode: what classifier-free guidance is about: "text", "joint" text and tracks, or "split" with a scale for
            each; see `motionloom.methods.branches`.
        motion_guidance_scale: of "split".
        fusion: weight of every track, on top of ``strength``: a number, or one for each by its speed.
        options: of the method.
    """

    tracks: Sequence[Tracks]
    strength: float = 1.0
    window: tuple[float, float] = (0.0, 1.0)
    cfg_mode: CfgMode = "text"
    motion_guidance_scale: float = MOTION_GUIDANCE_SCALE
    fusion: AdaptiveWeight | float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    plain: Tensor | None = field(default=None, init=False)  # the condition the base model would see

    def __post_init__(self) -> None:
        if not (math.isfinite(self.strength) and self.strength >= 0):
            raise InputError(f"strength: found {self.strength}, expected zero or more")
        if len(self.window) != 2 or not 0.0 <= self.window[0] <= self.window[1] <= 1.0:
            raise InputError(f"window: found {self.window}, expected (start, end) with 0 <= start <= end <= 1")
        if self.cfg_mode not in CFG_MODES:
            raise InputError(f"cfg_mode: found {self.cfg_mode!r}, expected one of {', '.join(CFG_MODES)}")
        if not math.isfinite(self.motion_guidance_scale):
            raise InputError(f"motion_guidance_scale: found {self.motion_guidance_scale}, expected a finite number")
        if not isinstance(self.fusion, AdaptiveWeight) and not (math.isfinite(self.fusion) and self.fusion >= 0):
            raise InputError(f"fusion_weight: found {self.fusion}, expected zero or more")

    @property
    def active(self) -> bool:
        """Whether anything differs from the base model."""
        return (
            self.strength > 0
            and self.fusion != 0
            and self.window[0] < self.window[1]
            and any(tracks.num_tracks for tracks in self.tracks)
        )

    @property
    def needs_plain(self) -> bool:
        """Whether the base model's own condition is needed beside the guided one."""
        return self.active and (self.cfg_mode != "text" or tuple(self.window) != (0.0, 1.0))

    def strengths(self, points: Tensor, visible: Tensor, strides: tuple[int, int, int]) -> float | Tensor:
        """Strength times fusion weight: one number, or float32 [B, T, N] by the speed of points [B, F, N, 2]."""
        if isinstance(self.fusion, AdaptiveWeight):
            return self.strength * self.fusion(points, visible, strides)
        return self.strength * self.fusion

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
        strength: float | Tensor,
        has_last_image: bool,
        **options: Any,
    ) -> Tensor:
        """The condition [B, masks + D, T, H, W] rewritten for points [B, F, N, 2] in pixels of ``size``.

        ``visible`` is bool [B, F, N]; ``strength`` a number, or [B, T, N] with one per latent frame and track. Samples
        with fewer tracks than others are filled up with hidden ones, which must not change anything. ``options`` are
        what the method's `__call__` passed on.
        """
        raise NotImplementedError

    def call_with_tracks(
        self,
        *args: Any,
        tracks: Tracks | Sequence[Tracks] | None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        drop_tracks_in_uncond: bool = False,
        cfg_mode: CfgMode | None = None,
        motion_guidance_scale: float = MOTION_GUIDANCE_SCALE,
        adaptive: Adaptive = None,
        fusion_weight: float | None = None,
        options: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Any:
        """The stock `__call__` with the tracks in force; the pipeline is left as it was found, whatever happens.

        A method's own `__call__` says what the arguments mean; ``options`` are what its `guide_condition` gets.
        """
        check_pipeline(self)
        guidance = TrackGuidance(
            [] if tracks is None else [tracks] if isinstance(tracks, Tracks) else list(tracks),
            strength,
            window,
            _cfg_mode(cfg_mode, drop_tracks_in_uncond),
            motion_guidance_scale,
            _fusion(adaptive, fusion_weight),
            options or {},
        )
        before = self._guidance
        self._guidance = guidance
        try:
            with conditions_by_branch(self, guidance):
                return super().__call__(*args, **kwargs)
        finally:
            self._guidance = before

    def conditioned(self, condition: Tensor, num_frames: int, size: tuple[int, int], has_last_image: bool) -> Tensor:
        """The stock condition guided by the tracks of the call."""
        guidance = self._guidance
        if guidance is None or not guidance.active:
            return condition
        points, visible = (
            each.to(condition.device) for each in batch_tracks(guidance.tracks, condition.shape[0], num_frames, size)
        )
        if guidance.needs_plain:
            guidance.plain = condition
        return self.guide_condition(
            condition,
            points,
            visible,
            size,
            strength=guidance.strengths(points, visible, self.strides),
            has_last_image=has_last_image,
            **guidance.options,
        )

    @property
    def strides(self) -> tuple[int, int, int]:
        """Pixels per latent step of the VAE: time, height, width."""
        return self.vae_scale_factor_temporal, self.vae_scale_factor_spatial, self.vae_scale_factor_spatial


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


def _cfg_mode(mode: CfgMode | None, drop_tracks_in_uncond: bool) -> CfgMode:
    if not drop_tracks_in_uncond:
        return mode or "text"
    if mode not in (None, "joint"):
        raise InputError(f'drop_tracks_in_uncond: is cfg_mode="joint", but cfg_mode is {mode!r}; give one of the two')
    return "joint"


def _fusion(adaptive: Adaptive, fusion_weight: float | None) -> AdaptiveWeight | float:
    if adaptive is None or adaptive is False:
        return 1.0 if fusion_weight is None else fusion_weight
    if fusion_weight is not None:
        raise InputError("fusion_weight: fixes the weight that adaptive would choose; give one of the two")
    return AdaptiveWeight() if adaptive is True else AdaptiveWeight.of(adaptive)
