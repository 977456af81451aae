"""One training step's prediction by a stock CogVideoX transformer, image-to-video or text-to-video, 1.0 or 1.5."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import torch
from diffusers.pipelines.cogvideo.pipeline_cogvideox import CogVideoXPipeline

from motionloom.methods.tora.motion_latents import photograph_scale
from motionloom.train.tora.losses import (
    IMAGE_DROPOUT,
    TEXT_DROPOUT,
    diffusion_loss,
    dropped,
    noised,
    noised_image,
    stratified_timesteps,
)

Vae = Any
"""A `CogVideoXBlockCodec` or an `AutoencoderKLCogVideoX`."""

_OFS = 2.0  # what CogVideoX-1.5-I2V's pipeline passes


@dataclass
class Clips:
    """What is trained on, before noise.

    Attributes:
        latents: scaled, [B, T, C, h, w].
        image: first frames [B, 3, H, W] in [-1, 1]; only image-to-video transformers look at them.
        text: embeddings [B, L, D].
    """

    latents: torch.Tensor
    image: torch.Tensor
    text: torch.Tensor

    def to(self, device: torch.device | str) -> Clips:
        return Clips(self.latents.to(device), self.image.to(device), self.text.to(device))


@dataclass
class MovingClips(Clips):
    """Some clips and how everything in them moves.

    Attributes:
        flow: in pixels from each frame to the next [B, T - 1, 2, H, W].
        points, visible: tracks [B, T, N, 2] in pixels and [B, T, N]; N may be 0.
    """

    flow: torch.Tensor
    points: torch.Tensor
    visible: torch.Tensor


def denoising_loss(
    transformer: Any,
    vae: Vae,
    clips: Clips,
    alphas_cumprod: torch.Tensor,
    generator: torch.Generator,
    *,
    no_text: torch.Tensor | float = 0.0,
    text_dropout: float = TEXT_DROPOUT,
    image_dropout: float = IMAGE_DROPOUT,
    rank: int = 0,
    world: int = 1,
) -> torch.Tensor:
    """The published loss on some clips; see `motionloom.train.tora.losses`.

    Args:
        transformer: a `CogVideoXTransformer3DModel`, with or without a Tora adapter attached.
        vae: encodes the first frame.
        alphas_cumprod: of the scheduler, [1000].
        generator: of the CPU; all randomness.
        no_text: what dropped text becomes: zeros as in the published training, or the embedding of "" [L, D].
        rank, world: see `stratified_timesteps`.
    """
    device, config = clips.latents.device, transformer.config
    times = stratified_timesteps(len(clips.latents), generator, total=len(alphas_cumprod), rank=rank, world=world)
    alpha_bar = alphas_cumprod[times].float().to(device)
    latents = _front_padded(clips.latents, config.patch_size_t)
    noise = torch.randn(latents.shape, generator=generator).to(latents)
    noisy = noised(latents, noise, alpha_bar)
    seen = noisy
    if config.in_channels != config.out_channels:
        image = image_latents(vae, noised_image(clips.image, generator))
        image = dropped(image, image_dropout, generator)
        known = torch.zeros_like(clips.latents)
        known[:, :1] = image.to(known)
        seen = torch.cat([noisy, _front_padded(known, config.patch_size_t)], dim=2)
    text = dropped(clips.text, text_dropout, generator, no_text)
    velocity = transformer(
        hidden_states=seen,
        encoder_hidden_states=text,
        timestep=times.to(device),
        ofs=None if config.ofs_embed_dim is None else latents.new_full((1,), _OFS),
        image_rotary_emb=rotary(transformer, latents),
        return_dict=False,
    )[0]
    return diffusion_loss(velocity, latents, noisy, alpha_bar)


@torch.no_grad()
def video_latents(vae: Vae, video: torch.Tensor, generator: torch.Generator | None = None) -> torch.Tensor:
    """[B, 3, 1 + 4n, H, W] in [-1, 1] -> scaled latents [B, 1 + n, C, h, w].

    Args:
        generator: samples the posterior with it; its mode when not given.
    """
    posterior = vae.encode(video.to(vae.device, vae.dtype)).latent_dist
    code = posterior.mode() if generator is None else posterior.sample(generator)
    return (code * vae.config.scaling_factor).transpose(1, 2)


def image_latents(vae: Vae, image: torch.Tensor) -> torch.Tensor:
    """First frames [B, 3, H, W] -> [B, 1, C, h, w], scaled as the stock pipeline does: in 1.5 the other way round."""
    return video_latents(vae, image.unsqueeze(2)) * photograph_scale(vae)


def rotary(transformer: Any, latents: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The position tables that the stock pipeline would pass for latents [B, T, C, h, w]; None where it passes none."""
    if not transformer.config.use_rotary_positional_embeddings:
        return None
    # The pipeline's own function, told that a latent cell is a pixel.
    pipeline: Any = SimpleNamespace(vae_scale_factor_spatial=1, transformer=transformer)
    return CogVideoXPipeline._prepare_rotary_positional_embeddings(
        pipeline, latents.shape[3], latents.shape[4], latents.shape[1], latents.device
    )


def _front_padded(latents: torch.Tensor, patch_frames: int | None) -> torch.Tensor:
    """CogVideoX 1.5 takes latent frames in groups; its pipelines put the missing ones in front."""
    missing = -latents.shape[1] % (patch_frames or 1)
    return torch.cat([latents[:, :1].expand(-1, missing, -1, -1, -1), latents], dim=1) if missing else latents
