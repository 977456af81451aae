"""The configuration of a Wan transformer: read from its tensors, completed and checked by what lies beside them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.checkpoints.wan_architecture import (
    channels_of,
    describe,
    dim_of,
    patch_of,
    refuse_other_models,
    transformer_part,
)
from motionloom.models.checkpoints.wan_keys import diffusers_key, naming_of

HEAD_DIM = 128
"""Channels of an attention head in every published Wan model."""


def config_of(source: TensorSource, given: Mapping[str, Any] | str | Path | None = None) -> dict[str, Any]:
    """The arguments of ``WanTransformer3DModel`` for these weights.

    Sizes are read from the tensors. What they do not show (the number of heads, eps) is taken from ``given``, else from
    a ``config.json`` beside the files, in diffusers' or the published programs' form, which must agree with the tensors
    in everything else; without one it is that of the published models.

    Raises:
        CheckpointError: the two do not agree, or the number of heads cannot be known.
    """
    source = transformer_part(source)
    refuse_other_models(source)
    seen = _seen(source)
    where, known = _given(source, given)
    unlike = [
        f"{key} is {_plain(known[key])} there and {_plain(value)} in the weights"
        for key, value in seen.items()
        if key in known and _plain(known[key]) != _plain(value)
    ]
    if unlike:
        raise CheckpointError(
            f"{source.name}: the configuration {where} is of another model: {'; '.join(unlike)}. Give "
            "config= with that of these weights, or move the file with the wrong one away"
        )
    width = dim_of(source)
    heads = known.get("num_attention_heads")
    if heads is None:
        if width % HEAD_DIM:
            raise CheckpointError(
                f"{source.name}: {width} channels cannot be divided into heads of {HEAD_DIM}, so this is no published "
                "size; put its config.json beside it, or give config= with num_attention_heads"
            )
        heads = width // HEAD_DIM
    head_dim = known.get("attention_head_dim", width // heads)
    if heads * head_dim != width:
        raise CheckpointError(
            f"{source.name}: {heads} heads of {head_dim} channels ({where}) do not make the {width} channels of the "
            "weights"
        )
    rest = {"eps": 1e-6, "rope_max_seq_len": 1024}
    return {
        "num_attention_heads": heads,
        "attention_head_dim": head_dim,
        **seen,
        **{key: known.get(key, value) for key, value in rest.items()},
    }


def _seen(source: TensorSource) -> dict[str, Any]:
    """What the tensors show of the configuration, in diffusers' names."""
    tensors = source.tensors
    original = naming_of(tensors) == "original"

    def shape(key: str, needed: bool = True) -> tuple[int, ...]:
        stored = next((name for name in tensors if (diffusers_key(name) if original else name) == key), None)
        if stored is None and needed:
            raise CheckpointError(
                f"{source.name}: holds no {key}{' under either name' if original else ''}; it seems to be "
                f"{describe(source)}, expected a whole Wan transformer"
            )
        return tensors[stored].shape if stored is not None else ()

    channels, outputs = channels_of(source)
    blocks = {int(match[1]) for key in tensors if (match := re.match(r"blocks\.(\d+)\.", key))}
    image = shape("condition_embedder.image_embedder.norm1.weight", needed=False)
    positions = shape("condition_embedder.image_embedder.pos_embed", needed=False)
    added = shape("blocks.0.attn2.add_k_proj.weight", needed=False)
    return {
        "patch_size": patch_of(source),
        "in_channels": channels,
        "out_channels": outputs,
        "text_dim": shape("condition_embedder.text_embedder.linear_1.weight")[1],
        "freq_dim": shape("condition_embedder.time_embedder.linear_1.weight")[1],
        "ffn_dim": shape("blocks.0.ffn.net.0.proj.weight")[0],
        "num_layers": max(blocks, default=-1) + 1,
        "cross_attn_norm": bool(shape("blocks.0.norm2.weight", needed=False)),
        "qk_norm": "rms_norm_across_heads" if shape("blocks.0.attn1.norm_q.weight", needed=False) else None,
        "image_dim": image[0] if image else None,
        "added_kv_proj_dim": added[1] if added else None,
        "pos_embed_seq_len": positions[-2] if positions else None,
    }


def _given(source: TensorSource, given: Mapping[str, Any] | str | Path | None) -> tuple[str, dict[str, Any]]:
    """Where the configuration is from, and what it says in diffusers' names."""
    if isinstance(given, Mapping):
        return "(config=)", _in_diffusers_names(given)
    folders = {path.parent for path in source.files}
    path = (
        Path(given)
        if given is not None
        else next((f / "config.json" for f in folders if (f / "config.json").is_file()), None)
    )
    if path is None:
        return "(none)", {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is not a configuration in JSON ({error})") from error
    is_wan = isinstance(value, dict) and ("num_heads" in value or "num_attention_heads" in value)
    if given is None and not (is_wan and str(value.get("_class_name", "Wan")).startswith("Wan")):
        # A single file lies in any folder; the configuration there is its only if it speaks of such a model.
        return "(none)", {}
    if not is_wan:
        raise CheckpointError(f"{path}: is no configuration of a Wan transformer, it has no num_attention_heads")
    return str(path), _in_diffusers_names(value)


_ORIGINAL_NAMES = {
    "in_dim": "in_channels",
    "out_dim": "out_channels",
    "num_heads": "num_attention_heads",
    "num_layers": "num_layers",
    "ffn_dim": "ffn_dim",
    "freq_dim": "freq_dim",
    "text_dim": "text_dim",
    "patch_size": "patch_size",
    "cross_attn_norm": "cross_attn_norm",
    "eps": "eps",
}


def _in_diffusers_names(config: Mapping[str, Any]) -> dict[str, Any]:
    if "num_attention_heads" in config or "num_heads" not in config:
        return {key: value for key, value in config.items() if not key.startswith("_")}
    known = {new: config[old] for old, new in _ORIGINAL_NAMES.items() if old in config}
    if "dim" in config:
        known["attention_head_dim"] = config["dim"] // config["num_heads"]
    return known


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple | list) else value
