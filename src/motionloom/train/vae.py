"""A small learned codec: a stock `AutoencoderKLWan` with the strides of `BlockCodec`, trained on procedural clips."""

from __future__ import annotations

import time

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan

from motionloom.errors import InputError
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train.latents import Codec

KL_WEIGHT = 1e-6
"""As in latent diffusion (Rombach et al. 2022): just enough to keep the latents bounded."""
_TRAIN_CLIPS = 1 << 20


def train_vae(
    latent_channels: int,
    *,
    seconds: float,
    seed: int = 0,
    base_dim: int = 32,
    side: int = 64,
    num_frames: int = 9,
    batch: int = 4,
    learning_rate: float = 1e-3,
    device: torch.device | str = "cpu",
) -> Codec:
    """Train for a time; at least one step.

    Args:
        latent_channels: C.
        seconds: of training.
        base_dim: width of the convolutions.
        side, num_frames, batch: of the clips trained on; frames are 1 + 4n.

    Returns:
        An `AutoencoderKLWan` with strides 4, 4, 4 (time, height, width), on the CPU, its ``latents_mean`` and
        ``latents_std`` measured on further clips.

    Raises:
        InputError: frames that are not 1 + 4n.
    """
    if num_frames % 4 != 1:
        raise InputError(f"num_frames: found {num_frames}, expected 1 + a multiple of 4")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        vae: Codec = AutoencoderKLWan(
            base_dim=base_dim,
            z_dim=latent_channels,
            dim_mult=[1, 1, 1],
            num_res_blocks=1,
            temperal_downsample=[True, True],
            latents_mean=[0.0] * latent_channels,
            latents_std=[1.0] * latent_channels,
            scale_factor_spatial=4,
            scale_factor_temporal=4,
        )
    vae = vae.to(device).train()
    optimizer = torch.optim.AdamW(vae.parameters(), learning_rate, betas=(0.9, 0.95))
    generator = torch.Generator().manual_seed(seed)

    def clips(first: int, count: int) -> torch.Tensor:
        scene = sample_scene(seed, range(first, first + count), num_frames=num_frames, resolution=side)
        return (render(scene, (side, side)).transpose(1, 2) * 2 - 1).to(device)

    started, step = time.monotonic(), 0
    while step == 0 or time.monotonic() - started < seconds:
        video = clips(step * batch, batch)
        posterior = vae.encode(video).latent_dist
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        loss = (decoded - video).abs().mean() + KL_WEIGHT * posterior.kl().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(vae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1

    vae = vae.eval().cpu()
    with torch.no_grad():
        codes = vae.encode(clips(_TRAIN_CLIPS, 8).cpu()).latent_dist.mode()
    vae.register_to_config(
        latents_mean=[round(value, 6) for value in codes.mean((0, 2, 3, 4)).tolist()],
        latents_std=[round(max(value, 1e-3), 6) for value in codes.std((0, 2, 3, 4)).tolist()],
    )
    return vae
