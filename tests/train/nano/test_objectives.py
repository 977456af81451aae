from __future__ import annotations

import pytest
import torch

from motionloom.models.nano.build import TEXT_DIM, build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.train.conditions import plain_condition
from motionloom.train.nano import NanoRecipe, Stage, predict_clean, step_loss
from motionloom.train.nano.objectives import Lesson, add_noise, draw_noise, draw_times, objective


def lesson(stage: Stage, seed: int = 0, clips: int = 2) -> Lesson:
    latents = torch.zeros(clips, 8, 2, 4, 4)
    return Lesson(None, None, latents, plain_condition(latents), None, 8, stage, NanoRecipe(), generator(seed))  # type: ignore[arg-type]


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_loss_falls():
    """A few steps on one batch, straight through the public loss."""
    model = build_transformer(BlockCodec(z_dim=8), width=64, layers=1)
    latents = torch.randn(2, 8, 2, 8, 8, generator=generator(0))
    noise = torch.randn(latents.shape, generator=generator(1))
    condition, t = plain_condition(latents), torch.tensor([0.3, 0.8])
    optimizer = torch.optim.AdamW(model.parameters(), 6e-3)
    losses = []
    for _ in range(20):
        loss = step_loss(model, latents, condition, t, noise)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_perfect_network_has_no_loss_and_errors_count_by_time():
    latents = torch.ones(1, 2, 1, 4, 4)

    def says(value: float):
        return lambda x, t, text, return_dict: (torch.full_like(latents, value),)

    at = [torch.tensor([t]) for t in (0.1, 0.2, 0.5, 1.0)]
    condition, noise = torch.zeros(1, 6, 1, 4, 4), torch.zeros_like(latents)
    assert step_loss(says(1.0), latents, condition, at[0], noise) == 0
    losses = [float(step_loss(says(2.0), latents, condition, t, noise)) for t in at]
    assert losses == pytest.approx([10.0, 5.0, 2.0, 1.0])


def test_the_network_hears_time_in_thousandths_and_one_token_per_clip():
    heard = {}

    def network(x, t, text, return_dict):
        heard.update(x=x, t=t, text=text)
        return (x[:, :2],)

    noisy, condition = torch.randn(3, 2, 1, 4, 4), torch.randn(3, 6, 1, 4, 4)
    predict_clean(network, noisy, condition, torch.tensor([0.1, 0.5, 1.0]))
    torch.testing.assert_close(heard["t"], torch.tensor([100.0, 500.0, 1000.0]))
    assert torch.equal(heard["x"], torch.cat([noisy, condition], 1))
    assert torch.equal(heard["text"], torch.zeros(3, 1, TEXT_DIM))
    token = torch.arange(TEXT_DIM).float().view(1, 1, -1)
    predict_clean(network, noisy, condition, torch.ones(3), token)
    assert torch.equal(heard["text"], token.expand(3, -1, -1))


def test_noise_lies_on_the_straight_path():
    clean, noise = torch.full((3, 1, 1, 2, 2), 2.0), torch.full((3, 1, 1, 2, 2), -1.0)
    path = add_noise(clean, noise, torch.tensor([0.0, 0.25, 1.0]))
    assert path[:, 0, 0, 0, 0].tolist() == [2.0, 1.25, -1.0]


def test_times_stay_in_the_stage_and_lean_to_noise():
    t = draw_times(lesson(Stage(16, 2, 1.0, least_time=0.4, most_time=0.9), clips=4000))
    assert 0.4 <= float(t.min()) < 0.6
    assert 0.88 < float(t.max()) <= 0.9
    # The median of u is 1/2; shifted by s that is s / (s + 1).
    shift = NanoRecipe().time_shift
    assert float(t.median()) == pytest.approx(0.4 + 0.5 * shift / (shift + 1), abs=0.02)


def test_draws_follow_the_generator():
    stage = Stage(16, 2, 1.0)
    assert torch.equal(draw_noise(lesson(stage, 3)), draw_noise(lesson(stage, 3)))
    assert not torch.equal(draw_noise(lesson(stage, 3)), draw_noise(lesson(stage, 4)))


def test_every_kind_of_stage_has_an_objective():
    assert objective("flow").__name__ == "flow_loss"
    assert objective("few_steps").__name__ == "few_steps_loss"
