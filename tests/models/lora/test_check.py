from __future__ import annotations

import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.errors import CheckpointError, InputError
from motionloom.models.lora import Lora, LoraSpec, read_lora
from motionloom.models.lora.check import expert_in_header, expert_in_name, experts_for, fitted, pair_warnings


@pytest.mark.parametrize(
    ("name", "expert"),
    [
        ("circle_rotate_h.safetensors", "high"),
        ("circle_rotate_l.safetensors", "low"),
        ("wan2.2_i2v_A14b_high_noise_lora_rank64_lightx2v_4step_1022.safetensors", "high"),
        ("wan2.2_i2v_A14b_low_noise_lora_rank64_lightx2v_4step_1022.safetensors", "low"),
        ("Wan22-I2V-HighNoise-Orbit.safetensors", "high"),
        ("OrbitLowNoise.safetensors", "low"),
        ("Wan2.2-Lightning_T2V-A14B-4steps-lora_HIGH_fp16.safetensors", "high"),
        ("low.safetensors", "low"),
        ("style_LN_v2.safetensors", "low"),
        ("low_poly_style.safetensors", None),
        ("highres.safetensors", None),
        ("slow_flow.safetensors", None),
        ("high_angle.safetensors", None),
        ("high_and_low.safetensors", None),
        ("style.safetensors", None),
        ("h_style.safetensors", None),
    ],
)
def test_expert_by_name(name, expert):
    assert expert_in_name(name) == expert


@pytest.mark.parametrize(
    ("text", "expert"),
    [("900,1000", "high"), ("875,1000", "high"), ("0,900", "low"), ("0,875", "low"), ("0,1000", None), ("", None)],
)
def test_expert_by_header(text, expert):
    assert expert_in_header(Lora({}, metadata={"modelspec.timestep_range": text})) == expert


def test_what_decides_the_expert(golden):
    high = read_lora(golden / "high_r4_a2_lora.safetensors")
    silent = read_lora(golden / "low_r8_a8_fp16_lora.safetensors")
    both = ("high", "low")
    assert experts_for(LoraSpec(high.path), high, both) == (("high",), "its header")
    assert experts_for(LoraSpec(high.path, expert="low"), high, both) == (("low",), "as asked")
    assert experts_for(LoraSpec(high.path, expert="both"), high, both) == (both, "as asked")
    assert experts_for(LoraSpec(high.path), high, ("only",)) == (("only",), "the only one")
    assert experts_for(LoraSpec(silent.path), silent, both) == (("low",), "its name")
    nameless = Lora(silent.layers)
    assert experts_for(LoraSpec("x.safetensors"), nameless, both) == (both, "nothing says which")
    with pytest.raises(InputError, match="this model has one transformer only; leave :high out"):
        experts_for(LoraSpec(high.path, expert="high"), high, ("only",))


def test_lora_of_another_base(lora_file, transformer):
    with pytest.raises(CheckpointError) as error:
        fitted(read_lora(lora_file(width=36, ffn=72, blocks=3)), transformer(layers=2))
    text = str(error.value)
    assert "made for another base: 30 of its 30 changes do not fit" in text
    assert "blocks.0.attn2.to_k is [36, 36], here [24, 24]" in text
    assert "It looks made for 3 blocks of width 36" in text
    assert "this model is 2 blocks of width 24" in text
    # More blocks of the right width: only those beyond the end do not fit.
    with pytest.raises(
        CheckpointError, match=r"10 of its 30 changes .*blocks.2.attn2.to_k is \[24, 24\], here there is"
    ):
        fitted(read_lora(lora_file(blocks=3)), transformer(layers=2))


def test_published_bases_are_named(transformer):
    layer = {"blocks.29.attn1.to_q": (1536, 1536), "blocks.0.attn2.to_k": (1536, 1536)}
    from motionloom.models.lora import LoraLayer

    small = Lora({name: LoraLayer(torch.ones(1, i), torch.ones(o, 1), 1.0) for name, (o, i) in layer.items()})
    with pytest.raises(CheckpointError, match=r"looks made for Wan2.1 T2V-1.3B \(30 blocks of width 1536\)"):
        fitted(small, transformer())


def test_image_branch_is_left_out_where_there_is_none(golden, transformer):
    lora = read_lora(golden / "wan21_i2v_r2_a1_lora.safetensors")
    kept, left_out = fitted(lora, transformer(layers=1))
    assert left_out == ["blocks.0.attn2.add_k_proj", "blocks.0.attn2.add_v_proj"]
    assert len(kept.layers) == 10
    kept, left_out = fitted(lora, transformer(layers=1, image=True))
    assert (len(kept.layers), left_out) == (12, [])
    only_image = Lora({name: lora.layers[name] for name in lora.layers if "add_" in name})
    with pytest.raises(CheckpointError, match="nothing of it is left"):
        fitted(only_image, transformer(layers=1))


def test_patch_embedding_of_a_text_to_video_model_is_left_out(golden, transformer, tmp_path):
    tensors = load_file(golden / "low_r8_a8_fp16_lora.safetensors")
    tensors["lora_unet_patch_embedding.lora_down.weight"] = torch.ones(8, 16, 1, 2, 2)
    tensors["lora_unet_patch_embedding.lora_up.weight"] = torch.ones(24, 8, 1, 1, 1)
    save_file(tensors, tmp_path / "t2v.safetensors")
    kept, left_out = fitted(read_lora(tmp_path / "t2v.safetensors"), transformer(layers=1))
    assert left_out == ["patch_embedding"]
    assert len(kept.layers) == 10


def test_fused_projections_would_make_it_do_nothing(golden, transformer):
    model = transformer()
    model.fuse_qkv_projections()
    with pytest.raises(CheckpointError, match=r"are fused, where a LoRA has no effect; call unfuse"):
        fitted(read_lora(golden / "high_r4_a2_lora.safetensors"), model)


def test_pairs(golden, lora_file, tmp_path):
    high, low = (read_lora(golden / f"{name}_lora.safetensors") for name in ("high_r4_a2", "low_r4_a1"))
    assert pair_warnings(high, low) == []
    with pytest.raises(CheckpointError, match="swapped, their headers say so"):
        pair_warnings(low, high)
    assert "the same file twice" in pair_warnings(high, high)[0]
    small = read_lora(golden / "low_r8_a8_fp16_lora.safetensors")
    text = pair_warnings(high, small)[0]
    assert "rank [4] and [8]" in text
    assert "number of blocks 2 and 1" in text
    assert "number type float32 and float16" in text
    attention = read_lora(lora_file("orbit_l.safetensors", seed=1, keep=lambda module: "ffn" not in module))
    assert "4 modules are in one of them only, such as blocks.0.ffn.net.0.proj" in pair_warnings(high, attention)[0]
    swapped = [
        read_lora(shutil.copy(lora_file(f"x{i}.safetensors", seed=i), tmp_path / f"s_{n}.safetensors"))
        for i, n in enumerate("lh")
    ]
    assert "their names say that they are swapped" in pair_warnings(*swapped)[0]
