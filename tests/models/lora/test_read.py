from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError
from motionloom.models.lora import read_lora
from motionloom.models.lora.read import _assemble, _layout

CASES = [
    ("high_r4_a2", "", 4, 2.0, 20, "1"),
    ("high_r4_a2", "", 4, 2.0, 20, "0.8"),
    ("high_r4_a2", "_other", 4, 4.0, 20, "1"),
    ("low_r4_a1", "", 4, 1.0, 20, "1"),
    ("low_r8_a8_fp16", "", 8, 8.0, 10, "1"),
    ("wan21_i2v_r2_a1", "", 2, 1.0, 12, "1"),
    ("wan21_i2v_r2_a1", "_other", 2, 2.0, 12, "1"),
]


@pytest.mark.parametrize(("case", "suffix", "rank", "alpha", "modules", "multiplier"), CASES)
def test_change_of_the_weights_is_the_published_one(golden, weights, case, suffix, rank, alpha, modules, multiplier):
    found = read_lora(golden / f"{case}_lora{suffix}.safetensors")
    assert found.ranks == [rank]
    assert {layer.alpha for layer in found.layers.values()} == {alpha}
    assert len(found.layers) == modules
    merged = weights(case, f"merged_{multiplier}.")
    for name, base in weights(case, "base.").items():
        ours = base.float() + float(multiplier) * found.layers[name.removesuffix(".weight")].delta()
        assert (ours - merged[name].float()).abs().max() < 1e-6


def test_facts_of_a_file(golden):
    high = read_lora(golden / "high_r4_a2_lora.safetensors")
    assert (high.layout, high.blocks, high.width, high.has_image_branch) == ("musubi", 2, 24, False)
    assert high.dtype == torch.float32
    assert high.metadata["modelspec.timestep_range"] == "900,1000"
    assert len(high.sha256 or "") == 64
    image = read_lora(golden / "wan21_i2v_r2_a1_lora.safetensors")
    assert (image.blocks, image.has_image_branch) == (1, True)
    assert read_lora(golden / "low_r8_a8_fp16_lora.safetensors").dtype == torch.float16


def manifest(golden: Path, layout: str) -> dict[str, torch.Tensor]:
    text = gzip.decompress((golden / f"circle-rotate.lora-r32.{layout}.json.gz").read_bytes())
    # One number seen as a tensor of any shape: full size without the memory.
    return {key: torch.ones(()).expand(shape) for key, (shape, _) in json.loads(text).items()}


@pytest.mark.parametrize(
    ("layout", "keys", "alpha"), [("musubi", 1200, 1.0), ("comfy", 800, 32.0), ("diffusers", 800, 32.0)]
)
@pytest.mark.slow
def test_every_key_of_the_full_size_lora_maps(golden, layout, keys, alpha):
    from diffusers import WanTransformer3DModel

    from motionloom.models.lora.check import fitted

    tensors = manifest(golden, layout)
    assert len(tensors) == keys
    found = _assemble(golden / layout, tensors, {}, _layout(tensors))
    expected = manifest(golden, "diffusers")
    ours = {f"transformer.{name}.lora_A.weight": layer.down.shape for name, layer in found.layers.items()}
    ours |= {f"transformer.{name}.lora_B.weight": layer.up.shape for name, layer in found.layers.items()}
    assert ours == {key: value.shape for key, value in expected.items()}
    assert {layer.alpha for layer in found.layers.values()} == {alpha}
    assert sum(layer.down.numel() + layer.up.numel() for layer in found.layers.values()) == 153_354_240
    if layout == "musubi":
        with torch.device("meta"):
            model = WanTransformer3DModel(in_channels=36, num_layers=40)
        kept, left_out = fitted(found, model)
        assert len(kept.layers) == 400
        assert left_out == []


def test_other_spellings_of_the_same_file(golden, tmp_path):
    """Prefixes of ComfyUI, peft and DiffSynth, and of diffusers' older files, say the same."""
    original = load_file(golden / "wan21_i2v_r2_a1_lora_other.safetensors")
    reference = read_lora(golden / "wan21_i2v_r2_a1_lora_other.safetensors")
    spellings = {
        "bare": lambda key: key.removeprefix("diffusion_model."),
        "comfy": lambda key: f"model.{key}",
        "peft": lambda key: f"base_model.model.{key.removeprefix('diffusion_model.')}",
        "diffsynth": lambda key: key.removeprefix("diffusion_model.").replace(".weight", ".default.weight"),
        "down_up": lambda key: key.replace("lora_A", "lora_down").replace("lora_B", "lora_up"),
    }
    for name, spell in spellings.items():
        save_file({spell(key): value for key, value in original.items()}, tmp_path / f"{name}.safetensors")
        found = read_lora(tmp_path / f"{name}.safetensors")
        assert found.layers.keys() == reference.layers.keys(), name
        assert all(torch.equal(found.layers[key].up, layer.up) for key, layer in reference.layers.items()), name


