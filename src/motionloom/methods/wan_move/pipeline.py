"""Wan-Move on the stock Wan image-to-video pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from motionloom.methods.adaptive import Adaptive
from motionloom.methods.branches import MOTION_GUIDANCE_SCALE, CfgMode
from motionloom.methods.guidance import TrackConditionedPipeline
from motionloom.methods.wan_move import wan_move
from motionloom.methods.wan_move.choices import Collision, Pooling
from motionloom.tracks.tracks import Tracks


class WanMoveImageToVideoPipeline(TrackConditionedPipeline):
    """`WanImageToVideoPipeline` guided by tracks with Wan-Move; `from_pipe(pipe)` shares a pipeline's components."""

    def __call__(
        self,
        *args: Any,
        tracks: Tracks | Sequence[Tracks] | None = None,
        strength: float = 1.0,
        window: tuple[float, float] = (0.0, 1.0),
        drop_tracks_in_uncond: bool = False,
        cfg_mode: CfgMode | None = None,
        motion_guidance_scale: float = MOTION_GUIDANCE_SCALE,
        adaptive: Adaptive = None,
        fusion_weight: float | None = None,
        pooling: Pooling = "sample",
        collision: Collision = "random",
        collision_seed: int = 0,
        legacy_hidden_source: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Generate a video whose things move along the tracks.

        Args:
            *args, **kwargs: of `WanImageToVideoPipeline.__call__`.
            tracks: for all prompts, or one per prompt. Brought to the video's size and number of frames. None or no
                track: the base model.
            strength: 1 copies, 0 is the base model bit for bit.
            window: (start, end) of the denoising, from 0 to 1, in which the tracks are seen.
            cfg_mode: what classifier-free guidance is about. "text": both branches see the tracks, as in the published
                program. "joint": the unconditional one does not, so that guidance strengthens the tracks too. "split":
                text by ``guidance_scale``, tracks by ``motion_guidance_scale``; a third transformer call a step.
            motion_guidance_scale: of "split"; 1 is "text", the ``guidance_scale`` is "joint".
            drop_tracks_in_uncond: the same as ``cfg_mode="joint"``.
            adaptive: a weight for every track and latent frame that grows with its speed; True for the defaults, or
                see `motionloom.methods.adaptive`.
            fusion_weight: one fixed weight instead. ``strength`` multiplies either.
            pooling, collision, collision_seed, legacy_hidden_source: see `motionloom.methods.wan_move.wan_move.guide`.

        Raises:
            InputError: a pipeline without image condition, tracks that do not fit the batch, options out of range.
        """
        return self.call_with_tracks(
            *args,
            tracks=tracks,
            strength=strength,
            window=window,
            drop_tracks_in_uncond=drop_tracks_in_uncond,
            cfg_mode=cfg_mode,
            motion_guidance_scale=motion_guidance_scale,
            adaptive=adaptive,
            fusion_weight=fusion_weight,
            options={
                "pooling": pooling,
                "collision": collision,
                "seed": collision_seed,
                "legacy_hidden_source": legacy_hidden_source,
            },
            **kwargs,
        )

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
        return wan_move.guide(condition, points, visible, size, strides=self.strides, strength=strength, **options)
