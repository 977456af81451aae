"""Between video and the normalised latents a transformer sees, for any codec with `AutoencoderKLWan`'s interface."""

from __future__ import annotations

from typing import Any

import torch

Codec = Any
"""A `BlockCodec` or an `AutoencoderKLWan`."""


@torch.no_grad()
def to_latents(codec: Codec, video: torch.Tensor) -> torch.Tensor:
    """[B, 3, 1 + 4n, H, W] in [-1, 1] -> (code - mean) / std, [B, C, 1 + n, h, w], as the pipelines do it."""
    mean, std = _statistics(codec)
    return (codec.encode(video).latent_dist.mode() - mean.to(video)) / std.to(video)


@torch.no_grad()
def to_video(codec: Codec, latents: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_latents`, as far as the codec allows; clamped to [-1, 1]."""
    mean, std = _statistics(codec)
    return codec.decode(latents * std.to(latents) + mean.to(latents)).sample


def _statistics(codec: Codec) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(codec.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))  # type: ignore[return-value]
