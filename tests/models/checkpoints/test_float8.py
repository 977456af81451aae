from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from peft import LoraConfig
from safetensors.torch import load_file, save_file

from motionloom.models.checkpoints.float8 import Float8Linear, Scales, dequantize
from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.wan_transformer import dtype_of, load_transformer

STYLES = ("plain", "scaled", "rows", "comfy_quant", "blocks")
KINDS = (torch.float8_e4m3fn, torch.float8_e5m2)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    ("prefix", "names"), [("", "original"), ("model.diffusion_model.", "original"), ("", "diffusers")]
)
def test_scales_are_applied(
    wan: SimpleNamespace, tmp_path: Path, kind: torch.dtype, style: str, prefix: str, names: str
) -> None:
    model = wan.tiny("wan2.1-i2v-14b")
    path = tmp_path / "m.safetensors"
    meant = wan.save_float8(model, path, style=style, prefix=prefix, names=names, kind=kind)
    loaded = load_transformer(path, model.config, dtype=torch.float32)
    assert torch.equal(wan.forward(loaded), wan.forward(meant))
    # A float8 number has 3 or 2 bits after the leading one; the largest layers are off by that much, not by a factor.
    step = 2**-4 if kind == torch.float8_e4m3fn else 2**-3
    for name, weight in model.named_parameters():
        worst = (loaded.get_parameter(name) - weight).abs().max() / weight.abs().max()
        assert worst <= step, name
    error = (wan.forward(loaded) - wan.forward(model)).abs().mean() / wan.forward(model).abs().mean()
    assert error < (0.12 if kind == torch.float8_e4m3fn else 0.2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("style", STYLES)
def test_kept_in_float8_computes_exactly_what_the_whole_weights_do(
    wan: SimpleNamespace, tmp_path: Path, style: str, dtype: torch.dtype
) -> None:
    model = wan.tiny("wan2.1-i2v-14b")
    path = tmp_path / "m.safetensors"
    wan.save_float8(model, path, style=style)
    whole = load_transformer(path, model.config, dtype=dtype)
    kept = load_transformer(path, model.config, dtype=dtype, keep_float8=True)
    assert torch.equal(wan.forward(kept, dtype), wan.forward(whole, dtype))
    layers = [module for module in kept.modules() if isinstance(module, Float8Linear)]
    # Self attention 4, cross attention 4 and 2 for the picture, feed-forward 2, in each of 2 blocks.
    assert len(layers) == 24
    assert all(layer.weight.dtype == torch.float8_e4m3fn for layer in layers)
    assert all(layer.bias.dtype == dtype for layer in layers)
    assert kept.dtype == whole.dtype == dtype
    saved = sum(layer.weight.numel() for layer in layers) * (dtype.itemsize - 1)
    held = [sum(tensor.nbytes for tensor in m.state_dict().values()) for m in (kept, whole)]
    scales = sum(layer.weight_scale.nbytes for layer in layers if layer.weight_scale is not None)
    assert held[1] - held[0] == saved - scales


def test_what_is_not_said_is_bfloat16(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    wan.save_float8(model, tmp_path / "m.safetensors", style="scaled", rest=torch.float16)
    assert dtype_of(open_source(tmp_path / "m.safetensors")) == torch.bfloat16
    loaded = load_transformer(tmp_path / "m.safetensors", model.config, dtype=None)
    assert loaded.dtype == torch.bfloat16
    assert loaded.blocks[0].attn1.to_q.weight.dtype == torch.bfloat16


def test_casting_the_model_leaves_weight_and_scale_alone(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    wan.save_float8(model, tmp_path / "m.safetensors", style="scaled")
    kept = load_transformer(tmp_path / "m.safetensors", model.config, keep_float8=True)
    layer = kept.blocks[0].ffn.net[0].proj
    before = layer.weight.view(torch.uint8).clone(), layer.weight_scale.clone()
    for cast in (
        lambda m: m.to(torch.float16),
        lambda m: m.half(),
        lambda m: m.float(),
        lambda m: m.to("cpu", torch.bfloat16),
    ):
        cast(layer)
        assert layer.weight.dtype == torch.float8_e4m3fn
        assert isinstance(layer.weight, torch.nn.Parameter)
        assert layer.weight_scale.dtype == torch.float32
        assert torch.equal(layer.weight.view(torch.uint8), before[0])
        assert torch.equal(layer.weight_scale, before[1])
    assert layer.bias.dtype == torch.bfloat16
    assert layer.to("meta").weight.device.type == "meta"
    assert "float8_e4m3fn, scales=1x1" in repr(layer)


def test_a_saved_state_dict_loads_again(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    wan.save_float8(model, tmp_path / "m.safetensors", style="rows")
    kept = load_transformer(tmp_path / "m.safetensors", model.config, keep_float8=True)
    save_file(kept.state_dict(), tmp_path / "again.safetensors")
    again = load_transformer(tmp_path / "again.safetensors", model.config, keep_float8=True)
    assert torch.equal(wan.forward(again, torch.bfloat16), wan.forward(kept, torch.bfloat16))


def test_a_lora_goes_around_float8_layers(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    wan.save_float8(model, tmp_path / "m.safetensors", style="scaled")
    outputs = []
    for keep in (False, True):
        loaded = load_transformer(tmp_path / "m.safetensors", model.config, dtype=torch.float32, keep_float8=keep)
        base = wan.forward(loaded)
        torch.manual_seed(3)
        loaded.add_adapter(
            LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "ffn.net.0.proj"], init_lora_weights=False)
        )
        added = {name: tensor for name, tensor in loaded.named_parameters() if "lora_" in name}
        assert len(added) == 12
        assert {tensor.dtype for tensor in added.values()} == {torch.float32}
        torch.manual_seed(4)
        for tensor in added.values():
            tensor.data.normal_(std=0.1)
        outputs.append(wan.forward(loaded))
        assert not torch.equal(base, outputs[-1])
        loaded.disable_adapters()
        assert torch.equal(wan.forward(loaded), base)
    assert torch.equal(*outputs)


def test_adapters_have_the_type_that_the_layer_computes_in(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    wan.save_float8(model, tmp_path / "m.safetensors")
    kept = load_transformer(tmp_path / "m.safetensors", model.config, keep_float8=True)
    kept.add_adapter(LoraConfig(r=2, target_modules=["to_q"]), adapter_name="a")
    assert {t.dtype for n, t in kept.named_parameters() if "lora_" in n} <= {torch.bfloat16, torch.float32}
    assert wan.forward(kept, torch.bfloat16).isfinite().all()


def test_dequantize_rounds_once() -> None:
    torch.manual_seed(0)
    weight = torch.randn(8, 6).to(torch.float8_e4m3fn)
    for shape in ((1, 1), (8, 1), (1, 6), (2, 3)):
        scale = torch.rand(shape) * 1e-3
        spread = scale.repeat_interleave(8 // shape[0], 0).repeat_interleave(6 // shape[1], 1)
        for dtype in (torch.float32, torch.bfloat16):
            assert torch.equal(dequantize(weight, scale, dtype), (weight.float() * spread).to(dtype))
    assert torch.equal(dequantize(weight, None, torch.float16), weight.to(torch.float16))


def some(
    tmp_path: Path, changes: dict[str, torch.Tensor | None], metadata: dict[str, str] | None = None
) -> TensorSource:
    """A file with two scaled layers, and some tensors changed or left out."""
    tensors: dict[str, torch.Tensor | None] = {"scaled_fp8": torch.empty(0, dtype=torch.float8_e4m3fn)}
    for layer in ("a", "b.c"):
        tensors[f"{layer}.weight"] = torch.ones(8, 4).to(torch.float8_e4m3fn)
        tensors[f"{layer}.scale_weight"] = torch.tensor(0.5)
    tensors |= changes
    path = tmp_path / "scaled.safetensors"
    save_file({key: tensor for key, tensor in tensors.items() if tensor is not None}, path, metadata=metadata)
    return open_source(path)


def note(**entries: object) -> torch.Tensor:
    return torch.tensor([*json.dumps(entries).encode()], dtype=torch.uint8)


def test_scales_by_layer(tmp_path: Path) -> None:
    rows = torch.rand(8)
    scales = Scales(
        some(
            tmp_path,
            {
                "b.c.scale_weight": rows,
                "a.scale_input": torch.tensor(2.0),
                "a.comfy_quant": note(format="float8_e4m3fn", full_precision_matrix_mult=True),
                # Of no weight, so of no concern.
                "log_scale": torch.ones(()),
                "d.scale_shift_table": torch.ones(2),
            },
            {"_quantization_metadata": json.dumps({"layers": {"a": {"format": "float8_e4m3fn"}}})},
        )
    )
    assert scales.by_layer["a"].tolist() == [[0.5]]
    assert torch.equal(scales.by_layer["b.c"], rows[:, None])
    assert scales.keys == {"scaled_fp8", "a.scale_weight", "b.c.scale_weight", "a.scale_input", "a.comfy_quant"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"a.weight_scale_2": torch.ones(1)}, "a.weight_scale_2 is a scale of a kind that is not known"),
        ({"a.pre_quant_scale": torch.ones(4)}, "a.pre_quant_scale is a scale of a kind that is not known"),
        ({"a.weight_scale": torch.ones(1)}, "a has both a scale_weight and a weight_scale"),
        ({"a.scale_weight": None}, "1 in float8 have no scale (a.weight)"),
        ({"a.scale_weight": None, "b.c.scale_weight": None}, "2 in float8 have no scale"),
        ({"e.scale_weight": torch.ones(1)}, "e.scale_weight scales nothing"),
        ({"a.scale_weight": torch.ones(4)}, "a.scale_weight has shape [4], which does not fit a.weight of [8, 4]"),
        ({"a.scale_weight": torch.ones(3, 4)}, "does not fit"),
        ({"a.scale_weight": torch.ones(1, dtype=torch.uint8)}, "expected a floating-point number"),
        ({"a.comfy_quant": note(format="nvfp4")}, "1 layers are quantised as nvfp4"),
        ({"a.comfy_quant": note()}, "quantised as None"),
        ({"a.comfy_quant": torch.tensor([1, 2], dtype=torch.uint8)}, "a.comfy_quant is not JSON"),
        ({"scaled_fp8": torch.zeros(1, dtype=torch.int8)}, "scaled_fp8 is of type torch.int8"),
    ],
)
def test_scales_that_are_not_understood_are_never_dropped(
    tmp_path: Path, refused: Callable[..., str], changes: dict[str, torch.Tensor | None], says: str
) -> None:
    assert says in refused(Scales, some(tmp_path, changes))


def test_formats_in_the_header_are_checked_too(tmp_path: Path, refused: Callable[..., str]) -> None:
    text = json.dumps({"layers": {"a": {"format": "int8_blockwise", "group_size": 128}}})
    assert "quantised as int8_blockwise" in refused(Scales, some(tmp_path, {}, {"_quantization_metadata": text}))


def test_a_lost_scale_is_noticed_in_a_whole_model(
    wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]
) -> None:
    model = wan.tiny()
    path = tmp_path / "m.safetensors"
    wan.save_float8(model, path, style="scaled")
    tensors = {key: tensor for key, tensor in load_file(path).items() if key != "blocks.1.ffn.0.scale_weight"}
    save_file(tensors, path)
    assert "blocks.1.ffn.0.weight" in refused(load_transformer, path, model.config)
