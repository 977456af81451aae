"""Time-to-Move on stock pipelines: every Wan image-to-video model, and CogVideoX."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline
from diffusers.utils.torch_utils import get_module_execution_device
from torch import Tensor

from motionloom.methods.published import PublishedInputsPipeline
from motionloom.methods.time_to_move.dual_clock import PUBLISHED
from motionloom.methods.time_to_move.sampling import TimeToMove


class TimeToMoveWan(TimeToMove):
    """The mixin for Wan pipelines: Wan 2.1 I2V, 2.2 A14B with its two experts, 2.2 TI2V-5B, nano. Put before one that
    is conditioned on tracks, it moves by both."""

    clocks = PUBLISHED["wan"]

    @torch.no_grad()
    def encode_motion(self, video: Tensor) -> Tensor:
        pipeline: Any = self
        vae = pipeline.vae
        pixels = video.to(get_module_execution_device(vae), vae.dtype)  # where offloading will bring the VAE
        latents = vae.encode(pixels).latent_dist.mode().to(video.device, torch.float32)
        shape = (1, -1, 1, 1, 1)
        mean = torch.tensor(vae.config.latents_mean, device=latents.device).view(shape)
        deviation = torch.tensor(vae.config.latents_std, device=latents.device).view(shape)
        return (latents - mean) / deviation


class TimeToMoveWanPipeline(TimeToMoveWan, PublishedInputsPipeline):
    """`WanImageToVideoPipeline` moved by a cue, without training; ``TimeToMoveWanPipeline(**pipe.components, ...)`` or
    `from_pipe(pipe)` shares a pipeline's components."""


class TimeToMoveCogVideoXPipeline(TimeToMove, CogVideoXImageToVideoPipeline):
    """`CogVideoXImageToVideoPipeline` (1.0 and 1.5) moved by a cue, without training."""

    clocks = PUBLISHED["cogvideox"]
    time_axis = 1

    def shown_frames(self, num_frames: int | None) -> int | None:
        # The latents of CogVideoX 1.5 are in pairs: one may stand in front that is not shown.
        return num_frames or self.transformer.config.sample_frames

    @torch.no_grad()
    def encode_motion(self, video: Tensor) -> Tensor:
        pixels = video.to(get_module_execution_device(self.vae), self.vae.dtype)
        latents = self.vae.encode(pixels).latent_dist.mode()  # pyright: ignore[reportAttributeAccessIssue]
        return (latents.to(video.device, torch.float32) * self.vae_scaling_factor_image).transpose(1, 2)
