from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.wan_transformer import (
    architecture_of,
    dtype_of,
    load_transformer,
)

ARCHITECTURES = ("wan2.1-i2v-14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b")


@pytest.mark.parametrize("kind", ARCHITECTURES)
@pytest.mark.parametrize(
    ("suffix", "shards", "prefix", "names"),
    [
        (".safetensors", 3, "", "original"),
        (".safetensors", 1, "model.diffusion_model.", "original"),
        (".pth", 1, "", "original"),
        (".safetensors", 2, "", "diffusers"),
    ],
)
def test_every_layout_gives_the_same_model(
    wan: SimpleNamespace, tmp_path: Path, kind: str, suffix: str, shards: int, prefix: str, names: str
) -> None:
    model = wan.tiny(kind)
    folder = wan.save_original(model, tmp_path, suffix=suffix, shards=shards, prefix=prefix, names=names)
    loaded = load_transformer(folder, dtype=torch.float32)
    for key in ("num_attention_heads", "num_layers", "in_channels", "ffn_dim", "image_dim", "added_kv_proj_dim"):
        assert loaded.config[key] == model.config[key]
    assert not loaded.training
    assert torch.equal(wan.forward(loaded), wan.forward(model))


@pytest.mark.parametrize("wrap", ["state_dict", "model", "module"])
@pytest.mark.parametrize("prefix", ["module.", "diffusion_model.", "model.", "module.model.diffusion_model."])
def test_wrappers_and_prefixes(wan: SimpleNamespace, tmp_path: Path, wrap: str, prefix: str) -> None:
    model = wan.tiny("wan2.1-i2v-14b")
    path = wan.save_weights(wan.weights(model, prefix=prefix), tmp_path / "model.ckpt", wrap)
    loaded = load_transformer(path, wan.original_config(model), dtype=None)
    assert open_source(path).prefix == prefix
    assert all(torch.equal(tensor, model.state_dict()[key]) for key, tensor in loaded.state_dict().items())


