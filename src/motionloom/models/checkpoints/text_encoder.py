"""umT5 as every program stores it, into the encoder of transformers.

Four namings hold the same tensors: the original Wan file (``blocks.0.attn.q``), transformers
(``encoder.block.0.layer.0.SelfAttention.q``; also the ComfyUI files, plain or fp8), GGUF (``enc.blk.0.attn_q``), and
each of them behind a prefix. Every block has its own table of relative positions; that tells umT5 from T5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Shapes = Mapping[str, tuple[int, ...]]

NOT_WEIGHTS = frozenset({"spiece_model", "tokenizer_json"})
"""Tensors some ComfyUI files carry beside the weights: the bytes of the tokenizer."""

_PREFIX = re.compile(r"^(?:text_encoders?\.(?:umt5xxl\.)?|umt5xxl\.)?(?:transformer\.|model\.|module\.)?")
_BLOCK = re.compile(r"(?:blocks|enc\.blk)\.(\d+)\.(.+)\.weight")

_TOP = {
    "token_embedding.weight": "shared.weight",
    "norm.weight": "encoder.final_layer_norm.weight",
    "token_embd.weight": "shared.weight",
    "enc.output_norm.weight": "encoder.final_layer_norm.weight",
    "encoder.embed_tokens.weight": "shared.weight",
}
_IN_BLOCK = {
    "norm1": "layer.0.layer_norm",
    "attn.q": "layer.0.SelfAttention.q",
    "attn.k": "layer.0.SelfAttention.k",
    "attn.v": "layer.0.SelfAttention.v",
    "attn.o": "layer.0.SelfAttention.o",
    "pos_embedding.embedding": "layer.0.SelfAttention.relative_attention_bias",
    "norm2": "layer.1.layer_norm",
    "ffn.gate.0": "layer.1.DenseReluDense.wi_0",
    "ffn.fc1": "layer.1.DenseReluDense.wi_1",
    "ffn.fc2": "layer.1.DenseReluDense.wo",
    "attn_norm": "layer.0.layer_norm",
    "attn_q": "layer.0.SelfAttention.q",
    "attn_k": "layer.0.SelfAttention.k",
    "attn_v": "layer.0.SelfAttention.v",
    "attn_o": "layer.0.SelfAttention.o",
    "attn_rel_b": "layer.0.SelfAttention.relative_attention_bias",
    "ffn_norm": "layer.1.layer_norm",
    "ffn_gate": "layer.1.DenseReluDense.wi_0",
    "ffn_up": "layer.1.DenseReluDense.wi_1",
    "ffn_down": "layer.1.DenseReluDense.wo",
}


def text_encoder_key(key: str) -> str | None:
    """The name in `transformers.UMT5EncoderModel` of a tensor of any of the files; None for what is no weight of it."""
    bare = _PREFIX.sub("", key, count=1)
    if bare in NOT_WEIGHTS:
        return None
    if bare in _TOP:
        return _TOP[bare]
    found = _BLOCK.fullmatch(bare)
    if found and found[2] in _IN_BLOCK:
        return f"encoder.block.{found[1]}.{_IN_BLOCK[found[2]]}.weight"
    return bare


def convert_text_encoder(named: Iterable[tuple[str, Tensor]]) -> Iterator[tuple[str, Tensor]]:
    """Tensors under their transformers names, as they come; the tied embedding once, whichever name it has."""
    embedded = False
    for key, tensor in named:
        name = text_encoder_key(key)
        if name is None or (name == "shared.weight" and embedded):
            continue
        embedded = embedded or name == "shared.weight"
        yield name, tensor


def is_text_encoder(shapes: Shapes) -> bool:
    """Whether these are the tensors of a T5-like text encoder (umT5 or not)."""
    names = {text_encoder_key(key) for key in shapes}
    return {"shared.weight", "encoder.block.0.layer.0.SelfAttention.q.weight"} <= names


def text_encoder_config(shapes: Shapes, where: str | Path) -> dict[str, Any]:
    """The configuration of `transformers.UMT5Config` that these shapes have.

    Args:
        shapes: by key, of any naming.
        where: the file, for messages.

    Raises:
        CheckpointError: no umT5 encoder: another kind of T5, a decoder, or tensors are missing.
    """
    named = {name: tuple(shape) for key, shape in shapes.items() if (name := text_encoder_key(key))}
    attention = "encoder.block.0.layer.0.SelfAttention"
    dense = "encoder.block.0.layer.1.DenseReluDense"
    needed = ("shared.weight", f"{attention}.q.weight", f"{attention}.relative_attention_bias.weight")
    missing = [name for name in (*needed, f"{dense}.wi_0.weight") if name not in named]
    if missing:
        raise CheckpointError(
            f"{where}: is no umT5 text encoder: {', '.join(missing)} not found; expected "
            "models_t5_umt5-xxl-enc-bf16.pth, a text_encoder folder, or a umt5_xxl file of ComfyUI"
        )
    layers = 1 + max(int(found[1]) for name in named if (found := re.match(r"encoder\.block\.(\d+)\.", name)))
    vocabulary, width = named["shared.weight"]
    buckets, heads = named[f"{attention}.relative_attention_bias.weight"]
    second = "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"
    if layers > 1 and second not in named:
        raise CheckpointError(
            f"{where}: is a T5 of another kind ({vocabulary} words, position table in the first block only), expected "
            "umT5-xxl (256384 words, a table in every block); T5-xxl of Flux and CogVideoX does not fit Wan"
        )
    return {
        "vocab_size": vocabulary,
        "d_model": width,
        "d_kv": named[f"{attention}.q.weight"][0] // heads,
        "d_ff": named[f"{dense}.wi_0.weight"][0],
        "num_layers": layers,
        "num_decoder_layers": layers,
        "num_heads": heads,
        "relative_attention_num_buckets": buckets,
        "relative_attention_max_distance": 128,
        "feed_forward_proj": "gated-gelu",
        "layer_norm_epsilon": 1e-6,
        "tie_word_embeddings": True,
    }


def load_text_encoder(
    paths: str | Path | Sequence[str | Path],
    *,
    dtype: torch.dtype | None = None,
    device: str | torch.device = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> Any:
    """A `transformers.UMT5EncoderModel` from a file, shards, or a folder with them.

    The configuration is read off the tensors. The model is built without memory and filled tensor by tensor; nothing
    is kept in a wider type than ``dtype``, the output projections of the feed-forward neither (transformers keeps
    those in float32 for float16 alone).

    Args:
        paths: one file, the shards, or their folder.
        dtype: of all weights; None: bfloat16 for bfloat16, float16 and fp8 files (umT5 overflows float16) and for
            float32 files of a billion parameters and more, float32 for smaller ones.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: another kind of model, or keys are missing, left over, or of another shape.
    """
    import torch
    from transformers import UMT5Config, UMT5EncoderModel

    from motionloom.models.checkpoints.fill import fill, held_in
    from motionloom.models.checkpoints.source import open_source

    source = open_source(paths)
    config = UMT5Config(**text_encoder_config(source.shapes, source.name))
    model = fill(
        lambda: UMT5EncoderModel(config),
        source,
        convert_text_encoder,
        dtype=dtype or held_in(source, float16=torch.bfloat16),
        device=device,
        on_progress=on_progress,
        ignore=NOT_WEIGHTS,
        finish=_tie,
    )
    return model.eval()


def _tie(model: Any) -> None:
    """One module under both names of the embedding: what is filled once is then seen by both."""
    model.encoder.embed_tokens = model.shared
