from __future__ import annotations

from typing import Any

import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.time_to_move.dual_clock import PUBLISHED, Clocks, hold, latent_mask, noise_levels


def test_the_published_indices_are_met():
    assert PUBLISHED["wan"].steps(50) == (3, 7)
    assert PUBLISHED["wan-camera"].steps(50) == (2, 5)
    assert PUBLISHED["cogvideox"].steps(50) == (4, 9)
    assert PUBLISHED["svd"].steps(50) == (16, 21)
    assert PUBLISHED["wan"].steps(40) == (2, 6)


def test_clocks_scale_with_strength():
    assert Clocks(0.1, 0.4).scaled(0.5) == Clocks(0.05, 0.2)
    assert Clocks(0.1, 0.4).scaled(0.0) == Clocks(0.0, 0.0)
    assert Clocks(0.1, 0.4).scaled(4.0) == Clocks(0.4, 1.0)
    with pytest.raises(InputError, match="strength: found -1"):
        Clocks(0.1, 0.4).scaled(-1)


def test_clocks_out_of_order_are_refused():
    for weak, strong in ((0.5, 0.4), (-0.1, 0.4), (0.5, 1.1), (float("nan"), 0.5)):
        with pytest.raises(InputError, match="t_weak <= t_strong"):
            Clocks(weak, strong)


def test_at_least_one_step_is_run_and_the_motion_is_seen():
    assert Clocks(1.0, 1.0).steps(4) == (3, 4)
    with pytest.raises(InputError, match=r"4 are too few for t_strong = 0.1.*at least 5 steps.*0.12 or more"):
        Clocks(0.0, 0.1).steps(4)
    assert Clocks(0.0, 0.1).steps(5) == (0, 1)


def make_scheduler(name: str) -> Any:
    import diffusers

    flow = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 5.0}
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "unipc flow": ("UniPCMultistepScheduler", flow),
        "unipc betas": ("UniPCMultistepScheduler", {}),
        "dpm flow": ("DPMSolverMultistepScheduler", flow),
        "dpm betas": ("DPMSolverMultistepScheduler", {}),
        "flow euler": ("FlowMatchEulerDiscreteScheduler", {"shift": 3.0}),
        "euler": ("EulerDiscreteScheduler", {}),
        "ddim": ("DDIMScheduler", {}),
        "cogvideox ddim": ("CogVideoXDDIMScheduler", {"rescale_betas_zero_snr": True}),
        "cogvideox dpm": ("CogVideoXDPMScheduler", {}),
    }
    kind, options = settings[name]
    scheduler = getattr(diffusers, kind)(**options)
    scheduler.set_timesteps(10)
    return scheduler


@pytest.mark.parametrize(
    "name",
    [
        "unipc flow",
        "unipc betas",
        "dpm flow",
        "dpm betas",
        "flow euler",
        "euler",
        "ddim",
        "cogvideox ddim",
        "cogvideox dpm",
    ],
)
def test_noise_levels_are_the_schedulers_own(name):
    scheduler = make_scheduler(name)
    levels = noise_levels(scheduler)
    clean, noise = torch.randn(2, 1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    for step in (0, 3, 9):
        fresh = make_scheduler(name)
        time = fresh.timesteps[step : step + 1]
        if name == "flow euler":
            expected = fresh.scale_noise(clean, time, noise)
        else:
            expected = fresh.add_noise(clean, noise, time)
        assert torch.allclose(levels.noised(clean, noise, step), expected, atol=2e-5), step
    assert torch.equal(levels.noised(clean, noise, 10), clean)


def test_published_grids_are_read_as_they_are():
    from motionloom.methods.wan import published_scheduler

    scheduler = published_scheduler("unipc", 5.0)
    scheduler.set_timesteps(50)
    levels = noise_levels(scheduler)
    shifted = 5 * 0.999 / (1 + 4 * 0.999)
    assert levels.noise[0] == pytest.approx(shifted, abs=1e-6)
    assert levels.signal[0] == pytest.approx(1 - shifted, abs=1e-6)
    assert len(levels.noise) == 51


def test_schedulers_of_several_calls_a_step_are_refused():
    from diffusers import HeunDiscreteScheduler

    scheduler = HeunDiscreteScheduler()
    scheduler.set_timesteps(4)
    with pytest.raises(InputError, match="HeunDiscreteScheduler calls the model 2 times"):
        noise_levels(scheduler)


def test_a_latent_cell_counts_with_half_of_its_pixels_in_any_of_its_frames():
    mask = torch.zeros(1, 9, 16, 16, dtype=torch.bool)
    mask[0, 0, :8, :4] = True  # half of cell (0, 0), in the first latent frame
    mask[0, 3, 8:, 8:] = True  # cell (1, 1), in frames 1 to 4
    mask[0, 5, :8, 8:11] = True  # three of eight columns: too few
    found = latent_mask(mask, (2, 2), 4)
    assert found.shape == (1, 3, 2, 2)
    assert found.nonzero().tolist() == [[0, 0, 0, 0], [0, 1, 1, 1]]


def test_holding_changes_the_mask_alone():
    latents, reference = torch.randn(2, 1, 3, 2, 4, 4)
    mask = torch.rand(1, 1, 2, 4, 4) > 0.5
    held = hold(latents, reference, mask)
    wide = mask.expand_as(held)
    assert torch.equal(held[wide], reference[wide])
    assert torch.equal(held[~wide], latents[~wide])
