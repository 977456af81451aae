"""What a distilled step has to do, on networks whose every answer is known; and that training does it."""

from __future__ import annotations

import copy
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.models.nano.build import build_scheduler, build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.few_steps import STEP_COUNTS, first_order, step_grid, step_token
from motionloom.train.nano import distillation
from motionloom.train.nano.distillation import (
    JUMPS,
    TEXTURE_WEIGHT,
    Jump,
    few_steps_loss,
    jump_loss,
    teacher_clean,
    texture_distance,
)
from motionloom.train.nano.objectives import Lesson, predict_clean
from motionloom.train.nano.recipe import NanoRecipe, Stage

SHAPE = (2, 3, 2, 4, 4)


class Oracle:
    """Stands for a network: says ``answer(noisy, time, token)`` and remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.heard = answer, []

    def __call__(self, x: torch.Tensor, time: torch.Tensor, token: torch.Tensor, return_dict: bool) -> Any:
        self.heard.append((time / 1000, token))
        return (self.answer(x[:, : SHAPE[1]], time / 1000, token),)


def batch(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Latents, condition and noise."""
    generator = torch.Generator().manual_seed(seed)
    latents, noise = (torch.randn(SHAPE, generator=generator) for _ in range(2))
    return latents, torch.zeros(2, 7, 2, 4, 4), noise


