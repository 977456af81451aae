"""Between video and the normalised latents a transformer sees, for any codec with `AutoencoderKLWan`'s interface."""

from __future__ import annotations

from typing import Any

import torch

from motionloom.models.nano.codec import BlockCodec

Codec = Any
"""A `BlockCodec` or an `AutoencoderKLWan`."""

COVERED_WEIGHT = 0.2
"""Of errors in the picture of what the first frame shows, beside a codec that can say where it comes from."""

SHORTEST_WEIGHT = 4.0
"""Of errors in the provenance's shortest wave, which tells places to fractions of a pixel; those of the others need to
be right within half of the next shorter one only."""


@torch.no_grad()
def to_latents(codec: Codec, video: torch.Tensor) -> torch.Tensor:
    """[B, 3, 1 + 4n, H, W] in [-1, 1] -> (code - mean) / std, [B, C, 1 + n, h, w], as the pipelines do it.

    But `BlockCodec` searches for no motion: in training it is known, see `with_provenance`.
    """
    mean, std = _statistics(codec)
    codes = codec.codes(video) if isinstance(codec, BlockCodec) else codec.encode(video).latent_dist.mode()
    return (codes - mean.to(video)) / std.to(video)


@torch.no_grad()
def to_video(codec: Codec, latents: torch.Tensor) -> torch.Tensor:
    """The inverse of `to_latents`, as far as the codec allows; clamped to [-1, 1]."""
    mean, std = _statistics(codec)
    return codec.decode(latents * std.to(latents) + mean.to(latents)).sample


def with_provenance(codec: Codec, latents: torch.Tensor, places: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
    """Latents [B, C, 1 + n, h, w] that say of each cell after the first frame where in that frame it comes from.

    The latents as they are for a codec whose latents do not tell.

    Args:
        places, seen: [B, n, h, w, 2] in pixels and [B, n, h, w]; see `motionloom.prepare.procedural.sources`.
    """
    tells = isinstance(codec, BlockCodec) and bool(codec.wavelengths)
    return codec.with_places(latents, places, seen) if tells else latents


def picture_channels(codec: Codec) -> int:
    """How many of the codec's channels are pictures; any others are provenance."""
    return int(codec.config["z_dim"]) - 4 * len(getattr(codec, "wavelengths", ()))


def latent_weights(codec: Codec, uncovered: torch.Tensor) -> torch.Tensor | None:
    """How much errors of each latent number count, [B, C, T, h, w]; None: all the same.

    Where the first frame shows a thing its picture follows from where it comes from, so the picture counts less there.

    Args:
        uncovered: bool [B, 1, T, h, w].
    """
    blocks, channels = picture_channels(codec), int(codec.config["z_dim"])
    if blocks == channels:
        return None
    told = torch.ones(channels - blocks).to(uncovered.device)
    told[-4:] = SHORTEST_WEIGHT
    pictures = COVERED_WEIGHT + (1 - COVERED_WEIGHT) * uncovered.float()
    shape = (len(uncovered), channels - blocks, *uncovered.shape[2:])
    return torch.cat([pictures.expand(-1, blocks, -1, -1, -1), told.view(1, -1, 1, 1, 1).expand(shape)], dim=1)


def _statistics(codec: Codec) -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(torch.tensor(codec.config[name]).view(1, -1, 1, 1, 1) for name in ("latents_mean", "latents_std"))  # type: ignore[return-value]
