"""ATI on the stock Wan image-to-video pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from motionloom.methods.adaptive import Adaptive
from motionloom.methods.ati import ati
from motionloom.methods.ati.choices import Grid, MaskMode
from motionloom.methods.branches import MOTION_GUIDANCE_SCALE, CfgMode
from motionloom.methods.guidance import TrackConditionedPipeline
from motionloom.tracks.tracks import Tracks


class ATIWanImageToVideoPipeline(TrackConditionedPipeline):
    """`WanImageToVideoPipeline` guided by tracks with ATI; `from_pipe(pipe)` shares a loaded pipeline's components."""

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
        temperature: float = ati.TEMPERATURE,
        top_k: int = ati.TOP_K,
        mask_mode: Literal["auto"] | MaskMode = "auto",
        grid: Grid = "reference",
        strict_reference: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Generate a video whose things move along the tracks.

        Args:
            *args, **kwargs: of `WanImageToVideoPipeline.__call__`.
            tracks: for all prompts, or one per prompt. Brought to the video's size and number of frames. None or no
                track: the base model.
            strength: factor on the weights; 0 is the base model bit for bit.
            window: (start, end) of the denoising, from 0 to 1, in which the tracks are seen.
            cfg_mode: what classifier-free guidance is about. "text": both branches see the tracks, as in the published
                program. "joint": the unconditional one does not, so that guidance strengthens the tracks too. "split":
                text by ``guidance_scale``, tracks by ``motion_guidance_scale``; a third transformer call a step.
            motion_guidance_scale: of "split"; 1 is "text", the ``guidance_scale`` is "joint".
            drop_tracks_in_uncond: the same as ``cfg_mode="joint"``.
            adaptive: a weight for every track and latent frame that grows with its speed; True for the defaults, or
                see `motionloom.methods.adaptive`.
            fusion_weight: one fixed weight instead. ``strength`` multiplies either.
            temperature, top_k, grid: see `motionloom.methods.ati.ati.guide`.
            mask_mode: "auto" is "keep" where a ``last_image`` is given, otherwise "reference".
            strict_reference: the published program's geometry, which displaces tracks towards the border where the
                video has not the photograph's shape; see `motionloom.methods.ati.ati.normalise_as_published`.

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
                "temperature": temperature,
                "top_k": top_k,
                "mask_mode": mask_mode,
                "grid": grid,
                "strict_reference": strict_reference,
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
        strict_reference: bool = False,
        **options: Any,
    ) -> Tensor:
        if options["mask_mode"] == "auto":
            options["mask_mode"] = "keep" if has_last_image else "reference"
        if strict_reference:
            pictures = self.picture_sizes(len(points), size)
            placed = [
                ati.normalise_as_published(each, size, picture) for each, picture in zip(points, pictures, strict=True)
            ]
            return ati.patch(
                condition, torch.stack(placed), visible, strength=strength, time_stride=self.strides[0], **options
            )
        return ati.guide(condition, points, visible, size, strength=strength, time_stride=self.strides[0], **options)
