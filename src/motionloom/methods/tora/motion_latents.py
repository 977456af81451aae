"""Flow video -> motion latents, through the video VAE of the pipeline (or one tuned for flow)."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from motionloom.errors import InputError

Posterior = Literal["mode", "sample"]
"""The likeliest latents; or some drawn from the VAE's posterior, as the published program does."""

POSTERIORS: tuple[Posterior, ...] = ("mode", "sample")


@torch.no_grad()
def motion_latents(
    vae: Any, video: Tensor, *, posterior: Posterior = "mode", generator: torch.Generator | None = None
) -> Tensor:
    """Flow videos, coded as the checkpoints were shown them.

    Videos are coded one by one, with the slicing and tiling that is switched on in the VAE. They are brought to
    [-1, 1] in float32 and only then to the VAE's type, as in training (the published diffusers script rounds to
    bfloat16 first).

    Args:
        vae: an `AutoencoderKLCogVideoX`, or anything with its ``encode``.
        video: uint8 [B, 3, T, H, W], RGB; nothing moves: 255.
        posterior: "sample" draws from ``generator`` (on the CPU), one video after the other.

    Returns:
        [B, C, T', h, w] in the VAE's type, multiplied by its scaling factor. They are never divided by it: a model with
        ``invert_scale_latents`` does so with photographs only.

    Raises:
        InputError: an unknown ``posterior``.
    """
    if posterior not in POSTERIORS:
        raise InputError(f"motion_posterior: found {posterior!r}, expected one of {', '.join(POSTERIORS)}")
    coded: list[Tensor] = []
    for one in video:
        pixels = (one.float() / 127.5 - 1).to(dtype=vae.dtype)[None]
        distribution = vae.encode(pixels).latent_dist
        coded.append(distribution.mode() if posterior == "mode" else distribution.sample(generator))
    return torch.cat(coded) * vae.config.scaling_factor
