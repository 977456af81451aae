"""Time-to-Move (Singer et al. 2025, arXiv 2511.08633): dual-clock denoising, the maths.

A moved copy of the photograph, however crude, says where things have to be. Denoising starts from it under noise, not
from noise alone (SDEdit), with two clocks: what was drawn joins the denoising late (``t_strong``: it is held on the
moved copy, under the noise of each step, until then), all the rest early (``t_weak``), so that it can live.

Clocks are given as fractions of the schedule's steps, 0 pure noise, 1 done. The published program counts steps of 50.

Shape suffixes: B batch, C latent channels, F pixel frames, T latent frames, H and W latent rows and columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from motionloom.errors import InputError


@dataclass(frozen=True)
class Clocks:
    """When the denoising begins, as fractions of the schedule: outside the mask, and inside.

    Raises:
        InputError: not 0 <= t_weak <= t_strong <= 1.
    """

    t_weak: float
    t_strong: float

    def __post_init__(self) -> None:
        if not 0.0 <= self.t_weak <= self.t_strong <= 1.0:
            raise InputError(
                f"t_weak, t_strong: found {self.t_weak:g} and {self.t_strong:g}, expected 0 <= t_weak <= t_strong <= 1"
            )

    def scaled(self, strength: float) -> Clocks:
        """Both clocks times ``strength``, so that 0 is the base model and 1 these clocks; no later than the end.

        Raises:
            InputError: a strength that is negative or not finite.
        """
        if not (math.isfinite(strength) and strength >= 0):
            raise InputError(f"strength: found {strength}, expected zero or more")
        return Clocks(min(1.0, self.t_weak * strength), min(1.0, self.t_strong * strength))

    def steps(self, num_steps: int) -> tuple[int, int]:
        """The two clocks as numbers of steps out of ``num_steps``: (steps skipped, steps in all before the mask is let
        go). At least one step is left to run.

        Raises:
            InputError: so few steps that the motion would never be seen.
        """
        weak, strong = (math.floor(clock * num_steps + 0.5) for clock in (self.t_weak, self.t_strong))
        if strong == 0 and self.t_strong > 0:
            raise InputError(
                f"num_inference_steps: {num_steps} are too few for t_strong = {self.t_strong:g}, the motion would "
                f"never be seen; use at least {math.ceil(0.5 / self.t_strong)} steps, or a t_strong of "
                f"{0.5 / num_steps:.2g} or more"
            )
        return min(weak, num_steps - 1), strong


PUBLISHED = {
    "wan": Clocks(3 / 50, 7 / 50),
    "wan-camera": Clocks(2 / 50, 5 / 50),
    "cogvideox": Clocks(4 / 50, 9 / 50),
    "svd": Clocks(16 / 50, 21 / 50),
}
"""The authors' starting points, out of 50 steps (their README): things cut out and dragged; a moved camera."""


NANO = Clocks(0.95, 0.9875)
NANO_STEPS = 80
"""nano holds to its own condition so firmly that it needs a late start: of 80 steps the last 4 are run, from sigma
0.51, and the mask joins at 0.20. Measured by ``benchmarks/time_to_move.py``."""


@dataclass(frozen=True)
class NoiseLevels:
    """What a scheduler's timesteps mean: x = signal[i] * clean + noise[i] * unit noise at step i.

    Attributes:
        signal, noise: one number for each step, and one for the result (1 and 0).
    """

    signal: tuple[float, ...]
    noise: tuple[float, ...]

    def noised(self, clean: Tensor, noise: Tensor, step: int) -> Tensor:
        """``clean`` under ``noise`` as it is when ``step`` begins; at the last step's end, ``clean``."""
        return (self.signal[step] * clean.float() + self.noise[step] * noise.float()).to(clean.dtype)


def noise_levels(scheduler: Any) -> NoiseLevels:
    """The levels of a diffusers scheduler after `set_timesteps`.

    Flow matching: 1 - sigma and sigma. Variance preserving (DDIM, DPM-Solver, UniPC on betas): the roots of the
    cumulative alphas. Variance exploding (Euler): 1 and sigma.

    Raises:
        InputError: several model calls per step, which the two clocks cannot count.
    """
    order = getattr(scheduler, "order", 1)
    if order != 1:
        raise InputError(
            f"scheduler: {type(scheduler).__name__} calls the model {order} times a step, which Time-to-Move cannot "
            "count; use UniPC, DPM-Solver, Euler or DDIM"
        )
    timesteps = scheduler.timesteps
    sigmas = aligned_sigmas(scheduler)
    if sigmas is None:
        kept = scheduler.alphas_cumprod[timesteps.long().cpu()].double()
        signal, noise = kept.sqrt(), (1 - kept).clamp_min(0).sqrt()
    else:
        noise = sigmas[: len(timesteps)].double().cpu()
        config = scheduler.config
        flows = (
            config.get("use_flow_sigmas", False)
            or config.get("prediction_type") == "flow_prediction"
            or not hasattr(scheduler, "alphas_cumprod")
        )
        if flows:
            signal = 1 - noise
        elif hasattr(scheduler, "alpha_t"):  # solvers that work on the variance preserving path
            signal = 1 / (1 + noise**2).sqrt()
            noise = noise * signal
        else:
            signal = torch.ones_like(noise)
    return NoiseLevels((*signal.tolist(), 1.0), (*noise.tolist(), 0.0))


def aligned_sigmas(scheduler: Any) -> Tensor | None:
    """The scheduler's noise levels where they belong to its timesteps one by one, else None."""
    sigmas = getattr(scheduler, "sigmas", None)
    fits = isinstance(sigmas, Tensor) and len(sigmas) in (len(scheduler.timesteps), len(scheduler.timesteps) + 1)
    return sigmas if fits else None


def latent_mask(mask: Tensor, latent_size: tuple[int, int], time_stride: int) -> Tensor:
    """What of the latent is determined by the drawn motion: bool [B, T, H, W] of a mask bool [B, F, h, w].

    Latent frame 0 is pixel frame 0; latent frame k >= 1 holds frames s (k - 1) + 1 to s k. A cell counts where at least
    half of its pixels do in any of its frames.
    """
    cells = adaptive_avg_pool2d(mask.float(), latent_size) >= 0.5
    groups = [cells[:, :1], *cells[:, 1:].split(time_stride, dim=1)]
    return torch.stack([group.any(1) for group in groups], dim=1)


def hold(latents: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """``latents`` with the reference in its place where ``mask`` is true: the mask's clock stands still."""
    return torch.where(mask, reference.to(latents), latents)
