"""CLIP's image tower as every program stores it, into `transformers.CLIPVisionModel`.

The original Wan file is an OpenCLIP XLM-RoBERTa + ViT-H/14 with a text tower beside it; visual-only copies drop that.
diffusers folders and ComfyUI's ``clip_vision_h`` hold transformers' names, some with the projection. The projection
and the text tower are not used: Wan reads the hidden states before the last block.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from motionloom.models.checkpoints.source import TensorSource

Shapes = Mapping[str, tuple[int, ...]]

HEAD_WIDTH = 80
"""Of ViT-H/14: 1280 channels in 16 heads. The shapes do not tell."""

UNUSED = re.compile(
    r"textual\.|text_model\.|text_projection|logit_scale|log_scale|visual_projection\.|head$|"
    r"(?:vision_model\.)?embeddings\.position_ids$"
)

HALVED = 100_000_000
"""Weights from which a float32 tower is held in float16, as the published programs compute it (``clip_dtype`` of
``wan_i2v_14B.py``); bfloat16 would round its features eight times as coarsely."""

_PATCHES = "embeddings.patch_embedding.weight"
_PREFIX = re.compile(r"^(?:model\.|module\.)?(?:visual\.|vision_model\.)?")
_ORIGINAL_BLOCK = re.compile(r"transformer\.(\d+)\.(.+)\.(weight|bias)")
_TOP = {
    "cls_embedding": "embeddings.class_embedding",
    "pos_embedding": "embeddings.position_embedding.weight",
    "patch_embedding.weight": "embeddings.patch_embedding.weight",
    "pre_norm.weight": "pre_layrnorm.weight",
    "pre_norm.bias": "pre_layrnorm.bias",
    "post_norm.weight": "post_layernorm.weight",
    "post_norm.bias": "post_layernorm.bias",
}
_IN_BLOCK = {
    "norm1": ("layer_norm1",),
    "norm2": ("layer_norm2",),
    "attn.to_qkv": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "attn.proj": ("self_attn.out_proj",),
    "mlp.0": ("mlp.fc1",),
    "mlp.2": ("mlp.fc2",),
}


def image_encoder_keys(key: str) -> tuple[str, ...]:
    """The names in `transformers.CLIPVisionModel` of a tensor of any of the files: three for queries, keys and values
    stored as one, none for what Wan does not use, the name itself where it is unknown."""
    if UNUSED.match(re.sub(r"^(?:model\.|module\.)?(?:visual\.)?", "", key)):
        return ()
    bare = _PREFIX.sub("", key, count=1)
    if bare in _TOP:
        return (_TOP[bare],)
    found = _ORIGINAL_BLOCK.fullmatch(bare)
    if found and found[2] in _IN_BLOCK:
        return tuple(f"encoder.layers.{found[1]}.{name}.{found[3]}" for name in _IN_BLOCK[found[2]])
    return (bare,)


def convert_image_encoder(named: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under their transformers names and in their shapes, as they come; what Wan does not use is left out."""
    for key, tensor in named:
        names = image_encoder_keys(key)
        for name, piece in zip(names, tensor.chunk(len(names)) if len(names) > 1 else (tensor,), strict=False):
            if name == "embeddings.class_embedding":
                piece = piece.reshape(-1)
            elif name == "embeddings.position_embedding.weight":
                piece = piece.reshape(piece.shape[-2:])
            yield name, piece


def is_image_encoder(shapes: Shapes) -> bool:
    """Whether these are the tensors of a CLIP image tower."""
    names = {name for key in shapes for name in image_encoder_keys(key)}
    return {"embeddings.class_embedding", "pre_layrnorm.weight"} <= names


def image_width(shapes: Shapes) -> int:
    """Channels of the features of an image tower, 0 if these tensors are of none."""
    return next((shape[0] for key, shape in shapes.items() if _PATCHES in image_encoder_keys(key)), 0)


def image_encoder_config(shapes: Shapes, where: str | Path, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The configuration of `transformers.CLIPVisionConfig` that these shapes have.

    Args:
        shapes: by key, of any naming.
        where: the file, for messages.
        given: the config.json beside it, for the number of heads and the activation; those of ViT-H/14 otherwise.

    Raises:
        CheckpointError: no CLIP image tower, or the configuration beside it has other sizes.
    """
    named = {name: tuple(shape) for key, shape in shapes.items() for name in image_encoder_keys(key)}
    needed = ("embeddings.class_embedding", _PATCHES, "embeddings.position_embedding.weight")
    layers = [int(found[1]) for name in named if (found := re.match(r"encoder\.layers\.(\d+)\.mlp\.fc1\.weight", name))]
    missing = [name for name in needed if name not in named]
    if missing or not layers:
        raise CheckpointError(
            f"{where}: is no CLIP image encoder: {', '.join(missing) or 'its layers'} not found; expected "
            "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth, an image_encoder folder, or clip_vision_h of "
            "ComfyUI"
        )
    width, channels, patch, _ = named[_PATCHES]
    tokens = named["embeddings.position_embedding.weight"][-2]
    first = min(layers)
    found = {
        "hidden_size": width,
        "intermediate_size": named[f"encoder.layers.{first}.mlp.fc1.weight"][0],
        "num_hidden_layers": 1 + max(layers),
        "num_channels": channels,
        "image_size": math.isqrt(tokens - 1) * patch,
        "patch_size": patch,
    }
    given = given or {}
    for name, value in found.items():
        if name in given and given[name] != value:
            raise CheckpointError(
                f"{where}: {name} is {value} in the weights and {given[name]} in the config.json beside them; one of "
                "the two is of another model"
            )
    heads = given.get("num_attention_heads", width // HEAD_WIDTH)
    if "num_attention_heads" not in given and width % HEAD_WIDTH:
        raise CheckpointError(
            f"{where}: {width} channels do not divide into heads of {HEAD_WIDTH}, as those of ViT-H/14 do; expected "
            "1280 channels, or a config.json with num_attention_heads beside the file"
        )
    return {
        **found,
        "projection_dim": 1024,
        "num_attention_heads": heads,
        "hidden_act": given.get("hidden_act", "gelu"),
        "layer_norm_eps": given.get("layer_norm_eps", 1e-5),
    }


def load_image_encoder(
    paths: str | Path | Sequence[str | Path],
    *,
    config: Mapping[str, Any] | None = None,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Any:
    """A `transformers.CLIPVisionModel` from a file, shards, or a folder with them.

    Args:
        paths: one file, the shards, or their folder.
        config: the config.json beside it, if there is one.
        dtype: of all weights; None: as stored, bfloat16 where that is fp8, and float16 where a tower of `HALVED`
            weights and more is stored in float32.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: another kind of model, or keys are missing, left over, or of another shape.
    """
    from transformers import CLIPVisionConfig, CLIPVisionModel

    from motionloom.models.checkpoints.fill import fill
    from motionloom.models.checkpoints.source import open_source

    source = open_source(paths)
    settings = CLIPVisionConfig(**image_encoder_config(source.shapes, source.name, config))
    model = fill(
        lambda: CLIPVisionModel(settings),
        source,
        convert_image_encoder,
        dtype=dtype or _held_in(source),
        device=device,
        on_progress=on_progress,
    )
    return model.eval()


def _held_in(source: TensorSource) -> torch.dtype:
    import torch

    from motionloom.models.checkpoints.wan_transformer import dtype_of

    stored = dtype_of(source)
    # Of the original file the text tower is left out: only what is held counts.
    weights = sum(math.prod(shape) for key, shape in source.shapes.items() if image_encoder_keys(key))
    return torch.float16 if stored == torch.float32 and weights >= HALVED else stored