def test_alpha_of_diffusers_header_and_of_peft_beside(tmp_path):
    factors = {
        f"blocks.0.attn1.{part}.lora_{side}.weight": torch.ones(4, 4) for part in ("to_q", "to_k") for side in "AB"
    }
    config = {"r": 4, "lora_alpha": 2, "alpha_pattern": {"blocks.0.attn1.to_k": 1.0}}
    header = json.dumps({f"transformer.{key}": value for key, value in config.items()})
    path = tmp_path / "x.safetensors"
    save_file({f"transformer.{k}": v for k, v in factors.items()}, path, metadata={"lora_adapter_metadata": header})
    alphas = {name[-4:]: layer.alpha for name, layer in read_lora(path).layers.items()}
    assert alphas == {"to_q": 2.0, "to_k": 1.0}
    folder = tmp_path / "peft"
    folder.mkdir()
    save_file({f"base_model.model.{k}": v for k, v in factors.items()}, folder / "adapter_model.safetensors")
    (folder / "adapter_config.json").write_text(json.dumps({**config, "use_rslora": True, "alpha_pattern": {}}))
    layers = read_lora(folder).layers
    # Rank-stabilised: the scale is alpha / sqrt(rank).
    assert {layer.alpha / layer.rank for layer in layers.values()} == {2 / 2}


def test_partial_file_without_alpha_and_with_mixed_ranks(tmp_path):
    tensors = {}
    for block, rank in ((1, 4), (11, 8)):
        tensors[f"lora_unet_blocks_{block}_self_attn_q.lora_down.weight"] = torch.randn(rank, 24)
        tensors[f"lora_unet_blocks_{block}_self_attn_q.lora_up.weight"] = torch.randn(24, rank)
    save_file(tensors, tmp_path / "x.safetensors")
    found = read_lora(tmp_path / "x.safetensors")
    assert {name: (layer.rank, layer.alpha) for name, layer in found.layers.items()} == {
        "blocks.1.attn1.to_q": (4, 4.0),
        "blocks.11.attn1.to_q": (8, 8.0),
    }
    assert found.blocks == 12


def test_whole_differences(tmp_path):
    tensors = {
        "diffusion_model.blocks.0.self_attn.q.diff_b": torch.ones(24),
        "diffusion_model.blocks.0.norm3.diff": torch.ones(24),
        "diffusion_model.blocks.0.diff_m": torch.ones(1, 6, 24),
        "diffusion_model.head.diff_m": torch.ones(1, 2, 24),
        "diffusion_model.head.head.diff_b": torch.ones(64),
    }
    save_file(tensors, tmp_path / "x.safetensors")
    assert set(read_lora(tmp_path / "x.safetensors").offsets) == {
        "blocks.0.attn1.to_q.bias",
        "blocks.0.norm2.weight",
        "blocks.0.scale_shift_table",
        "scale_shift_table",
        "proj_out.bias",
    }


def test_torch_file_is_read_without_running_code(golden, tmp_path):
    tensors = load_file(golden / "low_r4_a1_lora.safetensors")
    torch.save({"state_dict": tensors}, tmp_path / "x.pt")
    assert len(read_lora(tmp_path / "x.pt").layers) == 20
    torch.save({"state_dict": tensors, "code": Path}, tmp_path / "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad.pt: is not a plain file of tensors .* run code"):
        read_lora(tmp_path / "bad.pt")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["lora_unet_blocks_0_self_attn_q.hada_w1_a"], "is a LoHa"),
        (["lora_unet_blocks_0_self_attn_q.lokr_w1"], "is a LoKr"),
        (["diffusion_model.blocks.0.self_attn.q.dora_scale"], "is a DoRA"),
        (["transformer.blocks.0.attn1.to_q.lora_magnitude_vector"], "is a DoRA"),
        (["lora_unet_blocks_0_self_attn_q.lora_mid.weight"], "Tucker"),
        (["transformer_2.blocks.0.attn1.to_q.lora_A.weight"], "both experts .* split it"),
        (["lora_unet_down_blocks_0_attentions_0.lora_down.weight"], "looks made for Stable Diffusion"),
        (["transformer.single_transformer_blocks.0.attn.to_q.lora_A.weight"], "looks made for Flux"),
        (["blocks.0.self_attn.q.weight", "patch_embedding.weight"], "looks like a whole model"),
        (["diffusion_model.blocks.0.self_attn.q.lora_A.weight"], "lack one of their two factors"),
        (["diffusion_model.blocks.0.self_attn.q.alpha"], r"q.alpha is \[4, 4\], expected one number"),
        ([], "holds no LoRA weights"),
    ],
)
def test_other_things_are_refused_by_name(tmp_path, keys, message):
    save_file({key: torch.ones(4, 4) for key in keys}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=f"x.safetensors.*{message}"):
        read_lora(tmp_path / "x.safetensors")


def test_damaged_files(golden, tmp_path):
    whole = (golden / "low_r4_a1_lora.safetensors").read_bytes()
    for name, content, message in [
        ("half.safetensors", whole[: len(whole) // 2], "half downloaded"),
        ("lfs.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
        ("page.safetensors", b"<!doctype html><html>", "is a web page"),
        ("empty.safetensors", b"", "half downloaded"),
    ]:
        (tmp_path / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=f"{name}: .*{message}"):
            read_lora(tmp_path / name)
    with pytest.raises(CheckpointError, match=r"gone.safetensors: no such file; in that folder are empty.safetensors"):
        read_lora(tmp_path / "gone.safetensors")
    with pytest.raises(CheckpointError, match=r"one .safetensors file; found empty.safetensors, half"):
        read_lora(tmp_path)
    tensors = load_file(golden / "low_r4_a1_lora.safetensors")
    tensors["lora_unet_blocks_1_ffn_0.lora_up.weight"][3, 1] = float("nan")
    save_file(tensors, tmp_path / "nan.safetensors")
    with pytest.raises(CheckpointError, match=r"blocks.1.ffn.net.0.proj holds values that are not finite"):
        read_lora(tmp_path / "nan.safetensors")
