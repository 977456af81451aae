"""Names of published Tora checkpoints: to those of the stock CogVideoX transformer and of the adapter beside it.

Three namings hold the same weights; all lead to the second column, in which ``traj_extractor.`` and ``fuser.`` are the
adapter's and everything else is the transformer's own.

| naming | where | extractor | fusers | transformer |
|---|---|---|---|---|
| diffusers | Alibaba's Tora_T2V_diffusers | ``traj_extractor.`` | ``fuser.{i}.`` | diffusers' names |
| sat | ``mp_rank_00_model_states.pt`` | ``traj_extractor.`` | ``mixins.adaln_layer.fuser_list.{i}.`` | `SAT_MODULES` |
| addon | ``traj_extractor.safetensors``, ``fuser.safetensors`` | none | ``{i}.`` | not in the files |

Sources: ``sat/dit_video_concat.py`` of alibaba/Tora (the twelve chunks of ``adaLN_modulations`` in the order of its
``layer_forward``), ``diffusers-version/tora/transformer_3d.py``, and ``nodes``/``model_loading.py`` of
kijai/ComfyUI-CogVideoXWrapper.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from torch import Tensor

Kind = Literal["tora", "adapter", "fuser", "traj_extractor"]
"""What weights hold of Tora: transformer and adapter, the adapter alone, or one half of it."""

ADAPTER = ("traj_extractor.", "fuser.")
"""How the adapter's names begin; all others are the transformer's."""

SAT_PREFIX = "model.diffusion_model."
"""What the transformer's names begin with in a whole SAT checkpoint; its text encoder and VAE have other prefixes."""

SAT_UNUSED = ("mixins.pos_embed.freqs_sin", "mixins.pos_embed.freqs_cos", "transformer.position_embeddings.weight")
"""Tables that diffusers computes, and one that the published program creates and never reads."""

SAT_MODULES: Mapping[str, str] = {
    "mixins.patch_embed.proj": "patch_embed.proj",
    "mixins.patch_embed.text_proj": "patch_embed.text_proj",
    "time_embed.0": "time_embedding.linear_1",
    "time_embed.2": "time_embedding.linear_2",
    "transformer.final_layernorm": "norm_final",
    "mixins.final_layer.norm_final": "norm_out.norm",
    "mixins.final_layer.adaLN_modulation.1": "norm_out.linear",
    "mixins.final_layer.linear": "proj_out",
}
"""Layers outside the blocks, SAT's names to diffusers'."""

SAT_BLOCK_MODULES: Mapping[str, str] = {
    "input_layernorm": "norm1.norm",
    "post_attention_layernorm": "norm2.norm",
    "attention.dense": "attn1.to_out.0",
    "mlp.dense_h_to_4h": "ff.net.0.proj",
    "mlp.dense_4h_to_h": "ff.net.2",
}
"""Layers of ``transformer.layers.{i}`` to those of ``transformer_blocks.{i}``."""

_POSITIONS = "mixins.pos_embed.pos_embedding"
_SAT_BLOCK = re.compile(r"transformer\.layers\.(\d+)\.(.+)\.(weight|bias)")
_SAT_MIXIN = re.compile(
    r"mixins\.adaln_layer\.(query_layernorm_list|key_layernorm_list|adaLN_modulations)\.(\d+)\.(?:1\.)?(weight|bias)"
)
_FUSER = re.compile(r"(?:.+\.)?(\d+)\.(flow_\w+\.(?:weight|bias))")
_EXTRACTOR = re.compile(r"(?:(?:.+\.)?traj_extractor\.)?((?:conv_in|body\.\d+\.(?:block|bn)[12])\.\w+)")
_INSIDE = ("attn1.to_q.weight", "attention.query_key_value.weight")

# Shift, scale and gate of the video, of the text; the attention's come before the feed-forward layer's.
_NORM1, _NORM2 = (0, 1, 2, 6, 7, 8), (3, 4, 5, 9, 10, 11)


def kind_of(keys: Iterable[str]) -> Kind | None:
    """What of Tora is among these names; None: nothing."""
    fusers = extractor = transformer = False
    for key in keys:
        fusers = fusers or key.endswith(".flow_cond_norm.weight")
        extractor = extractor or key.endswith("body.0.block1.weight")
        transformer = transformer or key.endswith(_INSIDE)
    if transformer:
        return "tora" if fusers or extractor else None
    if fusers and extractor:
        return "adapter"
    return "fuser" if fusers else "traj_extractor" if extractor else None


def is_adapter_name(name: str) -> bool:
    """Whether a name of the diffusers naming is the adapter's."""
    return name.startswith(ADAPTER)


def is_optional(name: str) -> bool:
    """Whether weights may lack it: files that were saved again often drop BatchNorm's counters, which nothing reads."""
    return name.endswith(".num_batches_tracked")


