"""Step caches on tiny pipelines, judged by the attention calls they save."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import FileFormatError, InputError
from motionloom.models import caches
from motionloom.models.caches import CacheOptions, calibrate, fit_ratios, load_ratios, save_ratios

sys.path.append(str(Path(__file__).parent))
import tiny_guided

STEPS, LAYERS = 8, 4
ALL = STEPS * 2 * LAYERS * 2  # steps, branches, blocks, attentions of a block


@pytest.fixture
def make_pipeline():
    """make_pipeline(experts=1, layers=4) -> a tiny Wan pipeline guided by ATI."""
    return functools.partial(tiny_guided.make_pipeline, layers=LAYERS)


@pytest.fixture
def attention_calls(monkeypatch):
    """A list that grows by one for every attention computed."""
    from diffusers.models.transformers import transformer_wan

    calls, attend = [], transformer_wan.dispatch_attention_fn
    monkeypatch.setattr(
        transformer_wan, "dispatch_attention_fn", lambda *args, **kwargs: calls.append(1) or attend(*args, **kwargs)
    )
    return calls


def run(pipeline, **changes):
    return tiny_guided.run(pipeline, STEPS, **changes)


def counted(calls, pipeline, **changes):
    calls.clear()
    frames = run(pipeline, **changes)
    return len(calls), frames


@pytest.mark.parametrize("experts", [1, 2])
def test_first_block_cache_saves_calls_and_is_exact_at_threshold_zero(make_pipeline, attention_calls, experts):
    count, expected = counted(attention_calls, make_pipeline(experts))
    assert count == ALL
    exact = make_pipeline(experts)
    caches.enable(exact, CacheOptions("first-block", threshold=0.0))
    count, found = counted(attention_calls, exact)
    assert (count, torch.equal(found, expected)) == (ALL, True)
    saving = make_pipeline(experts)
    caches.enable(saving, CacheOptions("first-block", threshold=0.5))
    count, found = counted(attention_calls, saving)
    # The first block always runs; the others at least once for every branch of an expert.
    least = 2 * 2 * (STEPS + experts * (LAYERS - 1))
    assert least <= count < 0.7 * ALL
    assert 0 < (found - expected).norm() / expected.norm() < 0.5


@pytest.mark.parametrize("experts", [1, 2])
def test_mag_cache_skips_what_its_ratios_allow(make_pipeline, attention_calls, experts):
    pipe = make_pipeline(experts)
    expected = run(pipe)
    count, ratios = len(attention_calls), calibrate(pipe, lambda: run(pipe))
    assert count == ALL
    assert sorted(ratios) == ["transformer", "transformer_2"][:experts]
    assert {branch: sum(len(ratios[name][branch]) for name in ratios) for branch in ("cond", "uncond")} == {
        "cond": STEPS,
        "uncond": STEPS,
    }
    assert all(ratios[name][branch][0] == 1.0 for name in ratios for branch in ratios[name])
    count, after = counted(attention_calls, pipe)
    assert (count, torch.equal(after, expected)) == (ALL, True)  # calibration leaves nothing behind
    caches.enable(pipe, CacheOptions("mag", threshold=0.0, ratios=ratios))
    assert counted(attention_calls, pipe)[0] == ALL
    # Ratios of exactly 1: of the steps after the first quarter, three of four are skipped.
    flat = {name: {branch: [1.0] * len(values) for branch, values in ratios[name].items()} for name in ratios}
    caches.enable(pipe, CacheOptions("mag", threshold=0.1, max_skip_steps=3, retention_ratio=0.25, ratios=flat))
    count, found = counted(attention_calls, pipe)
    if experts == 1:
        computed = [0, 1, 5]  # 2, 3, 4 and 6, 7 are skipped
        assert count == len(computed) * 2 * LAYERS * 2
    else:
        assert count < 0.8 * ALL
    assert not torch.equal(found, expected)


def test_mag_cache_keeps_the_branches_apart(make_pipeline, attention_calls):
    """The conditional branch may skip, the other may not."""
    pipe = make_pipeline()
    ratios = {"transformer": {"cond": [1.0] * STEPS, "uncond": [1.0] + [3.0] * (STEPS - 1)}}
    caches.enable(pipe, CacheOptions("mag", threshold=0.1, max_skip_steps=2, retention_ratio=0.0, ratios=ratios))
    # cond computes steps 0, 3, 6; uncond all.
    assert counted(attention_calls, pipe)[0] == (3 + STEPS) * LAYERS * 2


def test_mag_cache_fits_its_ratios_to_the_number_of_steps(make_pipeline, attention_calls):
    pipe = make_pipeline()
    ratios = {"transformer": {"cond": [1.0] * STEPS, "uncond": [1.0] * STEPS}}
    caches.enable(pipe, CacheOptions("mag", threshold=0.1, max_skip_steps=1, retention_ratio=0.5, ratios=ratios))
    for steps, computed in ((8, 6), (4, 3), (12, 9)):  # half of them, and every other one of the rest
        assert counted(attention_calls, pipe, num_inference_steps=steps)[0] == computed * 2 * LAYERS * 2, steps


def test_taylor_seer_with_the_names_of_wan(make_pipeline, attention_calls):
    expected = run(make_pipeline())
    pipe = make_pipeline()
    caches.enable(pipe, CacheOptions("taylor-seer", interval=2))
    count, found = counted(attention_calls, pipe)
    assert count < 0.8 * ALL
    assert 0 < (found - expected).norm() / expected.norm() < 0.5


OPTIONS = {
    "first-block": CacheOptions("first-block", threshold=0.5),
    "mag": CacheOptions("mag", threshold=0.1, retention_ratio=0.25, ratios=[1.0] * STEPS),
    "taylor-seer": CacheOptions("taylor-seer", interval=2),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_runs_do_not_touch_each_other(make_pipeline, name):
    """Two runs are the same, also after one that was stopped in the middle and one of another length."""
    pipe = make_pipeline()
    caches.enable(pipe, OPTIONS[name])
    first = run(pipe)
    assert torch.equal(run(pipe), first)

    def stop(pipe, step, timestep, kwargs):
        if step == 3:
            raise KeyboardInterrupt
        return {}

    with pytest.raises(KeyboardInterrupt):
        run(pipe, callback_on_step_end=stop, generator=torch.Generator().manual_seed(1))
    assert torch.equal(run(pipe), first)
    run(pipe, num_inference_steps=3)
    assert torch.equal(run(pipe), first)


@pytest.mark.parametrize("name", ["first-block", "mag"])
def test_parts_that_take_turns_do_not_end_the_watch(make_pipeline, name, attention_calls):
    """accelerate takes its hooks off and puts them on again after every run, here on the CPU."""
    from accelerate import cpu_offload_with_hook
    from accelerate.hooks import remove_hook_from_module

    pipe = make_pipeline()
    cpu_offload_with_hook(pipe.transformer, "cpu")
    caches.enable(pipe, OPTIONS[name])
    first = run(pipe)

    def stop(pipe, step, timestep, kwargs):
        if step == 3:
            raise KeyboardInterrupt
        return {}

    for _ in range(2):
        remove_hook_from_module(pipe.transformer, recurse=True)
        cpu_offload_with_hook(pipe.transformer, "cpu")
        with pytest.raises(KeyboardInterrupt):
            run(pipe, callback_on_step_end=stop, generator=torch.Generator().manual_seed(1))
        assert torch.equal(run(pipe), first)
    assert counted(attention_calls, pipe)[0] < 0.8 * ALL


@pytest.mark.parametrize("name", ["mag", "taylor-seer"])
def test_switching_off_restores_the_pipeline(make_pipeline, name, attention_calls):
    pipe = make_pipeline()
    expected = run(pipe)
    caches.enable(pipe, OPTIONS[name])
    caches.enable(pipe, OPTIONS["first-block"])
    run(pipe)
    caches.disable(pipe)
    caches.disable(pipe)
    count, found = counted(attention_calls, pipe)
    assert (count, torch.equal(found, expected)) == (ALL, True)


@pytest.mark.parametrize("cfg_mode", [pytest.param("text", marks=pytest.mark.slow), "joint", "split"])
@pytest.mark.parametrize("name", ["first-block", "mag"])
def test_caches_work_under_track_guidance(make_pipeline, name, cfg_mode, attention_calls):
    guidance = {"tracks": tiny_guided.two_tracks(), "cfg_mode": cfg_mode}
    pipe = make_pipeline()
    all_calls, expected = counted(attention_calls, pipe, **guidance)
    assert all_calls == (ALL if cfg_mode != "split" else ALL * 3 // 2)
    exact = CacheOptions(name, threshold=0.0, ratios=[1.0] + [1.1] * (STEPS - 1))
    caches.enable(pipe, exact)
    count, found = counted(attention_calls, pipe, **guidance)
    assert (count, torch.equal(found, expected)) == (all_calls, True)
    caches.enable(pipe, OPTIONS[name])
    count, found = counted(attention_calls, pipe, **guidance)
    assert count < 0.8 * all_calls
    assert torch.equal(run(pipe, **guidance), found)


@pytest.mark.parametrize("name", OPTIONS)
def test_the_edge_of_a_window_is_computed_afresh(make_pipeline, name, monkeypatch):
    """Tracks that go in the middle of a run must go from the result too, however little a cache finds changed."""
    pipe = make_pipeline()
    options = CacheOptions(
        name, threshold=1e6, retention_ratio=0.0, max_skip_steps=99, ratios=[1.0] * STEPS, interval=99
    )
    caches.enable(pipe, options)
    computed = []
    last = pipe.transformer.blocks[-1].attn1.processor
    attend = type(last).__call__
    step = {"now": 0}

    def call(self, *args, **kwargs):
        if self is last:
            computed.append(step["now"])
        return attend(self, *args, **kwargs)

    monkeypatch.setattr(type(last), "__call__", call)

    def after(pipe, index, timestep, kwargs):
        step["now"] = index + 1
        return {}

    run(pipe, tracks=tiny_guided.two_tracks(), window=(0.0, 0.625), callback_on_step_end=after)
    assert computed.count(5) == 2  # both branches, in the first step without tracks
    if name != "taylor-seer":
        assert sorted(computed) == [0, 0, 5, 5]


@pytest.mark.slow
def test_caches_and_memory_plans(make_pipeline, attention_calls):
    from motionloom.models.memory import Plan, apply

    reference = make_pipeline(2)
    caches.enable(reference, OPTIONS["first-block"])
    count, expected = counted(attention_calls, reference)
    for plan in (Plan("minimal", offload="group"), Plan("minimal", offload="group+disk"), Plan("low", "fp8")):
        pipe = make_pipeline(2)
        apply(plan, pipe, "cpu")
        caches.enable(pipe, OPTIONS["first-block"])
        found_count, found = counted(attention_calls, pipe)
        assert found_count < 0.7 * ALL
        if plan.transformer_storage == "bf16":
            assert (found_count, torch.equal(found, expected)) == (count, True)
        assert torch.equal(run(pipe), found)


@pytest.mark.slow
def test_caches_and_loras(make_pipeline, attention_calls):
    from peft import LoraConfig

    pipe = make_pipeline()
    plain = run(pipe)
    pipe.transformer.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "ffn.net.2"]), "mine")
    expected = run(pipe)
    assert not torch.equal(expected, plain)
    caches.enable(pipe, CacheOptions("first-block", threshold=0.0))
    assert torch.equal(run(pipe), expected)
    caches.enable(pipe, OPTIONS["first-block"])
    assert counted(attention_calls, pipe)[0] < 0.7 * ALL


def test_fitting_ratios():
    ratios = [1.0, 0.8, 1.25, 1.0, 0.5]
    assert fit_ratios(ratios, 5) == ratios
    assert fit_ratios(ratios, 1) == [1.0]
    # Whatever the number of steps, the magnitudes multiply up to the same.
    for steps in (2, 3, 9, 40):
        fitted = fit_ratios(ratios, steps)
        assert len(fitted) == steps
        assert np.prod(fitted) == pytest.approx(0.5)
    assert fit_ratios([1.0, 0.81], 3) == pytest.approx([1.0, 0.9, 0.9])


def test_ratios_file(tmp_path):
    ratios = {"transformer": {"cond": [1.0, 0.99], "uncond": [1.0, 1.01]}}
    path = tmp_path / "ratios.json"
    save_ratios(path, ratios, model="tiny")
    assert load_ratios(path) == ratios
    path.write_text('{"format": "other"}')
    with pytest.raises(FileFormatError, match=r"ratios\.json: no magnitude ratios"):
        load_ratios(path)
    with pytest.raises(FileFormatError, match="expected a file that"):
        load_ratios(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (CacheOptions("faster-cache"), "one batch"),  # pyright: ignore
        (CacheOptions("SeaCache"), "noise level"),  # pyright: ignore
        (CacheOptions("text_kv"), "no effect"),  # pyright: ignore
        (CacheOptions("other"), "expected one of first-block, mag, taylor-seer"),  # pyright: ignore
        (CacheOptions("first-block", threshold=-1.0), "cache_threshold: found -1.0"),
        (CacheOptions("mag"), "mag needs the ratios of this very model"),
        (CacheOptions("mag", ratios=[1.0, -1.0]), "expected positive numbers"),
        (CacheOptions("mag", ratios={"transformer_2": {"cond": [1.0]}}), "none for transformer, found transformer_2"),
        (CacheOptions("mag", ratios=[1.0], retention_ratio=2.0), "retention_ratio: found 2.0"),
    ],
)
def test_what_cannot_work_is_refused(make_pipeline, options, message):
    pipe = make_pipeline()
    with pytest.raises(InputError, match=message):
        caches.enable(pipe, options)
    assert not pipe.transformer.is_cache_enabled


def test_one_list_is_not_for_two_experts(make_pipeline):
    with pytest.raises(InputError, match="one list for 2 experts"):
        caches.enable(make_pipeline(2), OPTIONS["mag"])


def test_a_single_block_has_nothing_to_skip(make_pipeline):
    with pytest.raises(InputError, match="has 1 block, caches need two or more"):
        caches.enable(make_pipeline(layers=1), OPTIONS["first-block"])
