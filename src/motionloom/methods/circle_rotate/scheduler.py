"""Euler's solver with the noise levels of distilled Wan models."""

from __future__ import annotations

from typing import Any

import torch
from diffusers.schedulers.scheduling_flow_match_euler_discrete import FlowMatchEulerDiscreteScheduler

from motionloom.methods.circle_rotate.circle_rotate import unshifted


class SimpleEulerScheduler(FlowMatchEulerDiscreteScheduler):
    """Euler steps on the grid that distilled Wan models were made for; see `unshifted`.

    Asked for a number of steps, the stock scheduler shifts its smallest noise level twice: of four steps at shift 8 the
    last would begin at 0.06 instead of 0.73.
    """

    def set_timesteps(
        self,
        num_inference_steps: int | None = None,
        device: str | torch.device | None = None,
        sigmas: list[float] | None = None,
        mu: float | None = None,
        timesteps: list[float] | None = None,
    ) -> None:
        """The noise levels of so many steps; with ``sigmas`` or ``timesteps`` as in diffusers."""
        if num_inference_steps is not None and sigmas is None and timesteps is None:
            sigmas = unshifted(num_inference_steps).tolist()
        options: dict[str, Any] = {"device": device, "sigmas": sigmas, "mu": mu, "timesteps": timesteps}
        super().set_timesteps(num_inference_steps, **options)
