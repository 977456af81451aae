"""Classifier-free guidance over text and tracks, on tiny random models behind the stock pipeline."""

from __future__ import annotations

from contextlib import contextmanager

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.branches import MOTION_GUIDANCE_SCALE
from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.tracks.tracks import Tracks


def make_tracks():
    x = np.linspace(8, 40, 9)
    points = np.stack([x, np.full(9, 12.0)], -1)[:, None] + np.array([0, 8.0])[None, :, None] * np.array([0, 1.0])
    return Tracks(points, np.ones((9, 2), np.bool_), (32, 48), 16.0)


@pytest.fixture(params=[ATIWanImageToVideoPipeline, WanMoveImageToVideoPipeline], ids=["ati", "wan_move"])
def pipe(request, base):
    pipe = request.param.from_pipe(base)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipeline, arguments, **changes):
    return pipeline(**arguments, tracks=make_tracks(), **changes).frames


@pytest.fixture
def spy(pipe, monkeypatch):
    """Every transformer call of a run: its inputs, prediction and cache context."""
    calls, context = [], []
    kind = type(pipe.transformer)
    forward, cache_context = kind.forward, kind.cache_context

    def spied(self, **kwargs):
        output = forward(self, **kwargs)
        calls.append({**kwargs, "output": output[0].clone(), "context": context[-1], "module": self})
        return output

    @contextmanager
    def named(self, name, **kwargs):
        context.append(name)
        with cache_context(self, name, **kwargs):
            yield
        context.pop()

    monkeypatch.setattr(kind, "forward", spied)
    monkeypatch.setattr(kind, "cache_context", named)
    return calls


def test_calls_per_step(pipe, inputs, spy):
    def count(**changes):
        spy.clear()
        run(pipe, inputs(num_inference_steps=2), **changes)
        return [call["context"] for call in spy]

    two = ["cond", "uncond"]
    assert count() == two * 2
    assert count(cfg_mode="text") == two * 2
    assert count(cfg_mode="joint") == two * 2
    assert count(cfg_mode="split") == [*two, "motion"] * 2
    assert count(cfg_mode="split", window=(0.0, 0.5)) == [*two, "motion", *two]
    assert count(cfg_mode="split", window=(0.5, 1.0)) == [*two, *two, "motion"]
    assert count(cfg_mode="split", strength=0.0) == two * 2
    assert not pipe.transformer._forward_hooks
    assert not pipe.transformer._forward_pre_hooks


def test_the_sum_of_a_split_step_is_exact(pipe, inputs, spy, monkeypatch):
    """What the scheduler gets is v_00 + g_m (v_0m - v_00) + g_t (v_tm - v_0m) of the three calls, to the bit."""
    seen = []
    step = type(pipe.scheduler).step
    monkeypatch.setattr(
        type(pipe.scheduler), "step", lambda self, v, *args, **kwargs: seen.append(v) or step(self, v, *args, **kwargs)
    )
    arguments = inputs(num_inference_steps=2, guidance_scale=5.0)
    run(pipe, arguments, cfg_mode="split", motion_guidance_scale=3.0)
    for index, found in enumerate(seen):
        prompt, null, plain = spy[3 * index : 3 * index + 3]
        assert torch.equal(prompt["hidden_states"], null["hidden_states"])
        assert not torch.equal(null["hidden_states"], plain["hidden_states"])
        assert torch.equal(null["hidden_states"][:, :16], plain["hidden_states"][:, :16])
        assert torch.equal(null["encoder_hidden_states"], plain["encoder_hidden_states"])
        assert torch.equal(null["encoder_hidden_states"][0], arguments["negative_prompt_embeds"][0])
        v_tm, v_0m, v_00 = prompt["output"], null["output"], plain["output"]
        assert torch.equal(found, v_00 + 3.0 * (v_0m - v_00) + 5.0 * (v_tm - v_0m))


