"""Names of the tensors of a Wan transformer: those of the published programs and those of diffusers, both ways."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

T = TypeVar("T")

OUTER_MODULES = {
    "patch_embedding": "patch_embedding",
    "text_embedding.0": "condition_embedder.text_embedder.linear_1",
    "text_embedding.2": "condition_embedder.text_embedder.linear_2",
    "time_embedding.0": "condition_embedder.time_embedder.linear_1",
    "time_embedding.2": "condition_embedder.time_embedder.linear_2",
    "time_projection.1": "condition_embedder.time_proj",
    "img_emb.proj.0": "condition_embedder.image_embedder.norm1",
    "img_emb.proj.1": "condition_embedder.image_embedder.ff.net.0.proj",
    "img_emb.proj.3": "condition_embedder.image_embedder.ff.net.2",
    "img_emb.proj.4": "condition_embedder.image_embedder.norm2",
    "head.head": "proj_out",
}
"""Layers outside the blocks: original name to diffusers' (wan/modules/model.py of Wan2.1, Wan2.2, ATI, Wan-Move;
diffusers 0.42 transformer_wan.py)."""

# Parameters that are no weight or bias of a layer.
_PARAMETERS = {
    "img_emb.emb_pos": "condition_embedder.image_embedder.pos_embed",
    "head.modulation": "scale_shift_table",
    "modulation": "scale_shift_table",
}

_ATTENTION = {"q": "to_q", "k": "to_k", "v": "to_v", "o": "to_out.0", "norm_q": "norm_q", "norm_k": "norm_k"}

IMAGE_MODULES = {"k_img": "add_k_proj", "v_img": "add_v_proj", "norm_k_img": "norm_added_k"}
"""Of the cross attention, in models with a CLIP image branch alone."""

BLOCK_MODULES = {
    **{f"self_attn.{old}": f"attn1.{new}" for old, new in _ATTENTION.items()},
    **{f"cross_attn.{old}": f"attn2.{new}" for old, new in {**_ATTENTION, **IMAGE_MODULES}.items()},
    # The published norm3 stands before the cross attention, which is second.
    "norm3": "norm2",
    "ffn.0": "ffn.net.0.proj",
    "ffn.2": "ffn.net.2",
}
"""Layers inside a block: original name to diffusers'."""

_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)")

Naming = Literal["original", "diffusers"]


def naming_of(keys: Iterable[str]) -> Naming | None:
    """Whose names these are; None if they are neither's, or some of each."""
    found: set[Naming] = set()
    for key in keys:
        if key.startswith(("condition_embedder.", "proj_out.")) or ".attn1." in key or ".attn2." in key:
            found.add("diffusers")
        elif key.startswith(("time_embedding.", "text_embedding.", "head.")) or ".self_attn." in key:
            found.add("original")
    return found.pop() if len(found) == 1 else None


def diffusers_key(key: str) -> str | None:
    """diffusers' name of a published one ("blocks.3.self_attn.q.weight" to "blocks.3.attn1.to_q.weight"), or of a
    layer; None if there is none."""
    return _renamed(key, OUTER_MODULES, _PARAMETERS, BLOCK_MODULES)


def original_key(key: str) -> str | None:
    """The published name of diffusers' one; None if there is none."""
    # The table of the head and those of the blocks have one name in diffusers, two in the published programs.
    parameters = {new: old for old, new in _PARAMETERS.items() if old != "modulation"}
    return _renamed(key, _back(OUTER_MODULES), parameters, _back(BLOCK_MODULES), in_block="modulation")


def to_original(tensors: Mapping[str, T]) -> dict[str, T]:
    """A state dict of diffusers' ``WanTransformer3DModel`` under the names of the published programs.

    Raises:
        KeyError: a name that is not one of that model.
    """
    renamed: dict[str, T] = {}
    for key, tensor in tensors.items():
        name = original_key(key)
        if name is None:
            raise KeyError(f"{key}: not a tensor of a Wan transformer in diffusers' names")
        renamed[name] = tensor
    return renamed


def _back(table: Mapping[str, str]) -> dict[str, str]:
    return {new: old for old, new in table.items()}


def _renamed(
    key: str,
    outside: Mapping[str, str],
    parameters: Mapping[str, str],
    inside: Mapping[str, str],
    in_block: str = "scale_shift_table",
) -> str | None:
    block = _BLOCK.fullmatch(key)
    head, rest = (f"blocks.{block[1]}.", block[2]) if block else ("", key)
    if block and rest in ("modulation", "scale_shift_table"):
        return head + in_block
    if not block and rest in parameters and rest != "modulation":
        return parameters[rest]
    table = inside if block else outside
    if rest in table:
        return head + table[rest]
    layer, _, leaf = rest.rpartition(".")
    return f"{head}{table[layer]}.{leaf}" if layer in table else None