@given(st.integers(1, 6), st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_one_step_with_the_target_lands_where_the_teacher_does(steps: int, seed: int):
    rng = np.random.default_rng(seed)
    times = torch.from_numpy(np.sort(rng.uniform(0.01, 1, (steps + 1, 2)), axis=0)[::-1].copy()).float()
    if seed % 2:
        times[-1] = 0
    said = [torch.from_numpy(rng.standard_normal(SHAPE)).float() for _ in range(steps)]
    answers = iter(said)
    x, condition, _ = batch(seed)
    target = teacher_clean(Oracle(lambda *_: next(answers)), x, condition, times, times[:-1], step_token(None))
    landing = x.double()
    for clean, (now, then) in zip(said, pairwise(times.double()), strict=True):
        landing = clean + (landing - clean) * (then / now).view(-1, 1, 1, 1, 1)
    r = (times[-1].double() / times[0].double()).view(-1, 1, 1, 1, 1)
    torch.testing.assert_close(r * x + (1 - r) * target, landing, atol=1e-5, rtol=1e-5)
    assert target.abs().max() <= max(each.abs().max() for each in said) * (1 + 1e-5)  # a mean of what was said


@pytest.mark.parametrize("jump", JUMPS)
def test_teacher_and_student_are_told_what_the_sampler_tells(jump: Jump):
    starts = [0, jump.steps - 1]
    latents, condition, noise = batch()
    student, teacher = (Oracle(lambda x, time, token: torch.ones_like(x)) for _ in range(2))
    loss = jump_loss(student, teacher, latents, condition, noise, jump=jump, starts=starts)
    rich = texture_distance(torch.ones(SHAPE), latents)  # they agree, but what is a picture then is flat
    ends = [start == jump.steps - 1 for start in starts]
    expected = TEXTURE_WEIGHT * float((rich * torch.tensor(ends)).mean())
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    _, coarse = step_grid(build_scheduler(), jump.steps)
    _, fine = step_grid(build_scheduler(), jump.steps * jump.substeps)
    assert len(teacher.heard) == jump.substeps
    for substep, (time, token) in enumerate(teacher.heard):
        assert time.tolist() == pytest.approx([fine[start * jump.substeps + substep] for start in starts])
        assert torch.equal(token, step_token(jump.told).expand(2, -1, -1))
    ((time, token),) = student.heard
    assert time.tolist() == pytest.approx([coarse[start] for start in starts])
    assert torch.equal(token, step_token(jump.steps).expand(2, -1, -1))


def test_a_distilled_student_samples_as_its_teacher():
    """A teacher whose answer depends on time; a student with no loss makes its clip in one step."""
    _, condition, noise = batch()

    def teach(x: torch.Tensor, time: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        return 0.3 * x + time.view(-1, 1, 1, 1, 1)

    def sample(network: Any, steps: int) -> torch.Tensor:
        scheduler = first_order(build_scheduler(), steps)
        scheduler.set_timesteps(steps)
        x = noise
        for at in scheduler.timesteps:
            clean = predict_clean(network, x, condition, (at / 1000).expand(2), step_token(None))
            x = scheduler.step(clean, at, x, return_dict=False)[0]
        return x

    times, told = step_grid(build_scheduler(), 10)
    rows = [torch.tensor(each)[:, None].expand(-1, 2) for each in (times, told)]
    learnt = teacher_clean(Oracle(teach), noise, condition, rows[0], rows[1], step_token(None))
    torch.testing.assert_close(sample(Oracle(lambda *_: learnt), 1), sample(Oracle(teach), 10), atol=1e-4, rtol=1e-4)
    loss = jump_loss(
        Oracle(lambda *_: learnt), Oracle(teach), learnt, condition, noise, jump=Jump(1, 10, None), starts=[0, 0]
    )
    assert float(loss) == pytest.approx(0, abs=1e-6)


def test_richness_is_not_place():
    """Blind to signs and to where in a patch things are; grey is as far from the clip as the clip is rich."""
    true = torch.randn(2, 3, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    assert texture_distance(true, -true).tolist() == [0, 0]
    torch.testing.assert_close(texture_distance(true, true.flip(-1)), torch.zeros(2), atol=1e-12, rtol=0)
    grey = texture_distance(torch.zeros_like(true), true)
    torch.testing.assert_close(grey, true.square().mean((3, 4)).mean((1, 2)), atol=0.03, rtol=0)
    half = texture_distance(true / 2, true)
    torch.testing.assert_close(half, grey / 4, atol=0.01, rtol=0)
    faint = torch.zeros(1, 1, 1, 8, 8, requires_grad=True)
    texture_distance(faint, torch.ones(1, 1, 1, 8, 8)).sum().backward()
    assert torch.isfinite(faint.grad).all()  # type: ignore[arg-type]
    assert texture_distance(torch.ones(1, 1, 1, 2, 2), torch.zeros(1, 1, 1, 2, 2)) == pytest.approx(0.98, abs=0.01)


def test_every_count_learns_from_one_that_reaches_less_far():
    """A chain down to the many-step model, on grids that contain the student's own."""
    assert tuple(sorted(jump.steps for jump in JUMPS)) == STEP_COUNTS
    for jump in JUMPS:
        assert jump.told is None or (jump.told == jump.steps * jump.substeps and jump.told in STEP_COUNTS)
        coarse, fine = (step_grid(build_scheduler(), n)[0] for n in (jump.steps, jump.steps * jump.substeps))
        assert fine[:: jump.substeps] == pytest.approx(coarse)


def test_lessons_are_shared_out_and_repeatable(monkeypatch: pytest.MonkeyPatch):
    drawn: list[Any] = []
    monkeypatch.setattr(distillation, "flow_loss", lambda lesson: drawn.append(None))
    monkeypatch.setattr(distillation, "jump_loss", lambda *_, jump, starts, **__: drawn.append((jump.steps, *starts)))
    latents = torch.zeros(2, 1, 1, 1, 1)
    for seed in range(400):
        few_steps_loss(SimpleNamespace(  # type: ignore[arg-type]
            latents=latents, condition=latents, model=None, average=None, weights=None,
            pictures=None, generator=torch.Generator().manual_seed(seed),
        ))  # fmt: skip
    assert drawn.count(None) / 400 == pytest.approx(distillation.FLOW_SHARE, abs=0.06)
    counts = [sum(each is not None and each[0] == steps for each in drawn) for steps in STEP_COUNTS]
    assert min(counts) > 70
    assert {start for each in drawn if each and each[0] == 4 for start in each[1:]} == {0, 1, 2, 3}


@pytest.mark.slow
def test_one_step_decides_where_the_mean_would_be_fog():
    """A world where every token is a pattern or its negative, and the condition does not say which.

    The many-step model, known in closed form, follows the noise to one of them; its single step is the grey between.
    Distilled through four and two steps to one, a tiny network decides as twenty steps do, on noise it never saw.
    """
    pattern = torch.randn(1, 4, 1, 2, 2, generator=torch.Generator().manual_seed(3)).repeat(1, 1, 1, 2, 2)

    def many_steps(x: torch.Tensor, time: torch.Tensor) -> torch.Tensor:
        t = time.view(-1, 1, 1, 1, 1)
        inner = torch.nn.functional.avg_pool3d((x * pattern).sum(1, keepdim=True), (1, 2, 2)) * 4
        # Posterior mean of s pattern, s = 1 or -1, given x = (1 - t) s pattern + t noise.
        return torch.tanh(inner * (1 - t) / t**2).repeat_interleave(2, 3).repeat_interleave(2, 4) * pattern

    def signs(count: int, generator: torch.Generator) -> torch.Tensor:
        drawn = torch.randint(2, (count, 1, 1, 2, 2), generator=generator) * 2.0 - 1
        return drawn.repeat_interleave(2, 3).repeat_interleave(2, 4) * pattern

    model = build_transformer(BlockCodec(z_dim=4), width=64, layers=1)
    average = copy.deepcopy(model).requires_grad_(False)

    def teacher(x: torch.Tensor, time: torch.Tensor, token: torch.Tensor, return_dict: bool) -> Any:
        return average(x, time, token, return_dict=False) if token.any() else (many_steps(x[:, :4], time / 1000),)

    def sample(network: Any, steps: int, told: int | None) -> torch.Tensor:
        scheduler, x = first_order(build_scheduler(), steps), noise
        scheduler.set_timesteps(steps)
        for at in scheduler.timesteps:
            clean = predict_clean(network, x, torch.zeros(64, 8, 1, 4, 4), (at / 1000).expand(64), step_token(told))
            x = scheduler.step(clean, at, x, return_dict=False)[0]
        return x

    noise = torch.randn(64, 4, 1, 4, 4, generator=torch.Generator().manual_seed(99))
    wanted = sample(teacher, 20, None)
    assert float(wanted.square().mean() / pattern.square().mean()) > 0.9  # decided
    fog = float((sample(teacher, 1, None) - wanted).square().mean() / pattern.square().mean())
    assert fog > 0.9

    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    for step in range(400):
        generator = torch.Generator().manual_seed(step)
        latents = signs(32, generator)
        condition = torch.zeros(32, 8, 1, 4, 4)
        few_steps_loss(
            Lesson(model, teacher, latents, condition, None, 4, Stage(16, 32, 1.0), NanoRecipe(), generator)
        ).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        with torch.no_grad():
            for slow, quick in zip(average.parameters(), model.parameters(), strict=True):
                slow.lerp_(quick, 0.03)
    with torch.no_grad():
        gaps = {
            steps: float((sample(average, steps, steps) - wanted).square().mean() / pattern.square().mean())
            for steps in STEP_COUNTS
        }
    assert gaps[1] < 0.7 * fog, gaps
    assert gaps[2] < 0.55 * fog, gaps
    assert gaps[4] < 0.4 * fog, gaps