def test_split_has_text_and_joint_as_special_cases(pipe, inputs):
    def split(scale):
        return run(pipe, inputs(), cfg_mode="split", motion_guidance_scale=scale)

    text, joint = run(pipe, inputs()), run(pipe, inputs(), cfg_mode="joint")
    torch.testing.assert_close(split(1.0), text, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(split(2.0), joint, atol=1e-4, rtol=1e-4)  # the guidance scale of the run
    assert (text - joint).abs().max() > 1e-3
    assert torch.equal(run(pipe, inputs(), cfg_mode="split"), split(MOTION_GUIDANCE_SCALE))
    assert torch.equal(joint, run(pipe, inputs(), drop_tracks_in_uncond=True))


def test_two_experts_have_their_own_text_scale(pipe, base_two_experts, inputs, spy, monkeypatch):
    two = type(pipe).from_pipe(base_two_experts)
    two.set_progress_bar_config(disable=True)
    seen = []
    step = type(two.scheduler).step
    monkeypatch.setattr(
        type(two.scheduler), "step", lambda self, v, *args, **kwargs: seen.append(v) or step(self, v, *args, **kwargs)
    )
    # A text scale of 1 leaves no multiple of the unconditional branch to hide the motion in.
    run(two, inputs(guidance_scale=4.0, guidance_scale_2=1.0), cfg_mode="split", motion_guidance_scale=3.0)
    assert len(spy) == 12
    scales = []
    for index, found in enumerate(seen):
        v_tm, v_0m, v_00 = (call["output"] for call in spy[3 * index : 3 * index + 3])
        scale = 1.0 if spy[3 * index]["module"] is two.transformer_2 else 4.0
        scales.append(scale)
        assert torch.equal(found, v_00 + 3.0 * (v_0m - v_00) + scale * (v_tm - v_0m))
    assert set(scales) == {1.0, 4.0}


def test_without_text_guidance_the_motion_alone_is_guided(pipe, inputs, spy, monkeypatch):
    seen = []
    step = type(pipe.scheduler).step
    monkeypatch.setattr(
        type(pipe.scheduler), "step", lambda self, v, *args, **kwargs: seen.append(v) or step(self, v, *args, **kwargs)
    )
    arguments = inputs(guidance_scale=1.0, negative_prompt_embeds=None, num_inference_steps=2)
    run(pipe, arguments, cfg_mode="split", motion_guidance_scale=3.0, window=(0.0, 0.5))
    assert [call["context"] for call in spy] == ["cond", "motion", "cond"]
    torch.testing.assert_close(seen[0], spy[1]["output"] + 3.0 * (spy[0]["output"] - spy[1]["output"]))
    assert torch.equal(seen[1], spy[2]["output"])


def test_a_cache_keeps_the_third_call_apart(pipe, inputs):
    """A cache for every context: with one shared by all three, the third call would get the second's blocks."""
    from diffusers.hooks import FirstBlockCacheConfig

    torch.manual_seed(0)
    deep = type(pipe.transformer).from_config({**pipe.transformer.config, "num_layers": 3}).eval()
    pipe = type(pipe).from_pipe(pipe, transformer=deep)
    pipe.set_progress_bar_config(disable=True)
    expected = run(pipe, inputs(num_inference_steps=1), cfg_mode="split")
    deep.enable_cache(FirstBlockCacheConfig(threshold=1e9))  # skips whenever it has anything to go by
    assert torch.equal(run(pipe, inputs(num_inference_steps=1), cfg_mode="split"), expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cfg_mode": "both"}, "cfg_mode: found 'both', expected one of text, joint, split"),
        ({"cfg_mode": "split", "drop_tracks_in_uncond": True}, "drop_tracks_in_uncond"),
        ({"cfg_mode": "split", "motion_guidance_scale": float("inf")}, "motion_guidance_scale: found inf"),
        ({"fusion_weight": -1.0}, "fusion_weight: found -1.0"),
        ({"fusion_weight": 0.5, "adaptive": True}, "give one of the two"),
    ],
)
def test_refused(pipe, inputs, changes, message):
    with pytest.raises(InputError, match=message):
        run(pipe, inputs(), **changes)
