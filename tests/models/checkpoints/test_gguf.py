from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig

from motionloom.errors import MissingDependencyError
from motionloom.models.checkpoints.source import open_source
from motionloom.models.checkpoints.wan_transformer import architecture_of, load_transformer

gguf = pytest.importorskip("gguf", exc_type=ImportError)

# Largest error of a weight over the largest weight of its block: half a step, and that of its float16 scale.
STEPS = {"Q8_0": 1 / 254 + 2**-11, "Q5_1": 1 / 31 + 2**-10, "Q4_0": 1 / 8, "F16": 2**-11, "BF16": 2**-8}


@pytest.mark.parametrize("kind", STEPS)
@pytest.mark.slow
def test_quantised_layers_come_back_within_a_step(wan: SimpleNamespace, tmp_path: Path, kind: str) -> None:
    model = wan.tiny("wan2.1-i2v-14b")
    path = wan.save_gguf(model, tmp_path / "m.gguf", kind)
    assert architecture_of(open_source(path)) == "wan2.1-i2v-14b"
    whole = load_transformer(path, model.config, dtype=torch.float32, keep_gguf=False)
    for name, weight in model.named_parameters():
        if weight.ndim == 2 and name.endswith(".weight") and "blocks" in name:
            blocks = weight.reshape(-1, 32)
            error = (whole.get_parameter(name).reshape(-1, 32) - blocks).abs().amax(1)
            assert (error <= blocks.abs().amax(1) * STEPS[kind] * 1.01).all(), name
            assert kind in ("F16", "BF16") or error.max() > 0
        else:
            assert torch.equal(whole.get_parameter(name), weight), name


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", ["Q8_0", "Q5_1", "Q4_0"])
def test_kept_quantised_computes_exactly_what_the_whole_weights_do(
    wan: SimpleNamespace, tmp_path: Path, kind: str, dtype: torch.dtype
) -> None:
    from diffusers.quantizers.gguf.utils import GGUFLinear

    model = wan.tiny("wan2.1-i2v-14b")
    path = wan.save_gguf(model, tmp_path / "m.gguf", kind)
    kept = load_transformer(path, model.config, dtype=dtype)
    whole = load_transformer(path, model.config, dtype=dtype, keep_gguf=False)
    assert torch.equal(wan.forward(kept, dtype), wan.forward(whole, dtype))
    layers = [module for module in kept.modules() if isinstance(module, GGUFLinear)]
    assert len(layers) == 24
    assert kept.dtype == dtype
    bits = {"Q8_0": 8.5, "Q5_1": 6, "Q4_0": 4.5}[kind]
    assert all(layer.weight.nbytes * 8 == layer.in_features * layer.out_features * bits for layer in layers)
    if kind == "Q8_0":
        error = (wan.forward(kept, dtype) - wan.forward(model)).abs().mean() / wan.forward(model).abs().mean()
        assert error < 0.02


