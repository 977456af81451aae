"""Estimates beside a trace of every allocation of the stock modules at their published size, on the meta device."""

from __future__ import annotations

import gzip
import json
import re
import runpy
import weakref
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from motionloom.methods.tora.pipeline import ToraPipeline
from motionloom.methods.tora.windows import plan_windows
from motionloom.models.catalog import find_model
from motionloom.models.footprint import (
    SHAPES,
    activation_bytes,
    blocks_of,
    castable_layers,
    decode_bytes,
    module_bytes,
    need_of,
    need_of_shape,
    shape_of,
    token_count,
    wan_weights,
)

MANIFESTS = Path(__file__).parents[1] / "golden" / "manifests"


class LiveBytes(TorchDispatchMode):
    """Bytes of all tensors that are alive, beside those given."""

    def __init__(self, *known):
        super().__init__()
        self.known = {tensor.untyped_storage()._cdata for tensor in known}
        self.live, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self._add(tensor.untyped_storage())
        return out

    def _add(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self.known or key in self.live:
            return
        self.live[key] = size
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._drop, key)

    def _drop(self, key):
        self.now -= self.live.pop(key, 0)


def trace_transformer(monkeypatch, *, heads, ffn_dim, channels, latent, dtype=torch.bfloat16, image_dim=None):
    """Peak bytes of one pass of two blocks at full width over latents of (T, H, W); more blocks need no more."""
    from diffusers import WanTransformer3DModel
    from diffusers.models.transformers import transformer_wan

    # The attention kernels that GPUs use hold nothing but their result.
    monkeypatch.setattr(transformer_wan, "dispatch_attention_fn", lambda query, *_, **__: torch.empty_like(query))
    with torch.device("meta"):
        model = WanTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=128,
            in_channels=channels[0],
            out_channels=channels[1],
            ffn_dim=ffn_dim,
            num_layers=2,
            cross_attn_norm=True,
            image_dim=image_dim,
            added_kv_proj_dim=heads * 128 if image_dim else None,
        )
        for name, parameter in model.named_parameters():
            keep = any(part in name for part in model._keep_in_fp32_modules)
            parameter.data = parameter.data.to(torch.float32 if keep else dtype)
        inputs = {
            "hidden_states": torch.empty(1, channels[0], *latent, dtype=dtype),
            "timestep": torch.empty(1),
            "encoder_hidden_states": torch.empty(1, 512, 4096, dtype=dtype),
            "encoder_hidden_states_image": torch.empty(1, 257, image_dim, dtype=dtype) if image_dim else None,
        }
    known = [tensor for tensor in inputs.values() if tensor is not None]
    with torch.no_grad(), LiveBytes(*model.parameters(), *model.buffers(), *known) as live:
        model(**inputs, return_dict=False)
    return live.peak


def test_tokens():
    assert token_count((480, 832), 81, (4, 8), 2) == 32_760
    assert token_count((704, 1280), 121, (4, 16), 2) == 27_280


@pytest.mark.parametrize(
    ("heads", "ffn_dim", "channels", "latent", "dtype", "image_dim"),
    [
        (40, 13_824, (36, 16), (21, 60, 104), torch.bfloat16, 1280),  # 14B, 81 frames at 480x832
        (40, 13_824, (36, 16), (5, 90, 160), torch.bfloat16, None),  # A14B, 17 frames at 720x1280
        (
            24,
            14_336,
            (48, 48),
            (31, 44, 80),
            torch.bfloat16,
            None,
        ),  # 5B, 121 frames at 704x1280: feed-forward is widest
        (40, 13_824, (36, 16), (5, 60, 104), torch.float32, 1280),
        (12, 1024, (36, 16), (21, 30, 52), torch.float32, None),  # attention is widest
    ],
)
def test_activations_are_those_of_the_trace(monkeypatch, heads, ffn_dim, channels, latent, dtype, image_dim):
    traced = trace_transformer(
        monkeypatch,
        heads=heads,
        ffn_dim=ffn_dim,
        channels=channels,
        latent=latent,
        dtype=dtype,
        image_dim=image_dim,
    )
    tokens = latent[0] * latent[1] * latent[2] // 4
    estimated = activation_bytes(tokens, heads * 128, ffn_dim, dtype.itemsize)
    assert 0.99 < estimated / traced < 1.10


@pytest.mark.parametrize(
    ("tiled", "latent"), [(False, (3, 60, 104)), pytest.param(True, (2, 32, 64), marks=pytest.mark.slow)]
)
def test_decoding_is_that_of_the_trace(tiled, latent):
    from diffusers import AutoencoderKLWan

    size, frames = (latent[1] * 8, latent[2] * 8), 4 * latent[0] - 3
    with torch.device("meta"):
        vae = AutoencoderKLWan()
        latent = torch.empty(1, 16, *latent)
    if tiled:
        vae.enable_tiling()
    with torch.no_grad(), LiveBytes(*vae.parameters(), *vae.buffers(), latent) as live:
        vae.decode(latent, return_dict=False)
    estimated = decode_bytes(SHAPES["wan2.1-i2v-14b"].vae, size, frames, 4)[tiled]
    assert 0.99 < estimated / live.peak < 1.10


