from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.wan import published_scheduler, resize_bicubic, size_for_area

GOLDEN = Path(__file__).parents[1] / "golden" / "ati"


def test_published_sizes():
    for width, height, area, out_height, out_width in json.loads((GOLDEN / "sizes.json").read_text())["rows"]:
        assert size_for_area((height, width), area) == (out_height, out_width)


def test_sizes_that_cannot_be():
    with pytest.raises(InputError, match="too few"):
        size_for_area((10, 10), 100)
    with pytest.raises(InputError, match="image_size"):
        size_for_area((0, 10), 399360)


@pytest.mark.parametrize(
    "name", ["unipc_40_shift5", "unipc_8_shift5", "unipc_8_shift3", "dpmpp_40_shift5", "dpmpp_8_shift5"]
)
def test_published_noise_levels_and_steps(golden, name):
    tensors, params = golden(f"ati/sched_{name}")
    scheduler = published_scheduler(params["solver"], params["shift"])
    scheduler.set_timesteps(params["steps"], device="cpu")
    assert torch.equal(scheduler.timesteps, tensors["timesteps"])
    assert (scheduler.sigmas - tensors["sigmas"]).abs().max() < 1e-6
    if "samples" in tensors:
        latents = tensors["x_init"]
        for index, time in enumerate(scheduler.timesteps):
            latents = scheduler.step(tensors["velocity"][index], time, latents, return_dict=False)[0]
            assert (latents - tensors["samples"][index]).abs().max() < 1e-4


def test_whole_timesteps_follow_the_program_where_float32_decides():
    """`FlowUniPCMultistepScheduler` takes its largest level, 0.999, from a float32 tensor."""
    scheduler = published_scheduler("unipc", 1.0)
    scheduler.set_timesteps(9, device="cpu")
    assert scheduler.timesteps.tolist() == [999, 888, 777, 666, 555, 444, 333, 222, 111]


def test_unknown_solver():
    with pytest.raises(InputError, match="solver: found 'heun'"):
        published_scheduler("heun")  # pyright: ignore[reportArgumentType]


def test_resizing_to_the_same_size_changes_nothing_but_the_range():
    image = np.random.default_rng(0).integers(0, 255, (6, 9, 3), dtype=np.uint8)
    np.testing.assert_allclose(resize_bicubic(image, (6, 9)).permute(1, 2, 0), image / 127.5 - 1, atol=1e-6)
