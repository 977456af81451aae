from __future__ import annotations

import pytest
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

from motionloom.errors import InputError
from motionloom.models.options import check_options, options_of
from motionloom.models.wan import METHODS, pipeline_class


def test_options_are_what_a_method_adds():
    found = {name: set(options_of(pipeline_class(name), WanImageToVideoPipeline)) for name in METHODS}
    assert found["time_to_move"] == {"t_weak", "t_strong"}
    assert found["latent_trajectory"] == {"cfg_mode", "collision_seed"}
    assert {"cfg_mode", "adaptive", "fusion_weight", "motion_guidance_scale"} < found["ati"] & found["wan_move"]


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("time_to_move", {"t_weak": "abc"}, "t_weak: found 'abc', expected a number"),
        ("time_to_move", {"t_strong": True}, "t_strong: found True, expected a number"),
        ("time_to_move", {"t_strong": float("nan")}, "t_strong: found nan, expected a number"),
        ("time_to_move", {"tracks": 1}, "time_to_move knows no 'tracks', expected one of t_strong, t_weak"),
        ("ati", {"top_k": 2.5}, r"top_k: found 2\.5, expected a whole number"),
        ("ati", {"temperature": None}, "temperature: found None, expected a number"),
        ("ati", {"fusion_weight": [1]}, r"fusion_weight: found \[1\], expected a number"),
        ("wan_move", {"legacy_hidden_source": "yes"}, "legacy_hidden_source: found 'yes', expected true or false"),
    ],
)
def test_values_of_another_kind(method, options, message):
    with pytest.raises(InputError, match=message):
        check_options(options, options_of(pipeline_class(method), WanImageToVideoPipeline), method)


def test_values_that_fit():
    ati = options_of(pipeline_class("ati"), WanImageToVideoPipeline)
    check_options({"top_k": 3, "temperature": 100, "fusion_weight": None, "adaptive": "0.5:0.8"}, ati, "ati")
