"""The published loss, its timesteps and what samples lose on purpose."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from motionloom.train.tora.base import build_scheduler
from motionloom.train.tora.losses import (
    TIMESTEPS,
    clean_from_velocity,
    diffusion_loss,
    dropped,
    noised,
    noised_image,
    stratified_timesteps,
)

ALPHAS = build_scheduler().alphas_cumprod.float()


def sample(batch=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    latents, noise = (torch.randn(batch, 3, 4, 5, 6, generator=generator) for _ in range(2))
    return latents, noise


def test_noising_and_velocity_are_the_scheduler_s():
    """x_t and v as diffusers' scheduler makes them, at both ends too."""
    scheduler = build_scheduler()
    latents, noise = sample()
    times = torch.tensor([0, 1, 500, 999])
    noisy = noised(latents, noise, ALPHAS[times])
    torch.testing.assert_close(noisy, scheduler.add_noise(latents, noise, times), atol=1e-6, rtol=1e-5)
    velocity = scheduler.get_velocity(latents, noise, times)
    torch.testing.assert_close(clean_from_velocity(noisy, velocity, ALPHAS[times]), latents, atol=1e-5, rtol=1e-5)


def test_the_weighted_error_of_the_clean_latent_is_the_error_of_the_velocity():
    scheduler = build_scheduler()
    latents, noise = sample()
    times = torch.tensor([3, 200, 700, 999])
    noisy, velocity = noised(latents, noise, ALPHAS[times]), scheduler.get_velocity(latents, noise, times)
    wrong = velocity + torch.randn(velocity.shape, generator=torch.Generator().manual_seed(5))
    loss = diffusion_loss(wrong, latents, noisy, ALPHAS[times])
    assert float(loss) == pytest.approx(float((wrong - velocity).square().mean()), rel=1e-4)
    assert float(diffusion_loss(velocity, latents, noisy, ALPHAS[times])) == pytest.approx(0, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(count=st.integers(1, 40), world=st.integers(1, 5), seed=st.integers(0, 1000))
def test_every_stratum_of_all_processes_gets_one_timestep(count, world, seed):
    times = [
        stratified_timesteps(count, torch.Generator().manual_seed(seed + rank), rank=rank, world=world)
        for rank in range(world)
    ]
    for part in times:
        assert part.dtype == torch.int64
        assert part.min() >= 0
        assert part.max() < TIMESTEPS
    strata = np.sort(np.floor((torch.cat(times).numpy() + 0.5) * count * world / TIMESTEPS))
    # Rounding down to whole timesteps can move one across a border, never farther.
    assert np.abs(strata - np.arange(count * world)).max() <= 1


def test_timesteps_are_uniform_and_their_place_in_the_batch_means_nothing():
    times = torch.stack([stratified_timesteps(4, torch.Generator().manual_seed(s)) for s in range(800)])
    assert kstest(times.flatten().numpy() / TIMESTEPS, "uniform").pvalue > 0.01
    assert kstest(times[:, 0].numpy() / TIMESTEPS, "uniform").pvalue > 0.01


@pytest.mark.parametrize("chance", [0.0, 0.1, 1.0])
def test_samples_are_dropped_whole_and_as_often_as_asked(chance):
    values = torch.ones(4000, 2, 3)
    kept = dropped(values, chance, torch.Generator().manual_seed(0))
    per_sample = kept.flatten(1).mean(1)
    assert set(per_sample.tolist()) <= {0.0, 1.0}
    assert float(1 - per_sample.mean()) == pytest.approx(chance, abs=0.02)


def test_dropped_text_becomes_what_is_asked_for():
    nothing = torch.full((2, 3), 7.0)
    assert torch.equal(dropped(torch.zeros(2, 2, 3), 1.0, torch.Generator(), nothing), nothing.expand(2, 2, 3))


def test_noise_on_the_first_frame_is_log_normal():
    images = torch.zeros(1500, 3, 8, 8)
    sigma = noised_image(images, torch.Generator().manual_seed(0)).flatten(1).std(1).log()
    assert float(sigma.mean()) == pytest.approx(-3.0, abs=0.05)
    assert float(sigma.std()) == pytest.approx(0.5, abs=0.05)