@pytest.mark.slow
@pytest.mark.parametrize("tiled", [False, True])
def test_decoding_of_the_5b_model_is_that_of_the_trace(tiled):
    from diffusers import AutoencoderKLWan

    with torch.device("meta"):
        vae = AutoencoderKLWan(
            base_dim=160,
            decoder_base_dim=256,
            z_dim=48,
            is_residual=True,
            patch_size=2,
            in_channels=12,
            out_channels=12,
            scale_factor_spatial=16,
            latents_mean=[0.0] * 48,
            latents_std=[1.0] * 48,
            temperal_downsample=[False, True, True],
        )
        latent = torch.empty(1, 48, 5, 44, 80)
    assert sum(parameter.numel() for parameter in vae.parameters()) == SHAPES["wan2.2-ti2v-5b"].vae.weights
    if tiled:
        vae.enable_tiling()
    with torch.no_grad(), LiveBytes(*vae.parameters(), *vae.buffers(), latent) as live:
        vae.decode(latent, return_dict=False)
    estimated = decode_bytes(SHAPES["wan2.2-ti2v-5b"].vae, (704, 1280), 17, 4)[tiled]
    assert 0.99 < estimated / live.peak < 1.15


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_decoding_of_cogvideox_is_that_of_the_trace(dtype):
    """A tile of 240 x 360, which is what the VAE works on with tiling; whole frames take as much per pixel."""
    from diffusers import AutoencoderKLCogVideoX

    from motionloom.models.checkpoints.configs import published_config

    with torch.device("meta"):
        vae = AutoencoderKLCogVideoX.from_config(published_config("cogvideox-5b", "vae")).to(dtype)
        latent = torch.empty(1, 16, 5, 30, 45, dtype=dtype)
    assert sum(parameter.numel() for parameter in vae.parameters()) == SHAPES["cogvideox-5b"].vae.weights
    with torch.no_grad(), LiveBytes(*vae.parameters(), *vae.buffers(), latent) as live:
        vae.decode(latent, return_dict=False)
    estimated = decode_bytes(SHAPES["cogvideox-5b"].vae, (240, 360), 17, dtype.itemsize)[0]
    assert 0.95 < estimated / live.peak < 1.2


@pytest.mark.parametrize("tora", [False, True])
def test_a_pass_of_cogvideox_with_and_without_tora_is_that_of_the_trace(monkeypatch, tora):
    """Two blocks at full width, three latent frames of 480x720; a fuser holds less than the widest place of a block."""
    from diffusers import CogVideoXTransformer3DModel
    from torch.nn import functional

    from motionloom.methods.tora.adapter import ToraAdapter
    from motionloom.methods.tora.hooks import attach

    monkeypatch.setattr(functional, "scaled_dot_product_attention", lambda query, *_, **__: torch.empty_like(query))
    with torch.device("meta"):
        model = CogVideoXTransformer3DModel(
            num_attention_heads=48, num_layers=2, use_rotary_positional_embeddings=True
        ).to(torch.bfloat16)
        adapter = ToraAdapter.for_transformer(model).to(torch.bfloat16)
        hidden = torch.empty(1, 3, 16, 60, 90, dtype=torch.bfloat16)
        text = torch.empty(1, 226, 4096, dtype=torch.bfloat16)
        rotary = (torch.empty(3 * 30 * 45, 64), torch.empty(3 * 30 * 45, 64))
        time = torch.empty(1)
        features = [torch.empty(1, 3, 128, 30, 45, dtype=torch.bfloat16) for _ in range(2)] if tora else None
        attachment = attach(model, adapter)
        attachment.features = features
    known = [*model.parameters(), *adapter.parameters(), *adapter.buffers(), hidden, text, *rotary, time]
    with torch.no_grad(), LiveBytes(*known) as live:
        model(hidden, text, time, image_rotary_emb=rotary, return_dict=False)
    estimated = activation_bytes(3 * 30 * 45 + 226, 3072, 12_288, 2)
    assert 0.95 < estimated / live.peak < 1.3


def test_what_tora_adds_is_counted():
    card = find_model("tora-t2v")
    base, shape = SHAPES["cogvideox-5b"], shape_of(card)
    assert shape is not None
    assert shape.adapter == 669_441_024 + 24_910_976 + 84 * 4 * 128
    need, plain = (need_of_shape(each, (480, 720), 49) for each in (shape, base))
    assert need.weights - plain.weights == need.adapter == 2 * shape.adapter
    tokens = token_count((480, 720), 49, (4, 8), 2)
    assert need.activations - plain.activations == 42 * tokens * 128 * 2  # the features of every block
    assert shape_of(find_model("cogvideox")) == SHAPES["cogvideox-5b-i2v"]


