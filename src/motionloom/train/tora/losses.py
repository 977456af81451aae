"""The published loss of Tora's training, and what its samples lose on purpose.

CogVideoX's network predicts the velocity v = sqrt(a) noise - sqrt(1 - a) x_0 of x_t = sqrt(a) x_0 + sqrt(1 - a) noise,
a being alpha-bar at the timestep. Training turns it into x_0 and counts squared errors 1 / (1 - a); source: sat's
``VideoDiffusionLoss`` and configs of the published program. The two factors cancel: it is the squared error of v.

Shapes: latents [B, T, C, h, w], time before channels as CogVideoX's transformer has it; alpha_bar [B].
"""

from __future__ import annotations

from typing import Any

import torch

TIMESTEPS = 1000
TEXT_DROPOUT, IMAGE_DROPOUT = 0.1, 0.05
"""Published chances (``cfg_prob`` and the image-to-video configuration)."""

IMAGE_NOISE_MEAN, IMAGE_NOISE_DEVIATION = -3.0, 0.5
"""Of the natural logarithm of the noise on the first frame, in [-1, 1]: CogVideoX's image-to-video training."""


def stratified_timesteps(
    count: int, generator: torch.Generator, *, total: int = TIMESTEPS, rank: int = 0, world: int = 1
) -> torch.Tensor:
    """int64 [count]: uniform over 0 to total - 1, one from each of count * world equal intervals over all processes.

    Args:
        rank, world: which process this is, of how many; its intervals are those from rank * count on.
    """
    stratum = rank * count + torch.arange(count)
    place = (stratum + torch.rand(count, generator=generator)) / (count * world)
    # Mixed, so that no place in the batch means a time.
    return (place * total).long().clamp(max=total - 1)[torch.randperm(count, generator=generator)]


def noised(latents: torch.Tensor, noise: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """x_t, as `latents`."""
    signal = _over(alpha_bar, latents)
    return signal.sqrt() * latents + (1 - signal).sqrt() * noise


def clean_from_velocity(noisy: torch.Tensor, velocity: torch.Tensor, alpha_bar: torch.Tensor) -> torch.Tensor:
    """x_0 = sqrt(a) x_t - sqrt(1 - a) v."""
    signal = _over(alpha_bar, noisy)
    return signal.sqrt() * noisy - (1 - signal).sqrt() * velocity


def diffusion_loss(
    velocity: torch.Tensor, latents: torch.Tensor, noisy: torch.Tensor, alpha_bar: torch.Tensor
) -> torch.Tensor:
    """Mean over everything of (predicted x_0 - x_0)^2 / (1 - a), in float32."""
    clean = clean_from_velocity(noisy.float(), velocity.float(), alpha_bar)
    return ((clean - latents.float()).square() / (1 - _over(alpha_bar, clean))).mean()


def dropped(values: torch.Tensor, chance: float, generator: torch.Generator, to: torch.Tensor | float = 0.0) -> Any:
    """``values`` [B, ...] with each sample replaced by ``to`` with this chance."""
    lost = torch.rand(len(values), generator=generator) < chance
    return torch.where(lost.to(values.device).view(-1, *[1] * (values.ndim - 1)), to, values)


def noised_image(image: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """First frames [B, 3, H, W] in [-1, 1] with Gaussian noise of sigma = exp(N(-3, 0.5^2)) each."""
    sigma = torch.exp(IMAGE_NOISE_MEAN + IMAGE_NOISE_DEVIATION * torch.randn(len(image), generator=generator))
    noise = torch.randn(image.shape, generator=generator)
    return image + (sigma.view(-1, 1, 1, 1) * noise).to(image)


def _over(alpha_bar: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return alpha_bar.to(like.device, torch.float32).view(-1, *[1] * (like.ndim - 1))