def published_names(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """(key, tensor) of any of the namings to (name, tensor) of the diffusers naming, one by one.

    Rows that SAT keeps in one tensor come as several: query, key and value; the modulation of both norms. A key that
    has no other name keeps its own. What is no part of the network (`SAT_UNUSED`) and, in a checkpoint that also holds
    other networks, what lies outside `SAT_PREFIX` is left out.
    """
    for key, tensor in tensors:
        for name, take in _targets(key):
            yield name, tensor if take is None else take(tensor)


def select_network(keys: Iterable[str]) -> list[str]:
    """The keys of the transformer and the adapter: those under `SAT_PREFIX` where there are any, else all."""
    listed = list(keys)
    inside = [key for key in listed if key.startswith(SAT_PREFIX)]
    return inside or listed


def adapter_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The arguments of ``ToraAdapter`` that the shapes of its weights show.

    Args:
        shapes: by name of the diffusers naming; both halves.

    Raises:
        KeyError: a half is missing, or is no adaptive norm.
    """
    fusers = {int(match[1]) for name in shapes if (match := re.match(r"fuser\.(\d+)\.", name))}
    bodies = {int(match[1]) for name in shapes if (match := re.match(r"traj_extractor\.body\.(\d+)\.", name))}
    channels, patches, *_ = shapes["traj_extractor.conv_in.weight"]
    return {
        "hidden_size": shapes["fuser.0.flow_cond_norm.weight"][0],
        "num_layers": len(fusers),
        "condition_channels": channels,
        "latent_channels": patches // 4,
        "patch_size": 2,
        "blocks_per_layer": max(len(bodies) // max(len(fusers), 1), 1),
        "design": "adaptive_norm",
    }


def transformer_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """The arguments of ``CogVideoXTransformer3DModel`` that the shapes of its weights show.

    What they do not show are the sizes it was trained at, and whether positions are rotary.

    Args:
        shapes: by name of the diffusers naming, adapter or not.

    Raises:
        KeyError: not all of a transformer is there. ValueError: it is none of CogVideoX 1.0.
    """
    width, channels, patch, _ = shapes["patch_embed.proj.weight"]
    head = shapes["transformer_blocks.0.attn1.norm_q.weight"][0]
    blocks = {int(match[1]) for name in shapes if (match := re.match(r"transformer_blocks\.(\d+)\.", name))}
    return {
        "num_attention_heads": width // head,
        "attention_head_dim": head,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // patch**2,
        "time_embed_dim": shapes["time_embedding.linear_1.weight"][0],
        "text_embed_dim": shapes["patch_embed.text_proj.weight"][1],
        "num_layers": len(blocks),
        "patch_size": patch,
        "use_learned_positional_embeddings": "patch_embed.pos_embedding" in shapes,
    }


def _targets(key: str) -> list[tuple[str, Callable[[Tensor], Tensor] | None]]:
    """Names of a key in the diffusers naming, each with what to take of the tensor (None: all of it)."""
    key = key.removeprefix(SAT_PREFIX)
    if key in SAT_UNUSED:
        return []
    if key == _POSITIONS:
        return [("patch_embed.pos_embedding", None)]
    if found := _FUSER.fullmatch(key):
        return [(f"fuser.{found[1]}.{found[2]}", None)]
    if found := _EXTRACTOR.fullmatch(key):
        return [(f"traj_extractor.{found[1]}", None)]
    if found := _SAT_BLOCK.fullmatch(key):
        block, layer, leaf = f"transformer_blocks.{found[1]}", found[2], found[3]
        if layer == "attention.query_key_value":
            return [(f"{block}.attn1.to_{name}.{leaf}", _rows(3, (place,))) for place, name in enumerate("qkv")]
        return [(f"{block}.{SAT_BLOCK_MODULES[layer]}.{leaf}" if layer in SAT_BLOCK_MODULES else key, None)]
    if found := _SAT_MIXIN.fullmatch(key):
        block, leaf = f"transformer_blocks.{found[2]}", found[3]
        if found[1] == "adaLN_modulations":
            norms = (("norm1", _NORM1), ("norm2", _NORM2))
            return [(f"{block}.{norm}.linear.{leaf}", _rows(12, places)) for norm, places in norms]
        return [(f"{block}.attn1.norm_{found[1][0]}.{leaf}", None)]
    layer, _, leaf = key.rpartition(".")
    return [(f"{SAT_MODULES[layer]}.{leaf}" if layer in SAT_MODULES else key, None)]


def _rows(parts: int, places: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """Takes some of so many equal parts of a tensor's rows, one after the other."""

    def take(tensor: Tensor) -> Tensor:
        import torch

        pieces = [tensor.tensor_split(parts)[place] for place in places]
        return torch.cat(pieces) if len(pieces) > 1 else pieces[0]

    return take