def test_the_transformer_of_a_file_with_other_models(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny()
    tensors = wan.weights(model, prefix="model.diffusion_model.")
    tensors |= {"vae.decoder.conv1.weight": torch.zeros(2, 2), "text_encoders.umt5xxl.shared.weight": torch.zeros(3)}
    path = wan.save_weights(tensors, tmp_path / "all-in-one.safetensors")
    loaded = load_transformer(path, model.config, dtype=torch.float32)
    assert torch.equal(wan.forward(loaded), wan.forward(model))


@pytest.mark.parametrize("stored", [torch.float32, torch.bfloat16, torch.float16])
def test_nothing_but_what_diffusers_keeps_is_float32(wan: SimpleNamespace, tmp_path: Path, stored: torch.dtype) -> None:
    model = wan.tiny("wan2.1-i2v-14b")
    wan.save_original(model, tmp_path, dtype=stored)
    wide = ("time_embedder", "scale_shift_table", "norm1", "norm2", "norm3")
    for dtype in (None, torch.bfloat16):
        loaded = load_transformer(tmp_path, dtype=dtype)
        assert loaded.dtype == (dtype or stored)
        for name, parameter in loaded.named_parameters():
            kept = any(part in wide for part in name.split("."))
            assert parameter.dtype == (torch.float32 if kept else dtype or stored), name
            if parameter.dtype == stored:
                assert torch.equal(parameter, model.state_dict()[name].to(stored)), name
    assert dtype_of(open_source(tmp_path)) == stored


def test_bfloat16_loads_as_diffusers_loads_it(wan: SimpleNamespace, tmp_path: Path) -> None:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    model = wan.tiny("wan2.1-i2v-14b")
    model.save_pretrained(tmp_path)
    theirs = WanTransformer3DModel.from_pretrained(tmp_path, dtype=torch.bfloat16)
    ours = load_transformer(tmp_path, dtype=torch.bfloat16)
    assert {k: v.dtype for k, v in ours.named_parameters()} == {k: v.dtype for k, v in theirs.named_parameters()}
    assert torch.equal(wan.forward(ours, torch.bfloat16), wan.forward(theirs, torch.bfloat16))
    assert ours.config["rope_max_seq_len"] == 32


PUBLISHED = [
    ("wan21-i2v-14b.dit.original", "wan21-i2v-14b.transformer.diffusers", "wan2.1-i2v-14b", 7, 1303),
    ("wan22-i2v-a14b.expert.original", "wan22-i2v-a14b.transformer.diffusers", "wan2.2-i2v-a14b", 6, 1095),
]


@pytest.mark.parametrize("prefix", ["", "model.diffusion_model."])
@pytest.mark.parametrize(("original", "diffusers", "architecture", "count", "tensors"), PUBLISHED)
@pytest.mark.slow
def test_full_size_shards_load_completely(
    wan: SimpleNamespace,
    tmp_path: Path,
    original: str,
    diffusers: str,
    architecture: str,
    count: int,
    tensors: int,
    prefix: str,
) -> None:
    """The published files at their size: 65.6 and 57.2 GB in float32, all holes, through the code real ones take."""
    shapes = {prefix + key: shape for key, shape in wan.manifest(original).items()}
    keys, weight_map = list(shapes), {}
    for number in range(count):
        part = keys[number * len(keys) // count : (number + 1) * len(keys) // count]
        name = f"diffusion_pytorch_model-{number + 1:05d}-of-{count:05d}.safetensors"
        wan.sparse_safetensors(tmp_path / name, {key: shapes[key] for key in part})
        weight_map |= dict.fromkeys(part, name)
    index = tmp_path / "diffusion_pytorch_model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    source = open_source(tmp_path)
    assert (len(source), len(source.files), source.prefix) == (tensors, count, prefix)
    assert architecture_of(source) == architecture
    seen: list[tuple[int, int]] = []
    model = load_transformer(tmp_path, device="meta", on_progress=lambda *at: seen.append(at))
    assert {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()} == wan.manifest(diffusers)
    assert seen == [(number + 1, tensors) for number in range(tensors)]
    assert (model.config["num_attention_heads"], model.config["num_layers"]) == (40, 40)


def test_first_and_last_frame_model_has_positions(wan: SimpleNamespace, tmp_path: Path) -> None:
    model = wan.tiny("wan2.1-i2v-14b", pos_embed_seq_len=10)
    wan.save_original(model, tmp_path)
    assert "img_emb.emb_pos" in open_source(tmp_path)
    loaded = load_transformer(tmp_path, dtype=torch.float32)
    assert loaded.config["pos_embed_seq_len"] == 10
    assert torch.equal(
        loaded.condition_embedder.image_embedder.pos_embed, model.condition_embedder.image_embedder.pos_embed
    )


def test_a_text_to_video_model_is_refused_by_name(
    wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]
) -> None:
    wan.save_original(wan.tiny(in_channels=16), tmp_path)
    message = refused(load_transformer, tmp_path)
    assert "text-to-video" in message
    assert "36 input channels" in message
    # Who gives the configuration says what the model is.
    assert load_transformer(tmp_path, tmp_path / "config.json").config["in_channels"] == 16


def test_missing_and_left_over_tensors_are_listed(wan: SimpleNamespace, refused: Callable[..., str]) -> None:
    model = wan.tiny()
    tensors = wan.weights(model)
    tensors["blocks.0.self_attn.extra.weight"] = torch.zeros(1)
    tensors["blocks.1.ffn.2.bias"] = torch.zeros(65)
    del tensors["blocks.1.cross_attn.q.weight"], tensors["blocks.1.cross_attn.k.weight"]
    message = refused(load_transformer, TensorSource.of(tensors, "here"), model.config)
    assert message.startswith("here: ")
    assert "2 missing (blocks.1.attn2.to_q.weight; blocks.1.attn2.to_k.weight)" in message
    assert "1 unexpected (blocks.0.self_attn.extra.weight)" in message
    assert "1 of another shape (blocks.1.ffn.net.2.bias: file [65], model [64])" in message
    assert "a Wan transformer in the names of the published programs (2 blocks of width 64" in message


def test_one_shard_without_the_others_is_refused(
    wan: SimpleNamespace, tmp_path: Path, refused: Callable[..., str]
) -> None:
    wan.save_original(wan.tiny(), tmp_path)
    first = tmp_path / "diffusion_pytorch_model-00001-of-00003.safetensors"
    alone = first.rename(tmp_path / "alone.safetensors")
    assert "not whole" in refused(load_transformer, alone)
