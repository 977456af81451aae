"""Latent-trajectory guidance on CogVideoX and on Wan 2.2 TI2V-5B, whose weights were not trained for it."""

from __future__ import annotations

from typing import Any

from diffusers.pipelines.cogvideo.pipeline_cogvideox_image2video import CogVideoXImageToVideoPipeline
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.latent_trajectory.latent_trajectory import FirstFrame, copy_tokens
from motionloom.methods.latent_trajectory.protocol import GuidedCall, LatentTrajectory, lerp_where
from motionloom.methods.published import PublishedInputsPipeline
from motionloom.methods.time_to_move.dual_clock import NoiseLevels, noise_levels


class LatentTrajectoryCogVideoXPipeline(LatentTrajectory, CogVideoXImageToVideoPipeline):
    """`CogVideoXImageToVideoPipeline` (1.0 and 1.5) shown tracks: [B, T, latent + image channels, H, W]."""

    def first_frame(self, num_frames: int | None) -> FirstFrame:
        config = self.transformer.config
        channels = config.in_channels // 2
        frames = num_frames or config.sample_frames
        # CogVideoX 1.5 makes pairs of latent frames; what is missing stands in front and is thrown away at the end.
        latent_frames = (frames - 1) // self.vae_scale_factor_temporal + 1
        lead = -latent_frames % (config.patch_size_t or 1)
        side = self.vae_scale_factor_spatial
        return FirstFrame(
            (channels, 2 * channels), (self.vae_scale_factor_temporal, side, side), time_axis=1, lead=lead
        )


class LatentTrajectoryWanPipeline(LatentTrajectory, PublishedInputsPipeline):
    """`WanImageToVideoPipeline` of Wan 2.2 TI2V-5B shown tracks.

    The model has no condition: the first frame is simply the latent frame that is not noisy, and each token has a noise
    level of its own. Tokens on a track are shown as the clean first frame there (strength 1), or as mostly clean
    (strength s: a share 1 - s of the noise level). After each step of the window they are put on the path from the
    noise they began with to that picture, so that the denoising goes on consistently when the window ends.
    """

    _levels: NoiseLevels | None = None
    _copied: tuple[Tensor, Tensor] | None = None

    def first_frame(self, num_frames: int | None) -> FirstFrame:
        if not self.config["expand_timesteps"]:
            raise InputError(
                "model: this pipeline has an image condition (Wan 2.1 I2V, Wan 2.2 I2V-A14B); use the methods ati or "
                "wan_move, which are made for it"
            )
        side = self.vae_scale_factor_spatial
        return FirstFrame((0, self.vae.config.z_dim), (self.vae_scale_factor_temporal, side, side))

    def guide_input(self, inputs: dict[str, Any], points: Tensor, visible: Tensor, run: GuidedCall) -> dict[str, Any]:
        hidden, times = inputs["hidden_states"], inputs["timestep"]
        token = tuple(self.transformer.config.patch_size[1:])
        copied, known = copy_tokens(hidden, points, visible, run.place.strides, token, seed=run.seed)
        if run.step == 0 or self._levels is None:
            self._levels = noise_levels(self.scheduler)
        share = min(1.0, run.guidance.strength)
        if run.calls == 1:
            self._copied = copied.float(), known
        tokens = known[:, :, :: token[0], :: token[1]].flatten(1)
        return {
            **inputs,
            "hidden_states": lerp_where(known[:, None], hidden, copied, share),
            "timestep": lerp_where(tokens, times, times * 0, share),
        }

    def after_step(self, latents: Tensor, run: GuidedCall) -> Tensor | None:
        if self._copied is None or self._levels is None or run.noise is None:
            return None
        copied, known = self._copied
        onward = self._levels.noised(copied, run.noise, run.step + 1)
        if getattr(self.scheduler, "last_sample", None) is not None:
            self.scheduler.last_sample = None  # UniPC's corrector would undo it
        return lerp_where(known[:, None], latents, onward, min(1.0, run.guidance.strength))
