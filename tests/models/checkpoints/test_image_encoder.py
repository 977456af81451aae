"""CLIP's image tower from every naming: values, and every key of the published files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from motionloom.models.checkpoints.image_encoder import (
    convert_image_encoder,
    image_encoder_config,
    image_encoder_keys,
    is_image_encoder,
    load_image_encoder,
)


def look(model) -> torch.Tensor:
    """What Wan reads: the hidden states before the last block."""
    pixels = torch.randn(1, 3, 28, 28, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        return model(pixels.to(model.dtype), output_hidden_states=True).hidden_states[-2].float()


@pytest.mark.parametrize("part", ["full", "visual", "bare"])
def test_original_files_give_the_same_features(tiny_parts, wan, tmp_path: Path, part: str):
    tensors = tiny_parts.original_image_encoder
    if part != "full":
        tensors = {key: value for key, value in tensors.items() if key.startswith("visual.")}
    if part == "bare":
        tensors = {key.removeprefix("visual."): value for key, value in tensors.items()}
    model = load_image_encoder(wan.save_weights(tensors, tmp_path / "clip.pth"))
    assert torch.equal(look(model), look(tiny_parts.image_encoder))
    for key, tensor in tiny_parts.image_encoder.state_dict().items():
        assert torch.equal(model.state_dict()[key], tensor), key


@pytest.mark.parametrize("prefix", ["vision_model.", ""])
def test_transformers_names_with_what_clip_files_carry_beside(tiny_parts, tmp_path: Path, prefix: str):
    tensors = {prefix + key: value.clone() for key, value in tiny_parts.image_encoder.state_dict().items()}
    tensors["visual_projection.weight"] = torch.zeros(8, 160)
    tensors[f"{prefix}embeddings.position_ids"] = torch.arange(5)[None]
    save_file(tensors, tmp_path / "clip_vision_h.safetensors")
    model = load_image_encoder(tmp_path / "clip_vision_h.safetensors")
    assert torch.equal(look(model), look(tiny_parts.image_encoder))


def test_folder_of_diffusers_and_its_configuration(tiny_parts, tmp_path: Path):
    tiny_parts.image_encoder.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert torch.equal(look(load_image_encoder(tmp_path, config=config)), look(tiny_parts.image_encoder))
    four = load_image_encoder(tmp_path, config={**config, "num_attention_heads": 4})
    assert (look(four) - look(tiny_parts.image_encoder)).abs().max() > 1e-3


def test_stored_types_are_kept(tiny_parts, wan, tmp_path: Path):
    for dtype in (torch.float16, torch.bfloat16):
        tensors = {key: value.to(dtype) for key, value in tiny_parts.original_image_encoder.items()}
        model = load_image_encoder(wan.save_weights(tensors, tmp_path / f"{dtype}.pth"))
        assert {parameter.dtype for parameter in model.parameters()} == {dtype}
        assert (look(model) - look(tiny_parts.image_encoder)).abs().max() < 0.1


def test_large_float32_tower_is_held_in_float16(tiny_parts, wan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    tower = sum(parameter.numel() for parameter in tiny_parts.image_encoder.parameters())
    # The text tower beside it in the original file does not count.
    beside = {"textual.token_embedding.weight": torch.zeros(1000, 160)}
    path = wan.save_weights({**tiny_parts.original_image_encoder, **beside}, tmp_path / "clip.pth")
    monkeypatch.setattr("motionloom.models.checkpoints.image_encoder.HALVED", tower + 1)
    assert load_image_encoder(path).dtype == torch.float32
    monkeypatch.setattr("motionloom.models.checkpoints.image_encoder.HALVED", tower)
    half = load_image_encoder(path)
    assert {parameter.dtype for parameter in half.parameters()} == {torch.float16}
    exact = look(tiny_parts.image_encoder)
    rounded = (look(half) - exact).abs().max()
    assert 0 < rounded < (look(load_image_encoder(path, dtype=torch.bfloat16)) - exact).abs().max() / 2


def test_query_key_and_value_in_float8_with_a_scale_for_each_row(tiny_parts, tmp_path: Path):
    tensors = dict(tiny_parts.original_image_encoder)
    key = "visual.transformer.1.attn.to_qkv.weight"
    scale = tensors[key].abs().amax(1) / 448
    tensors[key] = (tensors[key] / scale[:, None]).to(torch.float8_e4m3fn)
    tensors[key.replace("weight", "scale_weight")] = scale
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "clip.safetensors")
    found = load_image_encoder(tmp_path / "clip.safetensors", dtype=torch.float32).state_dict()
    for kind in "qkv":
        name = f"encoder.layers.1.self_attn.{kind}_proj.weight"
        weight = tiny_parts.image_encoder.state_dict()[name]
        assert (found[name] - weight).abs().max() <= weight.abs().max() / 16


@pytest.mark.parametrize(
    ("manifest", "count"),
    [("wan21.clip-full.original", 784), ("wan21.clip-visual.original", 392), ("wan21.image_encoder.diffusers", 519)],
)
def test_every_published_key_maps(wan, manifest: str, count: int):
    from transformers import CLIPVisionConfig, CLIPVisionModel

    shapes = wan.manifest(manifest)
    assert len(shapes) == count
    assert is_image_encoder(shapes)
    converted = dict(convert_image_encoder((key, torch.empty(shape, device="meta")) for key, shape in shapes.items()))
    assert len(converted) == 519
    with torch.device("meta"):
        model = CLIPVisionModel(CLIPVisionConfig(**image_encoder_config(shapes, manifest)))
    model.load_state_dict(converted, strict=True, assign=True)
    targets = wan.manifest("wan21.image_encoder.diffusers")
    assert {f"vision_model.{name}": tuple(tensor.shape) for name, tensor in converted.items()} == targets
    unused = [key for key in shapes if not image_encoder_keys(key)]
    assert all(key.startswith(("textual.", "log_scale", "visual.head")) for key in unused)


def test_configuration_is_that_of_the_published_model(wan):
    path = Path(__file__).parents[3] / "src/motionloom/models/configs/wan2.1-i2v-14b.json"
    published = json.loads(path.read_text())["image_encoder"]
    found = image_encoder_config(wan.manifest("wan21.clip-full.original"), "clip")
    assert {key: published[key] for key in found} == found


def test_misfits_are_refused(tiny_parts, tmp_path: Path, refused):
    tensors = dict(tiny_parts.original_image_encoder)
    shapes = {key: tuple(value.shape) for key, value in tensors.items()}
    message = refused(image_encoder_config, shapes, "clip.pth", {"hidden_size": 1280, "patch_size": 14})
    assert "hidden_size is 160 in the weights and 1280 in the config.json" in message
    tensors["visual.extra.weight"] = torch.zeros(3)
    del tensors["visual.transformer.0.norm1.bias"]
    save_file({key: value.contiguous() for key, value in tensors.items()}, tmp_path / "odd.safetensors")
    message = refused(load_image_encoder, tmp_path / "odd.safetensors")
    assert "1 missing (encoder.layers.0.layer_norm1.bias)" in message
    assert "1 unexpected (extra.weight)" in message
    assert "no CLIP image encoder" in refused(image_encoder_config, {"a": (1,)}, "a.pth")
    odd = {**shapes, "visual.patch_embedding.weight": (170, 3, 14, 14)}
    assert "170 channels do not divide into heads of 80" in refused(
        image_encoder_config, {**odd, "visual.cls_embedding": (1, 1, 170)}, "clip.pth"
    )