def test_a_long_clip_of_tora_is_denoised_a_window_at_a_time_and_decoded_whole():
    shape = shape_of(find_model("tora-i2v"))
    assert shape is not None
    short, long = (need_of_shape(shape, (480, 720), frames) for frames in (49, 205))
    plain = need_of_shape(SHAPES["cogvideox-5b-i2v"], (480, 720), 205)
    assert (short.at_once, long.at_once, plain.at_once) == (49, 49, 205)
    features = 42 * 30 * 45 * 128 * 2  # of a latent frame
    windows = plan_windows(52, 13, 4)
    kept = long.activations - short.activations + 13 * features
    assert 1 < kept / (13 * len(windows) * features) < 1.4
    assert long.activations < plain.activations / 2
    assert (long.decode, long.decode_tiled) == (plain.decode, plain.decode_tiled)

    tiny = runpy.run_path(str(Path(__file__).parents[1] / "methods" / "tora" / "tiny.py"))
    stock = tiny["t2v"]()
    pipeline = ToraPipeline(**{**stock.components, "adapter": tiny["adapter"](stock.transformer)})
    few, many, fewer = need_of(pipeline, (32, 32), 9), need_of(pipeline, (32, 32), 41), need_of(stock, (32, 32), 9)
    kept = few.activations - fewer.activations
    assert (few.at_once, many.at_once) == (9, 9)
    assert many.activations - fewer.activations == kept * len(pipeline.windows(41))
    assert many.decode - few.decode == int(1.2 * 3 * 32 * 32 * 32 * 4)
    once = need_of(pipeline, (32, 32), 41, windows=[slice(0, 11)])
    assert once.activations == pytest.approx(few.activations * 11 / 3, rel=1e-4)


def test_published_numbers_of_weights():
    assert SHAPES["wan2.1-i2v-14b"].weights == 16_394_878_784
    assert SHAPES["wan2.2-i2v-a14b"].weights == 14_288_901_184
    assert SHAPES["wan2.2-ti2v-5b"].weights == 4_999_787_712


@pytest.mark.parametrize(
    ("architecture", "manifest"),
    [
        ("wan2.1-i2v-14b", "wan21-i2v-14b.transformer.diffusers"),
        ("wan2.2-i2v-a14b", "wan22-i2v-a14b.transformer.diffusers"),
        ("cogvideox-5b", "cogvideox-5b.transformer.diffusers"),
        ("cogvideox-5b-i2v", "tora-i2v.transformer.diffusers"),
    ],
)
def test_what_fp8_makes_smaller_is_what_the_manifest_has_in_blocks(architecture, manifest):
    entries = json.loads(gzip.decompress((MANIFESTS / f"{manifest}.json.gz").read_bytes()))
    linear = (
        r"((transformer_)?blocks\.\d+\.(attn\d\.(to_[qkv]|to_out\.0|add_[kv]_proj)|ffn?\.net\.(0\.proj|2))"
        r"|time_embedding\.linear_[12])\.(weight|bias)"
    )
    counts = [torch.Size(shape).numel() for name, (shape, _) in entries.items() if re.fullmatch(linear, name)]
    assert sum(counts) == SHAPES[architecture].cast


@pytest.mark.parametrize("image_dim", [None, 24])
def test_weights_and_castable_layers_of_a_real_module(image_dim):
    from diffusers import WanTransformer3DModel

    model = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=8,
        freq_dim=16,
        ffn_dim=32,
        num_layers=3,
        cross_attn_norm=True,
        image_dim=image_dim,
        added_kv_proj_dim=24 if image_dim else None,
        rope_max_seq_len=32,
    )
    weights, cast = wan_weights(24, 32, 3, 36, 16, image_dim=image_dim, text_dim=8, freq_dim=16)
    assert sum(parameter.numel() for parameter in model.parameters()) == weights
    layers = castable_layers(model)
    assert sum(parameter.numel() for layer in layers.values() for parameter in layer.parameters()) == cast
    assert len(blocks_of(model)) == 3
    assert module_bytes(model) == 4 * weights + sum(b.numel() * b.element_size() for b in model.buffers())


def test_a_cache_keeps_three_hidden_states_per_branch():
    plain = need_of_shape(SHAPES["wan2.1-i2v-14b"], (480, 832), 81)
    caching = need_of_shape(SHAPES["wan2.1-i2v-14b"], (480, 832), 81, caching=True)
    assert caching.activations - plain.activations == pytest.approx(6 * 32_760 * 5120 * 2, abs=2)
