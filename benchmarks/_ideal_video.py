"""A world of videos whose perfect denoiser is known, to see what windows do to a clip without any training.

Every latent value is a Gaussian process in time: half of the channels hardly change (a scene), the others move smoothly
and forget within some ten frames. So the mean of the clean clip given a noisy one, and given a photograph of its first
frame, has a closed form, and so has what a clip of any length ought to look like.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

CHANNELS = 4
SCENE, MOVING = slice(0, 2), slice(2, 4)
KEPT = {"scene": 0.95, "moving": 0.0}  # part of the variance that never changes
REACH = 3.0  # latent frames over which the rest changes
TEXTURE = 0.01  # variance that is new in every frame
PHOTOGRAPH = 0.05  # standard deviation of the photograph's own noise, exp(-3) in the training of CogVideoX


def covariance(frames: int, kept: float) -> Tensor:
    """Between the frames of a clip, float64 [T, T], with unit variance."""
    apart = torch.arange(frames, dtype=torch.float64)
    apart = apart[:, None] - apart[None]
    same = torch.eye(frames, dtype=torch.float64)
    return kept + (1 - kept - TEXTURE) * torch.exp(-(apart**2) / (2 * REACH**2)) + TEXTURE * same


class IdealTransformer(nn.Module):
    """Predicts v perfectly for clips of any length; a photograph in the second half of the channels counts if it is
    there, as for a model whose photograph was left out at times in training.

    Args:
        signal: variance kept at each timestep (``alphas_cumprod``) [1000].
        takes_image: as an image-to-video model.
    """

    def __init__(self, signal: Tensor, takes_image: bool) -> None:
        super().__init__()
        self.signal = signal.double()
        self.config = SimpleNamespace(
            patch_size=2, patch_size_t=None, out_channels=CHANNELS, in_channels=CHANNELS * (1 + takes_image)
        )

    def forward(self, hidden_states: Tensor, timestep: Tensor, **_: Any) -> tuple[Tensor]:
        kept = self.signal[int(timestep[0])]
        clean = torch.empty_like(hidden_states[:, :, :CHANNELS], dtype=torch.float64)
        noisy = hidden_states[:, :, :CHANNELS].double()
        photograph = hidden_states[:, 0, CHANNELS:].double()
        for channels, part in ((SCENE, KEPT["scene"]), (MOVING, KEPT["moving"])):
            prior = covariance(noisy.shape[1], part)
            mean = torch.zeros_like(noisy[:, :, channels])
            if photograph.any():
                gain = prior[:, 0] / (prior[0, 0] + PHOTOGRAPH**2)
                mean = gain[:, None, None, None] * photograph[:, None, channels]
                prior = prior - torch.outer(gain, prior[0])
            seen = kept * prior + (1 - kept) * torch.eye(len(prior), dtype=torch.float64)
            gain = kept.sqrt() * prior @ torch.linalg.inv(seen)
            rest = noisy[:, :, channels] - kept.sqrt() * mean
            clean[:, :, channels] = mean + torch.einsum("ij,bjchw->bichw", gain, rest)
        return (((kept.sqrt() * noisy - clean) / (1 - kept).sqrt()).float(),)


def denoised(
    transformer: IdealTransformer, scheduler: Any, latent_frames: int, *, steps: int, seed: int, size: int = 24
) -> Tensor:
    """A clip [T', C, size, size], by the loop of the CogVideoX pipelines; inside `windowed` by its windows."""
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, latent_frames, CHANNELS, size, size, generator=generator)
    image = torch.zeros_like(latents)
    image[:, 0] = torch.randn(1, CHANNELS, size, size, generator=generator)
    takes_image = transformer.config.in_channels > CHANNELS
    scheduler.set_timesteps(steps)
    timesteps, estimate = scheduler.timesteps, None
    for i, t in enumerate(timesteps):
        hidden = torch.cat([latents, image], 2) if takes_image else latents
        predicted = transformer(hidden_states=hidden, timestep=t.expand(1))[0]
        if "DPM" in type(scheduler).__name__:
            before = timesteps[i - 1] if i else None
            found = scheduler.step(predicted, estimate, t, before, latents, generator=generator, return_dict=False)
            latents, estimate = found
        else:
            latents = scheduler.step(predicted, t, latents, return_dict=False)[0]
    return latents[0]


def likeness(clip: Tensor, borders: list[int]) -> dict[str, dict[str, float]]:
    """How far a clip is from what the world makes, for the scene and for what moves.

    "seam": the largest squared difference of neighbouring frames at the borders of windows, over the mean elsewhere;
    "variance": 1 in the world; "kept": correlation of the first and the last frame over the ideal one (scene only);
    "error": of the frames' covariance, relative (Frobenius).
    """
    found = {}
    for name, channels in (("scene", SCENE), ("moving", MOVING)):
        values = clip[:, channels].double().flatten(1)
        ideal = covariance(len(values), KEPT[name])
        made = values @ values.T / values.shape[1]
        jumps = values.diff(dim=0).pow(2).mean(1)
        at = [float(jumps[border - 1]) for border in borders]
        elsewhere = [float(jump) for i, jump in enumerate(jumps, 1) if i not in borders]
        spread = made.diagonal()
        found[name] = {
            "seam": max(at, default=0.0) / (sum(elsewhere) / len(elsewhere)),
            "variance": float(spread.mean()),
            "error": float((made - ideal).norm() / ideal.norm()),
        }
        if KEPT[name]:
            found[name]["kept"] = float(made[0, -1] / (spread[0] * spread[-1]).sqrt() / ideal[0, -1])
    return found
