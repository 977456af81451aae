"""What a step of a stage minimises. An objective is a function of a `Lesson`; the training loop knows no more of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from motionloom.models.nano.build import TEXT_DIM
from motionloom.train.nano.recipe import Kind, NanoRecipe, Stage

Network = Callable[..., Any]
"""A nano transformer, perhaps compiled."""


@dataclass(frozen=True)
class Lesson:
    """What one step learns from. Tensors are where the network is.

    Attributes:
        model: the network that is trained.
        average: a network of the running average of its weights, without gradients.
        latents: clean, [B, C, T, h, w].
        condition: [B, 4 + C, T, h, w].
        weights: of the errors of each latent number, [B, C, T, h, w]; None: all the same.
        pictures: how many of the channels are pictures, the first ones.
        stage, recipe: what is trained.
        generator: on the CPU; all randomness comes from it, so that a resumed training draws the same.
    """

    model: Network
    average: Network
    latents: torch.Tensor
    condition: torch.Tensor
    weights: torch.Tensor | None
    pictures: int
    stage: Stage
    recipe: NanoRecipe
    generator: torch.Generator


Objective = Callable[[Lesson], torch.Tensor]
"""The loss of a lesson, a number with gradients."""

_OBJECTIVES: dict[Kind, tuple[str, str]] = {
    "flow": (__name__, "flow_loss"),
    "few_steps": ("motionloom.train.nano.distillation", "few_steps_loss"),
}


def objective(kind: Kind) -> Objective:
    """What stages of a kind minimise."""
    module, name = _OBJECTIVES[kind]
    return getattr(importlib.import_module(module), name)


def flow_loss(lesson: Lesson) -> torch.Tensor:
    """`step_loss` at random times of the stage."""
    noise = draw_noise(lesson)
    return step_loss(lesson.model, lesson.latents, lesson.condition, draw_times(lesson), noise, lesson.weights)


def draw_noise(lesson: Lesson) -> torch.Tensor:
    """Noise for the lesson's latents, [B, C, T, h, w]; drawn where they are, so that a GPU does not wait for it."""
    device = lesson.latents.device
    seed = int(torch.randint(2**62, (), generator=lesson.generator))
    return torch.randn(lesson.latents.shape, generator=torch.Generator(device).manual_seed(seed), device=device)


def draw_times(lesson: Lesson) -> torch.Tensor:
    """Times [B] between the stage's least and most, spaced as the recipe shifts them."""
    stage, shift = lesson.stage, lesson.recipe.time_shift
    u = torch.rand(len(lesson.latents), generator=lesson.generator).clamp_min(1e-2)
    t = shift * u / (1 + (shift - 1) * u)
    return (stage.least_time + (stage.most_time - stage.least_time) * t).to(lesson.latents.device)


def step_loss(
    model: Network,
    latents: torch.Tensor,
    condition: torch.Tensor,
    t: torch.Tensor,
    noise: torch.Tensor,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean squared error of the clean latent that the network predicts, divided by t.

    Args:
        latents: clean, [B, C, T, h, w]; condition [B, 4 + C, T, h, w]; t [B] in (0, 1]; noise as latents.
        weights: of each number; see `Lesson`.
    """
    clean = predict_clean(model, add_noise(latents, noise, t), condition, t)
    return weighted_mean((clean - latents).square() / t.view(-1, 1, 1, 1, 1), weights)


def weighted_mean(errors: torch.Tensor, weights: torch.Tensor | None) -> torch.Tensor:
    """The mean of errors times weights, if there are any."""
    return errors.mean() if weights is None else (errors * weights).mean()


def predict_clean(
    model: Network, noisy: torch.Tensor, condition: torch.Tensor, t: torch.Tensor, token: torch.Tensor | None = None
) -> torch.Tensor:
    """The network's clean latent [B, C, T, h, w] for noisy latents at times t [B].

    Args:
        token: [1 or B, 1, TEXT_DIM], see `motionloom.models.nano.few_steps.step_token`; zeros when not given.
    """
    if token is None:
        token = noisy.new_zeros(1, 1, TEXT_DIM)
    text = token.to(noisy).expand(len(noisy), -1, -1)
    return model(torch.cat([noisy, condition], 1), t * 1000, text, return_dict=False)[0].float()


def add_noise(latents: torch.Tensor, noise: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
    """(1 - t) latents + t noise, for t [B]: where the straight path from clip to noise is at time t."""
    t = t.view(-1, 1, 1, 1, 1)
    return latents * (1 - t) + noise * t