def test_our_values_are_those_of_the_gguf_package(wan: SimpleNamespace, tmp_path: Path) -> None:
    from motionloom.models.checkpoints.gguf import dequantize

    torch.manual_seed(0)
    for kind in ("Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "Q8_0", "IQ4_XS", "IQ2_XXS", "Q5_0"):
        quant = gguf.GGMLQuantizationType[kind]
        _, nbytes = gguf.GGML_QUANT_SIZES[quant]
        # Any bytes are some weights, but for the scales: float16 that must be a number. 0x24 and 0x12 are.
        data = torch.randint(1, 48, (4, 2 * nbytes), dtype=torch.uint8).numpy()
        writer = gguf.GGUFWriter(tmp_path / "k.gguf", "wan")
        writer.add_tensor("a", data, raw_dtype=quant)
        for step in (
            writer.write_header_to_file,
            writer.write_kv_data_to_file,
            writer.write_tensors_to_file,
            writer.close,
        ):
            step()
        source = open_source(tmp_path / "k.gguf")
        assert source.tensors["a"].quantization == kind
        expected = torch.from_numpy(gguf.dequantize(data, quant))
        assert source.shapes["a"] == tuple(expected.shape)
        ((_, tensor),) = source
        assert torch.allclose(dequantize(tensor, torch.float32), expected, rtol=1e-6, atol=1e-9), kind


def test_shapes_that_converters_change_are_put_right(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    path = wan.save_gguf(model, tmp_path / "m.gguf", trim=True)
    source = open_source(path)
    assert source.shapes["patch_embedding.weight"] == (64 * 36, 1, 2, 2)
    assert source.shapes["blocks.0.modulation"] == (6, 64)
    assert architecture_of(source) == "wan2.2-i2v-a14b"
    loaded = load_transformer(path, model.config)
    straight = load_transformer(wan.save_gguf(model, tmp_path / "n.gguf"), model.config)
    assert torch.equal(wan.forward(loaded, torch.bfloat16), wan.forward(straight, torch.bfloat16))


def test_a_noted_shape_is_used(tmp_path: Path, refused: Callable[..., str]) -> None:
    for noted in ((2, 32, 4), (2, 32, 5)):
        writer = gguf.GGUFWriter(tmp_path / "m.gguf", "wan")
        values = torch.arange(256.0).reshape(1, 256)
        packed = gguf.quantize(values.numpy(), gguf.GGMLQuantizationType.Q8_0)
        writer.add_tensor("a", packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        writer.add_array("comfy.gguf.orig_shape.a", list(noted))
        for step in (
            writer.write_header_to_file,
            writer.write_kv_data_to_file,
            writer.write_tensors_to_file,
            writer.close,
        ):
            step()
        if noted[-1] == 4:
            source = open_source(tmp_path / "m.gguf")
            ((_, tensor),) = source
            assert source.shapes["a"] == tuple(tensor.shape) == noted
            assert (tensor.flatten() - values.flatten()).abs().max() <= 1.01
        else:
            assert "which cannot be the [2, 32, 5]" in refused(open_source, tmp_path / "m.gguf")


def test_a_lora_goes_around_quantised_layers(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    kept = load_transformer(wan.save_gguf(model, tmp_path / "m.gguf"), model.config)
    base = wan.forward(kept, torch.bfloat16)
    torch.manual_seed(0)
    kept.add_adapter(LoraConfig(r=4, target_modules=["to_q", "to_v"], init_lora_weights=False))
    assert not torch.equal(wan.forward(kept, torch.bfloat16), base)
    kept.disable_adapters()
    assert torch.equal(wan.forward(kept, torch.bfloat16), base)


def test_casting_leaves_quantised_weights_alone(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    kept = load_transformer(wan.save_gguf(model, tmp_path / "m.gguf"), model.config)
    layer = kept.blocks[0].attn1.to_q
    before = layer.weight.as_tensor().clone()
    layer.to(torch.float32)
    assert layer.weight.dtype == torch.uint8
    assert torch.equal(layer.weight.as_tensor(), before)
    assert layer.bias.dtype == torch.float32


def test_cut_short_and_left_over(wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]) -> None:
    model = wan.tiny()
    path = wan.save_gguf(model, tmp_path / "m.gguf")
    whole = path.read_bytes()
    for part in (2, 20):
        path.write_bytes(whole[: len(whole) // part])
        assert "cut short" in refused(open_source, path)
    path.write_bytes(whole)
    message = refused(load_transformer, path, {**model.config, "num_layers": 2, "qk_norm": None})
    assert "qk_norm" in message


def test_without_the_package_the_extra_is_named(
    wan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = wan.save_gguf(wan.tiny(), tmp_path / "m.gguf")
    monkeypatch.setitem(sys.modules, "gguf", None)
    monkeypatch.delitem(sys.modules, "motionloom.models.checkpoints.gguf", raising=False)
    with pytest.raises(MissingDependencyError, match=r"motionloom\[quant\]"):
        open_source(path)
