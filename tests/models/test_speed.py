"""The fast preset on tiny pipelines: what is switched on, what it computes, and what it says."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models import speed
from motionloom.models.caches import CacheOptions, enable
from motionloom.models.memory import Plan, apply
from motionloom.models.speed import FastOptions, apply_fast, compile_blocks, remove_fast, why_not_attention

sys.path.append(str(Path(__file__).parent))
import tiny_guided

STEPS, LAYERS = 6, 12


@pytest.fixture
def make_pipeline():
    """make_pipeline(experts=1) -> a tiny Wan pipeline guided by ATI."""
    return functools.partial(tiny_guided.make_pipeline, layers=LAYERS)


@pytest.fixture
def graphs(monkeypatch):
    """Counts what torch.compile compiles, without a compiler: frames of `graphs.frame_count`."""
    from torch._dynamo.testing import CompileCounter

    torch.compiler.reset()
    counter, compiled = CompileCounter(), torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **_: compiled(function, backend=counter))
    monkeypatch.setattr(speed, "why_not_compile", lambda device: None)
    yield counter
    torch.compiler.reset()


def run(pipeline, **changes):
    return tiny_guided.run(pipeline, STEPS, **changes)


def guidance():
    return {"tracks": tiny_guided.two_tracks(), "window": (0.0, 0.5), "drop_tracks_in_uncond": True}


def test_the_preset_says_what_it_did(make_pipeline):
    pipe = make_pipeline()
    lines = apply_fast(pipe)
    assert lines == [
        "attention: native",
        "compile: off, on a CPU it takes longer than it saves",
        "cache: first-block, threshold 0.05; changes the picture a little",
    ]
    assert pipe.transformer.is_cache_enabled
    remove_fast(pipe)
    assert not pipe.transformer.is_cache_enabled
    assert pipe.transformer.blocks[0].attn1.processor._attention_backend is None


@pytest.mark.slow
def test_without_a_cache_the_clip_is_the_same(make_pipeline):
    expected = run(make_pipeline(2), **guidance())
    pipe = make_pipeline(2)
    lines = apply_fast(pipe, FastOptions(cache=None))
    assert lines[2] == "cache: off, not asked for"
    assert torch.equal(run(pipe, **guidance()), expected)


def test_few_steps_leave_no_room_for_a_cache(make_pipeline):
    pipe = make_pipeline()
    assert apply_fast(pipe, FastOptions(few_steps=True))[2] == "cache: off, 4 steps have nothing to spare"
    assert not pipe.transformer.is_cache_enabled


def test_a_cache_that_cannot_work_is_refused_before_anything_changes(make_pipeline):
    pipe = make_pipeline()
    with pytest.raises(InputError, match="one batch"):
        apply_fast(pipe, FastOptions(cache="faster-cache"))  # pyright: ignore
    assert pipe.transformer.blocks[0].attn1.processor._attention_backend is None


def test_attention_falls_back_to_what_works_and_says_why(make_pipeline):
    pipe = make_pipeline(2)
    line = apply_fast(pipe, FastOptions(attention="sage", cache=None))[0]
    assert line.startswith("attention: native (not sage: Sage Attention backend 'sage' is not usable")
    # Accepted when it is set, fails when it runs.
    line = apply_fast(pipe, FastOptions(attention="_native_cudnn", cache=None))[0]
    assert line.startswith("attention: native (not _native_cudnn: ")
    assert {pipe.transformer_2.blocks[0].attn2.processor._attention_backend.value} == {"native"}
    assert apply_fast(pipe, FastOptions(attention="_native_math", cache=None))[0] == "attention: _native_math"


def test_a_kernel_with_wrong_numbers_is_not_used(make_pipeline, monkeypatch):
    from diffusers.models import attention_dispatch

    transformer, cpu = make_pipeline().transformer, torch.device("cpu")
    backends = attention_dispatch._AttentionBackendRegistry._backends
    name = attention_dispatch.AttentionBackendName._NATIVE_FLASH
    assert why_not_attention(transformer, "_native_flash", cpu) is None
    broken = backends[name]
    monkeypatch.setitem(backends, name, lambda **kwargs: broken(**kwargs) * 1.1)
    assert why_not_attention(transformer, "_native_flash", cpu) == "differs from plain attention by 10%"


def test_the_default_of_other_models_stays(make_pipeline):
    from diffusers.models.attention_dispatch import _AttentionBackendRegistry

    before = _AttentionBackendRegistry._active_backend
    pipe = make_pipeline()
    apply_fast(pipe, FastOptions(attention="_native_math"))
    remove_fast(pipe)
    assert _AttentionBackendRegistry._active_backend is before


@pytest.mark.parametrize(
    ("name", "message"),
    [("flash_hub", "fetches compiled code from a hub"), ("fastest", "expected auto or one of flash")],
)
def test_attention_by_a_wrong_name(make_pipeline, name, message):
    with pytest.raises(InputError, match=message):
        apply_fast(make_pipeline(), FastOptions(attention=name))


def with_lora(pipe):
    from peft import LoraConfig

    torch.manual_seed(3)
    pipe.transformer.add_adapter(LoraConfig(r=4, init_lora_weights=False, target_modules=["to_q", "ffn.net.2"]), "mine")


@pytest.mark.parametrize(
    ("prepare", "count"),
    [
        pytest.param(lambda pipe: None, 1, marks=pytest.mark.slow),
        pytest.param(with_lora, 1, marks=pytest.mark.slow),
        pytest.param(lambda pipe: apply(Plan("minimal", offload="group"), pipe, "cpu"), 1, marks=pytest.mark.slow),
        (lambda pipe: enable(pipe, CacheOptions("first-block", threshold=0.0)), 1),
        pytest.param(
            lambda pipe: enable(pipe, CacheOptions("mag", threshold=0.0, ratios=[1.0] + [1.1] * 5)),
            1,
            marks=pytest.mark.slow,
        ),
        # Each layer takes its weights out of 8 bits in a hook, which ends a graph.
        pytest.param(lambda pipe: apply(Plan("low", "fp8"), pipe, "cpu"), None, marks=pytest.mark.slow),
    ],
    ids=["plain", "lora", "group offload", "first-block", "mag", "fp8"],
)
@pytest.mark.slow
def test_all_blocks_share_one_graph_beneath_all_hooks(make_pipeline, graphs, prepare, count):
    """More than eight graphs for one function and torch would give up compiling it; here are twelve blocks."""
    arguments = {**guidance(), "num_inference_steps": 4}
    reference, pipe = make_pipeline(), make_pipeline()
    prepare(reference)
    expected = run(reference, **arguments)
    prepare(pipe)
    assert compile_blocks(pipe.transformer) == LAYERS
    assert compile_blocks(pipe.transformer) == 0
    assert torch.equal(run(pipe, **arguments), expected)
    assert torch.equal(run(pipe, **arguments), expected)
    assert graphs.frame_count == count or (count is None and graphs.frame_count > 1)


def test_diffusers_own_way_would_compile_nothing_under_mag_cache(make_pipeline, graphs):
    """Why `compile_blocks` exists; when this fails, diffusers may do as well."""
    pipe = make_pipeline()
    pipe.transformer.compile_repeated_blocks()
    enable(pipe, CacheOptions("mag", threshold=0.0, ratios=[1.0] + [1.1] * 5))
    run(pipe, num_inference_steps=2)
    assert graphs.frame_count == 0


@pytest.mark.slow
def test_everything_together(make_pipeline, graphs):
    """LoRA, offloaded blocks, guidance in a window, compiled blocks and a cache."""
    pipe, plain = make_pipeline(2), make_pipeline(2)
    for each in (pipe, plain):
        with_lora(each)
    expected = run(plain, **guidance())
    apply(Plan("minimal", offload="group"), pipe, "cpu")
    lines = apply_fast(pipe, FastOptions(compile=True, cache_threshold=0.0))
    assert lines[1] == f"compile: {2 * LAYERS} blocks; the first step of a new size takes longer"
    assert torch.equal(run(pipe, **guidance()), expected)
    assert graphs.frame_count == 2  # with the adapter, and without
    assert apply_fast(pipe, FastOptions(compile=True))[1].startswith("compile: all blocks")
    saving = run(pipe, **guidance())
    assert torch.equal(run(pipe, **guidance()), saving)


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (FastOptions(compile=False), "compile: off, not asked for"),
        (FastOptions(compile=True, cache="taylor-seer"), "compile: off, TaylorSeer's hooks are inside the blocks"),
    ],
)
def test_why_blocks_are_not_compiled(make_pipeline, options, line):
    assert apply_fast(make_pipeline(), options)[1] == line


def test_no_compiler(make_pipeline, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CXX", raising=False)
    assert "no C++ compiler was found" in apply_fast(make_pipeline(), FastOptions(compile=True))[1]
    monkeypatch.setenv("CXX", "/no/such/compiler")
    assert "no C++ compiler was found" in apply_fast(make_pipeline(), FastOptions(compile=True))[1]


@pytest.mark.slow
def test_really_compiled_blocks_differ_by_rounding_only(make_pipeline):
    if speed.why_not_compile(torch.device("cpu")) is not None:
        pytest.skip("no compiler")
    torch.compiler.reset()
    expected = run(make_pipeline(), **guidance())
    pipe = make_pipeline()
    apply_fast(pipe, FastOptions(compile=True, cache=None))
    torch.testing.assert_close(run(pipe, **guidance()), expected, atol=1e-4, rtol=1e-4)
