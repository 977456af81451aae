from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import CogVideoXTransformer3DModel

from motionloom.errors import InputError
from motionloom.methods.tora.adapter import ToraAdapter

_tiny = runpy.run_path(str(Path(__file__).with_name("tiny.py")))


def published(**config: Any) -> CogVideoXTransformer3DModel:
    """A transformer of full size without weights."""
    with torch.device("meta"):
        return CogVideoXTransformer3DModel(**config)


def test_published_size():
    """Parameters and keys as counted in the published checkpoint; a buffer of positions makes none of them."""
    with torch.device("meta"):
        adapter = ToraAdapter()
    count = {name: sum(p.numel() for p in part.parameters()) for name, part in adapter.named_children()}
    assert count == {"traj_extractor": 24_910_976, "fuser": 669_441_024}
    keys = {name: tuple(tensor.shape) for name, tensor in adapter.state_dict().items()}
    assert sum(name.startswith("traj_extractor.") for name in keys) == 1178
    assert sum(name.startswith("fuser.") for name in keys) == 420
    assert keys["traj_extractor.conv_in.weight"] == (128, 64, 3, 3)
    assert keys["traj_extractor.body.83.block2.weight"] == (128, 128, 3, 3)
    assert keys["traj_extractor.body.0.bn1.num_batches_tracked"] == ()
    assert keys["fuser.41.flow_gamma_spatial.weight"] == (768, 128, 3, 3)
    assert keys["fuser.0.flow_beta_temporal.weight"] == (3072, 768, 3)
    assert keys["fuser.0.flow_cond_norm.bias"] == (3072,)
    with torch.device("meta"):
        smaller = ToraAdapter(hidden_size=1920, num_layers=30, num_attention_heads=30)
    assert round(sum(p.numel() for p in smaller.parameters()) / 1e6, 1) == 217.1


@pytest.mark.slow
def test_base_of_another_family():
    with torch.device("meta"):
        adapter = ToraAdapter()
    adapter.check_fits(published(num_attention_heads=48, num_layers=42))
    with pytest.raises(InputError) as caught:
        adapter.check_fits(published())
    for part in ("1920 wide, 30 blocks: CogVideoX-2B", "this adapter is for 3072 wide, 42 blocks: CogVideoX-5B"):
        assert part in str(caught.value)
    newer = published(num_attention_heads=48, num_layers=42, patch_size_t=2, use_rotary_positional_embeddings=True)
    with pytest.raises(InputError, match=r"its patches are 2 latent frames .* this adapter's 1 and 2 x 2"):
        adapter.check_fits(newer)


def test_not_a_cogvideox():
    from diffusers import WanTransformer3DModel

    with torch.device("meta"):
        other = WanTransformer3DModel(num_layers=1)
    with pytest.raises(InputError, match="found a WanTransformer3DModel, expected a CogVideoXTransformer3DModel"):
        ToraAdapter.for_transformer(other)


@pytest.mark.parametrize("kind", ["t2v", "sincos", "i2v", "learned", "1.5"])
def test_made_for_a_transformer(kind: str):
    transformer = _tiny["transformer"](kind, heads=4, layers=3)
    adapter = ToraAdapter.for_transformer(transformer, condition_channels=8)
    adapter.check_fits(transformer)
    assert not adapter.training
    frames = 4 if kind == "1.5" else 3
    features = adapter.features(_tiny["motion_latents"](2, frames, (6, 10)))
    assert [tuple(f.shape) for f in features] == [(2, 2 if kind == "1.5" else 3, 8, 3, 5)] * 3


@pytest.mark.parametrize("design", ["adaptive_norm", "extra_channel", "cross_attention"])
def test_saved_and_loaded(tmp_path: Path, design: str):
    adapter = _tiny["adapter"](_tiny["transformer"](), design=design, pad="front")
    adapter.save_pretrained(tmp_path)
    loaded: Any = ToraAdapter.from_pretrained(tmp_path)
    assert dict(loaded.config) | {"_name_or_path": ""} == dict(adapter.config) | {"_name_or_path": ""}
    assert (loaded.config.design, loaded.config.pad) == (design, "front")
    assert loaded.state_dict().keys() == adapter.state_dict().keys()
    for name, tensor in loaded.state_dict().items():
        assert torch.equal(tensor, adapter.state_dict()[name]), name


def test_motion_latents_of_another_vae():
    transformer = _tiny["transformer"]()
    adapter = _tiny["adapter"](transformer, latent_channels=6)
    assert len(adapter.features(torch.randn(1, 6, 3, 4, 4))) == 2
    with pytest.raises(InputError, match="found a shape of 1x4x3x4x4, expected videos x 6 channels"):
        adapter.features(torch.randn(1, 4, 3, 4, 4))
    with pytest.raises(InputError, match="found a shape of 6x3x4x4"):
        adapter.features(torch.randn(6, 3, 4, 4))
    with pytest.raises(InputError, match=r"found torch.bfloat16, but the adapter is torch.float32"):
        adapter.features(torch.randn(1, 6, 3, 4, 4).bfloat16())


def test_eight_bit_weights():
    """A quarter of the memory between uses; the norms and the first layer keep their precision."""
    transformer = _tiny["transformer"]()
    adapter = _tiny["adapter"](transformer)
    exact = adapter.features(_tiny["motion_latents"]())
    adapter.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    fuser = adapter.fuser[0]
    assert fuser.flow_gamma_temporal.weight.dtype == torch.float8_e4m3fn
    for kept in (fuser.flow_cond_norm, adapter.traj_extractor.body[0].bn1, adapter.traj_extractor.conv_in):
        assert kept.weight.dtype == torch.float32
    for found, expected in zip(adapter.features(_tiny["motion_latents"]()), exact, strict=True):
        assert (found - expected).norm() < 0.1 * expected.norm()


def test_pad_is_checked():
    with pytest.raises(InputError, match="pad: found 'middle'"):
        ToraAdapter(hidden_size=32, num_layers=1, condition_channels=8, num_attention_heads=2, pad="middle")  # pyright: ignore[reportArgumentType]
