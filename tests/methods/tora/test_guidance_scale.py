from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from motionloom.methods.tora.guidance_scale import scale_at_step, scale_at_timestep

GOLDEN = load_file(Path(__file__).parents[2] / "golden" / "tora" / "dynamic_cfg.safetensors")


def test_by_step_as_the_original_program():
    found = [scale_at_step(step, 50, 6.0) for step in range(50)]
    assert found == pytest.approx(GOLDEN["scale_by_step_index"].tolist(), abs=1e-12)


def test_by_timestep_as_the_pipelines_of_diffusers():
    found = [scale_at_timestep(timestep, 50, 6.0) for timestep in GOLDEN["timesteps"].tolist()]
    assert found == pytest.approx(GOLDEN["scale_by_timestep"].tolist(), abs=1e-9)


@given(steps=st.integers(1, 200), scale=st.floats(0, 20))
def test_it_grows_from_one_to_at_most_the_scale_more(steps, scale):
    found = [scale_at_step(step, steps, scale) for step in range(steps)]
    assert found[0] == 1.0
    assert found == sorted(found)
    assert found[-1] <= 1 + scale + 1e-9
