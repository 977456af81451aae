"""How nano is told in how many steps a clip will be made, and the sampler it then runs through.

nano reads no text; the one text token of its transformer says how far each step has to reach. All zeros mean many small
steps, the diffusion model; any other token is the code of a step count that the weights were distilled to
(`motionloom.train.nano.distillation`). Conditioning on the length of the step is what lets one set of weights serve
several step counts: Frans et al. 2024, "One Step Diffusion via Shortcut Models".

A distilled count is sampled to first order, which on a network that predicts the clean latent is DDIM (Song et al.
2021): x' = clean + (x - clean) t' / t. That is the jump the distillation trains. The second-order history and corrector
of UniPC extrapolate over steps that here are far too long for it.
"""

from __future__ import annotations

import math
from typing import Any

import torch

from motionloom.errors import InputError
from motionloom.models.nano.build import TEXT_DIM

STEP_COUNTS = (1, 2, 4)
"""The counts that the recipe distils to."""

_LARGEST = 16
"""Counts up to this one have codes that differ clearly: it spans half a turn of the slowest wave."""


def step_token(steps: int | None, width: int = TEXT_DIM) -> torch.Tensor:
    """The text token [1, 1, width] that says in how many steps a clip is made; None: many, all zeros.

    Cosines and sines of log2(steps), so that doubling the count is the same turn everywhere. The first value is 1 for
    every count: that the steps are few at all.

    Raises:
        InputError: a count below 1, or an odd width.
    """
    if steps is None:
        return torch.zeros(1, 1, width)
    if steps < 1 or width % 2:
        raise InputError(f"steps, width: found {steps}, {width}; expected at least one step and an even width")
    turn = math.pi * math.log2(steps) / math.log2(_LARGEST)
    angles = turn * torch.arange(width // 2, dtype=torch.float64)
    return torch.cat([angles.cos(), angles.sin()]).float().view(1, 1, width)


def first_order(scheduler: Any, steps: int) -> Any:
    """A scheduler of the same kind and grid that makes ``steps`` plain DDIM steps; the one given stays as it is.

    Args:
        scheduler: a `UniPCMultistepScheduler`.
    """
    return type(scheduler).from_config(scheduler.config, solver_order=1, disable_corrector=list(range(steps)))


def step_grid(scheduler: Any, steps: int) -> tuple[list[float], list[float]]:
    """The times of a run, exactly as the sampler has them.

    Returns:
        (``steps`` + 1 times from 1 down to 0, what the network is told of the first ``steps``): the sampler rounds the
        latter down to whole thousandths.
    """
    grid = type(scheduler).from_config(scheduler.config)
    grid.set_timesteps(steps)
    return grid.sigmas.tolist(), (grid.timesteps / grid.config.num_train_timesteps).tolist()
