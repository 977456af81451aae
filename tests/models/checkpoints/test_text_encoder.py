"""umT5 from every naming: values, and every key of the published files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.checkpoints.text_encoder import (
    convert_text_encoder,
    is_text_encoder,
    load_text_encoder,
    text_encoder_config,
    text_encoder_key,
)

WORDS = torch.tensor([[5, 9, 31, 4, 1, 0, 0], [7, 7, 8, 33, 20, 6, 1]])
MASK = (WORDS != 0).long()


def embed(model) -> torch.Tensor:
    return model(WORDS, MASK).last_hidden_state.detach().float()


@pytest.mark.parametrize("wrap", [None, "state_dict"])
def test_original_file_gives_the_same_embeddings(tiny_parts, wan, tmp_path: Path, wrap: str | None):
    path = wan.save_weights(tiny_parts.original_text_encoder, tmp_path / "models_t5.pth", wrap)
    model = load_text_encoder(path)
    assert torch.equal(embed(model), embed(tiny_parts.text_encoder))
    assert model.dtype == torch.float32
    assert model.shared.weight is model.encoder.embed_tokens.weight


def test_folder_of_diffusers_in_shards(tiny_parts, tmp_path: Path):
    tiny_parts.text_encoder.save_pretrained(tmp_path / "text_encoder", max_shard_size="20KB")
    assert len(list((tmp_path / "text_encoder").glob("*.safetensors"))) > 1
    assert torch.equal(embed(load_text_encoder(tmp_path / "text_encoder")), embed(tiny_parts.text_encoder))


@pytest.mark.parametrize("names", [("shared",), ("encoder.embed_tokens",), ("shared", "encoder.embed_tokens")])
def test_either_name_of_the_tied_embedding(tiny_parts, tmp_path: Path, names: tuple[str, ...]):
    tensors = {key: value.clone() for key, value in tiny_parts.text_encoder.state_dict().items()}
    embedding = tensors.pop("shared.weight")
    tensors.pop("encoder.embed_tokens.weight")
    save_file({**tensors, **{f"{name}.weight": embedding.clone() for name in names}}, tmp_path / "t5.safetensors")
    assert torch.equal(embed(load_text_encoder(tmp_path / "t5.safetensors")), embed(tiny_parts.text_encoder))


@pytest.mark.parametrize("scaled", [True, False])
def test_float8_of_comfyui(tiny_parts, tmp_path: Path, scaled: bool):
    tensors, meant = {}, {}
    for name, tensor in tiny_parts.text_encoder.state_dict().items():
        if name == "encoder.embed_tokens.weight":
            continue
        if ("SelfAttention." in name and "bias" not in name) or "DenseReluDense" in name:
            scale = tensor.abs().max() / 448 if scaled else torch.tensor(1.0)
            tensors[name] = (tensor / scale).to(torch.float8_e4m3fn)
            meant[name] = (tensors[name].bfloat16() * scale).bfloat16().float()
            if scaled:
                tensors[name.replace("weight", "scale_weight")] = scale
        else:
            tensors[name] = tensor.bfloat16()
            meant[name] = tensors[name].float()
    if scaled:
        tensors["scaled_fp8"] = torch.empty(0, dtype=torch.float8_e4m3fn)
    tensors["spiece_model"] = torch.zeros(999, dtype=torch.uint8)
    save_file(tensors, tmp_path / "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    model = load_text_encoder(tmp_path / "umt5_xxl_fp8_e4m3fn_scaled.safetensors")
    found = model.state_dict()
    assert {tensor.dtype for tensor in found.values()} == {torch.bfloat16}
    for name, tensor in meant.items():
        assert (found[name].float() - tensor).abs().max() <= tensor.abs().max() * 2**-8, name


def test_nothing_is_widened(tiny_parts, wan, tmp_path: Path):
    for dtype in (torch.bfloat16, torch.float16):
        tensors = {key: value.to(dtype) for key, value in tiny_parts.original_text_encoder.items()}
        model = load_text_encoder(wan.save_weights(tensors, tmp_path / f"{dtype}.pth"))
        assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}  # `wo` too
    assert model(WORDS, MASK).last_hidden_state.dtype == torch.bfloat16


@pytest.mark.parametrize("manifest", ["wan21.umt5-xxl-enc.original", "wan21.umt5-xxl.text_encoder.diffusers"])
def test_every_published_key_maps(wan, manifest: str):
    from transformers import UMT5Config, UMT5EncoderModel

    shapes = wan.manifest(manifest)
    assert len(shapes) == 242
    meta = {key: torch.empty(shape, device="meta") for key, shape in shapes.items()}
    converted = dict(convert_text_encoder(meta.items()))
    with torch.device("meta"):
        model = UMT5EncoderModel(UMT5Config(**text_encoder_config(shapes, manifest)))
    assert sum(parameter.numel() for parameter in model.parameters()) == 5_680_910_336
    converted["encoder.embed_tokens.weight"] = converted["shared.weight"]
    model.load_state_dict(converted, strict=True, assign=True)
    assert is_text_encoder(shapes)


def test_configuration_is_that_of_the_published_model(wan):
    path = Path("src/motionloom/models/configs/wan2.1-i2v-14b.json")
    published = json.loads((Path(__file__).parents[3] / path).read_text())["text_encoder"]
    found = text_encoder_config(wan.manifest("wan21.umt5-xxl-enc.original"), "t5")
    assert {key: published[key] for key in found} == found


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("blocks.3.ffn.gate.0.weight", "encoder.block.3.layer.1.DenseReluDense.wi_0.weight"),
        ("enc.blk.3.attn_rel_b.weight", "encoder.block.3.layer.0.SelfAttention.relative_attention_bias.weight"),
        ("enc.output_norm.weight", "encoder.final_layer_norm.weight"),
        ("umt5xxl.transformer.shared.weight", "shared.weight"),
        ("spiece_model", None),
        ("something.else", "something.else"),
    ],
)
def test_names(key: str, name: str | None):
    assert text_encoder_key(key) == name


def test_other_encoders_are_refused(tiny_parts, tmp_path: Path, refused):
    tensors = {key: value.clone() for key, value in tiny_parts.text_encoder.state_dict().items()}
    del tensors["encoder.embed_tokens.weight"]
    flux = {key: value for key, value in tensors.items() if "block.1.layer.0.SelfAttention.relative" not in key}
    save_file(flux, tmp_path / "t5xxl.safetensors")
    assert "T5 of another kind (150 words" in refused(load_text_encoder, tmp_path / "t5xxl.safetensors")
    tensors["encoder.block.1.layer.9.weight"] = tensors.pop("encoder.block.1.layer.1.layer_norm.weight")
    save_file(tensors, tmp_path / "odd.safetensors")
    message = refused(load_text_encoder, tmp_path / "odd.safetensors")
    assert "1 missing (encoder.block.1.layer.1.layer_norm.weight)" in message
    assert "1 unexpected (encoder.block.1.layer.9.weight)" in message
    save_file({"a": torch.zeros(2)}, tmp_path / "none.safetensors")
    assert "is no umT5 text encoder" in refused(load_text_encoder, tmp_path / "none.safetensors")


def test_gguf_names_and_values(tiny_parts, tmp_path: Path):
    gguf = pytest.importorskip("gguf")
    names = {"token_embedding.weight": "token_embd.weight", "norm.weight": "enc.output_norm.weight"}
    inside = {
        "norm1": "attn_norm", "attn.q": "attn_q", "attn.k": "attn_k", "attn.v": "attn_v", "attn.o": "attn_o",
        "pos_embedding.embedding": "attn_rel_b", "norm2": "ffn_norm", "ffn.gate.0": "ffn_gate", "ffn.fc1": "ffn_up",
        "ffn.fc2": "ffn_down",
    }  # fmt: skip
    writer = gguf.GGUFWriter(tmp_path / "umt5.gguf", "t5encoder")
    for key, tensor in tiny_parts.original_text_encoder.items():
        if key.startswith("blocks."):
            _, number, rest = key.split(".", 2)
            names[key] = f"enc.blk.{number}.{inside[rest.removesuffix('.weight')]}.weight"
        values = tensor.numpy()
        if "attn.q" in key:
            packed = gguf.quantize(values, gguf.GGMLQuantizationType.Q8_0)
            writer.add_tensor(names[key], packed, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
        else:
            writer.add_tensor(names[key], values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = load_text_encoder(tmp_path / "umt5.gguf", dtype=torch.float32).state_dict()
    for key, tensor in tiny_parts.text_encoder.state_dict().items():
        bound = tensor.abs().max() / 200 if "SelfAttention.q" in key else 0.0
        assert (found[key] - tensor).abs().max() <= bound, key


def test_sources_in_memory(tiny_parts):
    source = TensorSource.of(tiny_parts.original_text_encoder)
    assert text_encoder_config(source.shapes, source.name)["num_heads"] == 4
