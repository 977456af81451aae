"""Plans carried out on tiny pipelines, on the CPU, where they must not change the clip."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.footprint import SHAPES, need_of, need_of_shape
from motionloom.models.memory import (
    Plan,
    apply,
    ram_bytes,
)

sys.path.append(str(Path(__file__).parent))
import tiny_words
from tiny_words import make_transformer, run


@pytest.fixture
def make_pipeline():
    """make_pipeline(experts=1) -> a tiny Wan pipeline."""
    return tiny_words.make_pipeline


def assert_close_but_not_equal(found, expected):
    """Rounding weights to fp8 (up to 1/16 each, at random) moves a tiny model by a few percent of what it does."""
    assert 0.001 < (found - expected).norm() / expected.norm() < 0.05


EXACT = [
    Plan("balanced"),
    Plan("balanced", offload="model"),
    Plan("minimal", offload="group"),
    Plan("minimal", offload="group+disk"),
]


@pytest.mark.parametrize("plan", EXACT, ids=lambda plan: str(plan.offload))
@pytest.mark.parametrize("experts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_offloading_changes_nothing(make_pipeline, plan, experts):
    expected = run(make_pipeline(experts))
    pipe = make_pipeline(experts)
    apply(plan, pipe, "cpu")
    assert torch.equal(run(pipe), expected)
    assert torch.equal(run(pipe), expected)


@pytest.mark.parametrize("offload", [None, pytest.param("group", marks=pytest.mark.slow), "group+disk"])
def test_fp8_storage_halves_the_blocks_and_stays_close(make_pipeline, offload):
    from motionloom.models.footprint import castable_layers, module_bytes

    expected = run(make_pipeline())
    pipe = make_pipeline()
    need = need_of(pipe, (32, 48), 9)
    layers = castable_layers(pipe.transformer)
    apply(Plan("low", "fp8", offload), pipe, "cpu")
    found = run(pipe)
    assert_close_but_not_equal(found, expected)
    assert torch.equal(run(pipe), found)
    if offload is None:
        assert {layer.weight.dtype for layer in layers.values()} == {torch.float8_e4m3fn}
        assert module_bytes(pipe.transformer) == need.transformer_fp8 < 0.6 * need.transformer
        assert pipe.transformer.patch_embedding.weight.dtype == torch.float32


@pytest.mark.slow
def test_two_parts_on_disk_do_not_share_their_files(make_pipeline, tmp_path, monkeypatch):
    """diffusers names files by their place in a part and takes one that exists for the right one."""
    import gc
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    expected = run(make_pipeline(2))
    pipe = make_pipeline(2)
    apply(Plan("minimal", offload="group+disk"), pipe, "cpu")
    folders = sorted(path for path in tmp_path.iterdir() if path.name.startswith("motionloom-weights-"))
    assert len(folders) == 3
    assert torch.equal(run(pipe), expected)
    del pipe
    gc.collect()
    assert not any(path.name.startswith("motionloom-weights-") for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    "offload", [None, *(pytest.param(plan, marks=pytest.mark.slow) for plan in ("group", "group+disk"))]
)
def test_a_lora_attached_before_keeps_its_precision(make_pipeline, offload):
    from peft import LoraConfig

    def with_lora():
        pipe = make_pipeline()
        torch.manual_seed(3)
        targets = ["to_q", "to_k", "to_v", "to_out.0", "ffn.net.0.proj", "ffn.net.2"]
        pipe.transformer.add_adapter(
            LoraConfig(r=4, lora_alpha=8, init_lora_weights=False, target_modules=targets), "mine"
        )
        return pipe

    plain, expected = run(make_pipeline()), run(with_lora())
    assert (expected - plain).norm() / plain.norm() > 0.05
    exact, small = with_lora(), with_lora()
    apply(Plan("minimal", offload=offload), exact, "cpu")
    assert torch.equal(run(exact), expected)
    apply(Plan("minimal", "fp8", offload), small, "cpu")
    found = run(small)
    assert_close_but_not_equal(found, expected)
    if offload is None:
        types = {
            name.split(".")[-3]: p.dtype for name, p in small.transformer.blocks.named_parameters() if "lora" in name
        }
        assert types == {"lora_A": torch.float32, "lora_B": torch.float32}
        assert small.transformer.blocks[0].attn1.to_q.base_layer.weight.dtype == torch.float8_e4m3fn


@pytest.mark.parametrize(
    "plan",
    [*EXACT, Plan("low", "fp8"), Plan("minimal", "fp8", "group")],
    ids=lambda p: f"{p.transformer_storage}-{p.offload}",
)
def test_plans_compose_with_track_guidance(make_pipeline, plan):
    """A window, tracks left out of one branch, two experts: the hooks of guidance and of the plan do not meet."""
    import numpy as np

    from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
    from motionloom.tracks.tracks import Tracks

    points = np.linspace([[8, 8], [20, 24]], [[40, 8], [20, 8]], 9).astype(np.float32)
    tracks = Tracks(points, np.ones((9, 2), np.bool_), (32, 48), 16.0)
    guidance = {"tracks": tracks, "window": (0.0, 0.7), "drop_tracks_in_uncond": True}
    expected = run(ATIWanImageToVideoPipeline.from_pipe(make_pipeline(2)), **guidance)
    pipe = ATIWanImageToVideoPipeline.from_pipe(make_pipeline(2))
    apply(plan, pipe, "cpu")
    found = run(pipe, **guidance)
    if plan.transformer_storage == "bf16":
        assert torch.equal(found, expected)
    else:
        assert_close_but_not_equal(found, expected)
    assert (run(pipe) - found).abs().max() > 1e-3


def test_layers_quantised_in_their_own_way_are_left_alone(make_pipeline):
    from torch import nn

    class Own(nn.Linear):
        pass

    pipe = make_pipeline()
    layer = pipe.transformer.blocks[1].attn1.to_q
    layer.__class__ = Own
    apply(Plan("low", "fp8"), pipe, "cpu")
    assert layer.weight.dtype == torch.float32
    assert pipe.transformer.blocks[1].attn1.to_k.weight.dtype == torch.float8_e4m3fn
    assert torch.isfinite(run(pipe)).all()


def test_tiling_and_slicing_are_switched_on(make_pipeline):
    pipe = make_pipeline()
    apply(Plan("low", vae_tiling=True, vae_slicing=False), pipe, "cpu")
    assert (pipe.vae.use_tiling, pipe.vae.use_slicing) == (True, False)


def test_a_second_plan_is_refused(make_pipeline):
    pipe = make_pipeline()
    apply(Plan("minimal", offload="group"), pipe, "cpu")
    with pytest.raises(InputError, match="load the model again"):
        apply(Plan("max-speed", unload_text_encoder=False), pipe, "cpu")


def test_page_locked_weights_are_packed_into_pieces():
    """Shapes and types of one block of the 14B model, its weights on no device at all."""
    from diffusers import WanTransformer3DModel

    from motionloom.models.footprint import module_bytes
    from motionloom.models.memory_plans import PINNED_PIECE
    from motionloom.models.offload import pin

    with torch.device("meta"):
        transformer = WanTransformer3DModel(in_channels=36, image_dim=1280, added_kv_proj_dim=5120, num_layers=8)
    transformer = transformer.to(torch.bfloat16)
    sizes = []

    def empty(count):
        sizes.append(count)
        return torch.empty(count, dtype=torch.uint8, device="meta")

    whole = module_bytes(transformer)
    assert pin(transformer, empty) == whole
    assert all(size & (size - 1) == 0 and size <= PINNED_PIECE for size in sizes)
    need = need_of_shape(SHAPES["wan2.1-i2v-14b"], (480, 832), 81)
    beside = ram_bytes(Plan("minimal", offload="group"), need) - need.weights
    assert sum(sizes) - whole < beside
    # Every tensor by itself, as torch rounds what it pins.
    alone = sum(1 << (tensor.nbytes - 1).bit_length() for tensor in transformer.parameters())
    assert alone > 1.45 * whole


def test_page_locked_weights_are_the_same_weights():
    from motionloom.models.offload import pin

    transformer = make_transformer()
    transformer.blocks[0].to(torch.bfloat16)
    transformer.blocks[1].ffn.to(torch.float8_e4m3fn)
    before = {name: tensor.clone() for name, tensor in transformer.state_dict().items()}
    pieces = []

    def empty(count):
        pieces.append(torch.full((count,), 7, dtype=torch.uint8))
        return pieces[-1]

    pin(transformer, empty)
    assert len(pieces) == 1
    (span,) = pieces
    for name, tensor in transformer.state_dict().items():
        assert tensor.dtype == before[name].dtype
        assert torch.equal(tensor.float(), before[name].float()), name
        assert span.data_ptr() <= tensor.data_ptr() < span.data_ptr() + len(span)


def test_what_cannot_be_page_locked_stays_where_it_is():
    from motionloom.models.offload import pin

    transformer = make_transformer()
    places = [parameter.data_ptr() for parameter in transformer.parameters()]

    def refuse(count):
        raise RuntimeError("CUDA error: out of memory")

    assert pin(transformer, refuse) == 0
    assert [parameter.data_ptr() for parameter in transformer.parameters()] == places


def test_release_and_present(make_pipeline):
    from motionloom.models.offload import is_offloaded, present, release

    pipe = make_pipeline()
    expected = run(pipe)
    with present(pipe, "text_encoder", "cpu"):
        assert torch.equal(run(pipe), expected)
    release(pipe, "text_encoder", "image_encoder")
    assert not is_offloaded(pipe)
    apply(Plan("balanced"), pipe, "cpu")
    assert is_offloaded(pipe)
    with present(pipe, "text_encoder", "cpu"):
        assert torch.equal(run(pipe), expected)
