"""Few steps: teach nano to make in one, two or four steps what it makes in twenty.

Progressive distillation (Salimans & Ho 2022) into one network that is told the step count (Frans et al. 2024). Where n
steps go from time t to t', the teacher goes there in several smaller ones; the student, told n, is to land in the same
place with one. Both are DDIM,

    x' = r x + (1 - r) clean,    r = t' / t,

so that the landing of several steps from x is that of one with a clean latent c* between those the teacher predicted:
c* is what the student learns, without weights of its own for early and late jumps.

Squared distances make soft pictures where the student cannot know what the teacher would decide. So in the last jump,
whose clean latent is the picture, every patch shall also be as rich as the true clip is there (`texture_distance`). It
costs no network, asks for no particular detail, and cannot be met by grey.

Each count learns from the running average of the same weights, told of a count (or of none) that reaches less far: four
steps from the many-step model on the grid of twenty, two from four, one from two. Deriving a teacher's gradient, a
critic, or a second network (distribution matching) costs a small CPU training more than it has, and with a photograph
and tracks for every cell there is little left to choose that a critic would have to keep apart. A share of the lessons
goes on with flow matching, so that the many-step model stays what it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch

from motionloom.models.nano.build import build_scheduler
from motionloom.models.nano.few_steps import step_grid, step_token
from motionloom.train.nano.objectives import (
    Lesson,
    Network,
    add_noise,
    draw_noise,
    flow_loss,
    predict_clean,
    weighted_mean,
)

FLOW_SHARE = 0.25
"""Of the lessons go on teaching many steps."""
TEXTURE_WEIGHT = 0.3
"""Of `texture_distance` beside the squared distance."""
TEXTURE_CELLS = 4
"""Side of a patch, in latent cells."""


@dataclass(frozen=True)
class Jump:
    """A step count and who teaches it.

    Attributes:
        steps: of the student.
        substeps: the teacher makes for each of the student's.
        told: what the teacher is told; None: many steps.
    """

    steps: int
    substeps: int
    told: int | None


JUMPS = (Jump(4, 5, None), Jump(2, 2, 4), Jump(1, 2, 2))


def few_steps_loss(lesson: Lesson) -> torch.Tensor:
    """`flow_loss`, or `jump_loss` of one of `JUMPS`, by chance."""
    if float(torch.rand((), generator=lesson.generator)) < FLOW_SHARE:
        return flow_loss(lesson)
    jump = JUMPS[int(torch.randint(len(JUMPS), (), generator=lesson.generator))]
    starts = torch.randint(jump.steps, (len(lesson.latents),), generator=lesson.generator).tolist()
    return jump_loss(
        lesson.model,
        lesson.average,
        lesson.latents,
        lesson.condition,
        draw_noise(lesson),
        jump=jump,
        starts=starts,
        weights=lesson.weights,
        pictures=lesson.pictures,
    )


def jump_loss(
    student: Network,
    teacher: Network,
    latents: torch.Tensor,
    condition: torch.Tensor,
    noise: torch.Tensor,
    *,
    jump: Jump,
    starts: Sequence[int],
    weights: torch.Tensor | None = None,
    pictures: int | None = None,
) -> torch.Tensor:
    """Mean squared distance of what the student predicts from `teacher_clean`; after last jumps, `texture_distance`
    to the true clip on top, `TEXTURE_WEIGHT` times.

    Args:
        latents: clean, [B, C, T, h, w]; condition [B, 4 + C, T, h, w]; noise as latents.
        starts: which of its steps each sample makes, 0 is the first.
        weights: of the distances; see `motionloom.train.nano.objectives.Lesson`.
        pictures: how many channels have a texture; all when not given.
    """
    legs = [_leg(jump.steps, jump.substeps, start) for start in starts]
    times = torch.tensor([leg.times for leg in legs], device=latents.device).T  # [substeps + 1, B]
    told = torch.tensor([leg.told for leg in legs], device=latents.device).T  # [substeps, B]
    noisy = add_noise(latents, noise, times[0])
    with torch.no_grad():
        target = teacher_clean(teacher, noisy, condition, times, told, step_token(jump.told))
    clean = predict_clean(student, noisy, condition, told[0], step_token(jump.steps))
    last = times[-1] == 0
    texture = texture_distance(clean[:, :pictures], latents[:, :pictures])
    return weighted_mean((clean - target).square(), weights) + TEXTURE_WEIGHT * (texture * last).mean()


def teacher_clean(
    teacher: Network,
    noisy: torch.Tensor,
    condition: torch.Tensor,
    times: torch.Tensor,
    told: torch.Tensor,
    token: torch.Tensor,
) -> torch.Tensor:
    """The clean latent c* with which one DDIM step lands where the teacher's steps do.

    Args:
        noisy: [B, C, T, h, w] at ``times[0]``.
        times: [K + 1, B], falling; told: [K, B], what the network hears of them.
        token: of the teacher; see `motionloom.models.nano.few_steps.step_token`.
    """
    x, target, kept = noisy, torch.zeros_like(noisy), 1.0
    for (now, then), at in zip(pairwise(times), told, strict=True):
        clean = predict_clean(teacher, x, condition, at, token)
        r = (then / now).view(-1, 1, 1, 1, 1)
        x = r * x + (1 - r) * clean
        target = r * target + (1 - r) * clean
        kept = kept * r
    # x = kept * noisy + target, and target = (1 - kept) c*: no small difference of large numbers anywhere.
    return target / (1 - kept)


def texture_distance(clean: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    """How differently rich two latents [B, C, T, h, w] are, [B]: mean squared difference of the root mean square of
    each channel in overlapping square patches of `TEXTURE_CELLS`. Where in a patch something is does not matter.
    """
    return (_richness(clean) - _richness(true)).square().flatten(1).mean(1)


_FAINT = 0.01
"""Richness below which differences count little, and the root has a slope."""


def _richness(latents: torch.Tensor) -> torch.Tensor:
    rows, columns = (min(TEXTURE_CELLS, side) for side in latents.shape[-2:])
    stride = (1, max(1, rows // 2), max(1, columns // 2))
    return (torch.nn.functional.avg_pool3d(latents.square(), (1, rows, columns), stride) + _FAINT**2).sqrt()


@dataclass(frozen=True)
class _Leg:
    times: tuple[float, ...]
    told: tuple[float, ...]


@cache
def _leg(steps: int, substeps: int, start: int) -> _Leg:
    """The finer grid between two neighbours of the grid of ``steps``: the latter is part of it."""
    times, told = step_grid(build_scheduler(), steps * substeps)
    first = start * substeps
    return _Leg(tuple(times[first : first + substeps + 1]), tuple(told[first : first + substeps]))
