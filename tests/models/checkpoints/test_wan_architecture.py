from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

from motionloom.models.checkpoints.configs import published_config
from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.checkpoints.wan_transformer import architecture_of, config_of, describe, load_transformer

PUBLISHED = [
    ("wan21-i2v-14b.dit.original", "wan21-i2v-14b.transformer.diffusers", "wan2.1-i2v-14b", 7, 1303),
    ("wan22-i2v-a14b.expert.original", "wan22-i2v-a14b.transformer.diffusers", "wan2.2-i2v-a14b", 6, 1095),
]


@pytest.mark.parametrize(("original", "diffusers", "architecture", "count", "tensors"), PUBLISHED)
def test_detection_and_sizes_from_keys_alone(
    wan: SimpleNamespace, original: str, diffusers: str, architecture: str, count: int, tensors: int
) -> None:
    for name in (original, diffusers):
        shapes = wan.manifest(name)
        source = TensorSource.of({key: torch.empty(shape, device="meta") for key, shape in shapes.items()})
        assert architecture_of(source) == architecture
        known = published_config(architecture, "transformer")
        del known["_class_name"]
        assert {key: list(v) if isinstance(v, tuple) else v for key, v in config_of(source).items()} == known


@pytest.mark.parametrize(
    ("key", "says"),
    [
        ("vace_blocks.0.norm3.weight", "VACE"),
        ("face_adapter.k.weight", "Animate"),
        ("control_adapter.conv.weight", "camera"),
    ],
)
def test_variants_are_refused_by_name(wan: SimpleNamespace, refused: Callable[..., str], key: str, says: str) -> None:
    tensors = wan.weights(wan.tiny()) | {key: torch.zeros(4)}
    assert says in refused(architecture_of, TensorSource.of(tensors))


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (["visual.transformer.0.attn.to_qkv.weight"], "CLIP image encoder"),
        (["token_embedding.weight", "blocks.0.attn.q.weight"], "umT5"),
        (["decoder.conv1.weight"], "codec"),
        (["input_blocks.0.0.weight"], "SDXL"),
        (["transformer_blocks.0.attn1.to_q.weight"], "another family"),
        (["diffusion_model.blocks.0.self_attn.q.lora_A.weight"], "LoRA"),
        (["something"], "nothing known here (1 tensors: something)"),
    ],
)
def test_what_another_file_seems_to_be(refused: Callable[..., str], keys: list[str], says: str) -> None:
    source = TensorSource.of(dict.fromkeys(keys, torch.zeros(4, 4)))
    assert says in describe(source)
    assert says in refused(load_transformer, source)


def test_other_channels_are_refused(wan: SimpleNamespace, refused: Callable[..., str]) -> None:
    source = TensorSource.of(wan.weights(wan.tiny(in_channels=52)))
    assert "takes 52 channels and gives 16" in refused(architecture_of, source)
