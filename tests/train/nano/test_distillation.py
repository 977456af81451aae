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
from motionloom.train.conditions import ConditionMix, draw_condition
from motionloom.train.nano import distillation
from motionloom.train.nano.distillation import JUMPS, Jump, few_steps_loss, jump_loss, teacher_clean
from motionloom.train.nano.objectives import Lesson, flow_loss, predict_clean
from motionloom.train.nano.recipe import VALIDATION_SEED, NanoRecipe, Stage

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
    assert float(loss) == pytest.approx(0, abs=1e-10)  # they agree about everything
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
    latents, condition, noise = batch()

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
    jump = Jump(1, 10, None)
    assert jump_loss(
        Oracle(lambda *_: learnt), Oracle(teach), latents, condition, noise, jump=jump, starts=[0, 0]
    ) == pytest.approx(0, abs=1e-6)


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
            latents=latents, condition=latents, model=None, average=None, generator=torch.Generator().manual_seed(seed)
        ))  # fmt: skip
    assert drawn.count(None) / 400 == pytest.approx(distillation.FLOW_SHARE, abs=0.06)
    counts = [sum(each is not None and each[0] == steps for each in drawn) for steps in STEP_COUNTS]
    assert min(counts) > 70
    assert {start for each in drawn if each and each[0] == 4 for start in each[1:]} == {0, 1, 2, 3}


@pytest.mark.slow
def test_distilling_brings_few_steps_nearer_to_many():
    """On clips that neither training saw, for every step count; and twenty steps stay as good as they were."""
    from motionloom.prepare.procedural import render, sample_scene
    from motionloom.train.pool import encode_clips

    size, frames = (32, 32), 5
    scene = sample_scene(0, range(8), resolution=32, num_frames=frames)
    codec = BlockCodec.fit([render(scene, size).transpose(1, 2) * 2 - 1], 12)
    data, held = (
        SimpleNamespace(**{k: v.float() for k, v in vars(encode_clips(codec, seed, range(24), size, frames)).items()})
        for seed in (0, VALIDATION_SEED)
    )
    mix = ConditionMix(dense=1.0, densified=0.0)
    model = build_transformer(codec, width=64, layers=1)

    def train(loss: Any, steps: int) -> None:
        average = copy.deepcopy(model).requires_grad_(False)
        optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
        for step in range(steps):
            rng = np.random.default_rng(step)
            pick = rng.integers(0, 24, 8)
            condition = draw_condition(data.plain[pick], data.points[pick], data.visible[pick].bool(), rng, mix)
            generator = torch.Generator().manual_seed(step)
            loss(
                Lesson(model, average, data.latents[pick], condition, Stage(32, 8, 1.0), NanoRecipe(), generator)
            ).backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                for slow, quick in zip(average.parameters(), model.parameters(), strict=True):
                    slow.lerp_(quick, 0.05)
        model.load_state_dict(average.state_dict())

    condition = draw_condition(held.plain, held.points, held.visible.bool(), np.random.default_rng(0), mix)
    noise = torch.randn(held.latents.shape, generator=torch.Generator().manual_seed(0))

    @torch.no_grad()
    def sample(steps: int, told: int | None) -> torch.Tensor:
        scheduler, x = first_order(build_scheduler(), steps), noise
        scheduler.set_timesteps(steps)
        for at in scheduler.timesteps:
            clean = predict_clean(model, x, condition, (at / 1000).expand(len(x)), step_token(told))
            x = scheduler.step(clean, at, x, return_dict=False)[0]
        return x

    train(flow_loss, 200)
    many = sample(20, None)
    before = {steps: float((sample(steps, None) - many).square().mean()) for steps in STEP_COUNTS}
    error = float((many - held.latents).square().mean())
    train(few_steps_loss, 300)
    many_after = sample(20, None)
    after = {steps: float((sample(steps, steps) - many_after).square().mean()) for steps in STEP_COUNTS}
    assert all(after[steps] < 0.8 * before[steps] for steps in STEP_COUNTS), (before, after)
    assert float((many_after - held.latents).square().mean()) < 1.1 * error
