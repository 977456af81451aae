"""A small learned codec: a stock `AutoencoderKLWan` with the strides of `BlockCodec`, trained on procedural clips."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.models.seeding import seeded
from motionloom.prepare.procedural import Style, render, sample_scene
from motionloom.train.latents import Codec
from motionloom.train.state import TrainingState

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
    style: Style = "simple",
    photographs: Sequence[NDArray[np.uint8]] | None = None,
    device: torch.device | str = "cpu",
    checkpoint: Path | None = None,
    checkpoint_every: float = 120.0,
) -> Codec:
    """Train for a time; at least one step.

    Args:
        latent_channels: C.
        seconds: of training, summed over all resumed runs.
        base_dim: width of the convolutions.
        side, num_frames, batch: of the clips trained on; frames are 1 + 4n.
        style, photographs: of the clips, see `motionloom.prepare.procedural.sample_scene`.
        checkpoint: file that is written every ``checkpoint_every`` seconds and gone on from where it exists.

    Returns:
        An `AutoencoderKLWan` with strides 4, 4, 4 (time, height, width), on the CPU, its ``latents_mean`` and
        ``latents_std`` measured on further clips.

    Raises:
        InputError: frames that are not 1 + 4n.
        CheckpointError: the checkpoint belongs to another training.
    """
    if num_frames % 4 != 1:
        raise InputError(f"num_frames: found {num_frames}, expected 1 + a multiple of 4")
    with seeded(seed):
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
    state = TrainingState(vae, optimizer, averaging=0.0)
    told = {"seed": seed, "base_dim": base_dim, "side": side, "num_frames": num_frames, "batch": batch, "style": style}
    told |= {"latent_channels": latent_channels, "learning_rate": learning_rate}
    if checkpoint is not None and checkpoint.exists():
        state.load(checkpoint, told)

    def clips(first: int, count: int) -> torch.Tensor:
        scene = sample_scene(
            seed,
            range(first, first + count),
            num_frames=num_frames,
            resolution=side,
            style=style,
            photographs=photographs,
            device=device,
        )
        return render(scene, (side, side)).transpose(1, 2) * 2 - 1

    started = saved = time.monotonic()
    before = state.elapsed
    while state.step == 0 or state.elapsed < seconds:
        video = clips(state.step * batch, batch)
        posterior = vae.encode(video).latent_dist
        generator = torch.Generator().manual_seed(seed * 1009 + state.step)
        noise = torch.randn(posterior.mean.shape, generator=generator).to(device)
        decoded = vae.decode(posterior.mean + posterior.std * noise).sample
        state.add((decoded - video).abs().mean() + KL_WEIGHT * posterior.kl().mean())
        state.update(learning_rate=learning_rate, clip=1.0)
        now = time.monotonic()
        state.elapsed = before + now - started
        if checkpoint is not None and now - saved >= checkpoint_every:
            state.save(checkpoint, told)
            saved = now

    vae = vae.eval().cpu()
    with torch.no_grad():
        codes = vae.encode(clips(_TRAIN_CLIPS, 8).cpu()).latent_dist.mode()
    vae.register_to_config(
        latents_mean=[round(value, 6) for value in codes.mean((0, 2, 3, 4)).tolist()],
        latents_std=[round(max(value, 1e-3), 6) for value in codes.std((0, 2, 3, 4)).tolist()],
    )
    return vae
