"""Wan transformers from any file: what they are, how large, and into diffusers' ``WanTransformer3DModel``.

Detection is by our own rules: diffusers takes a Wan2.2 expert for a Wan2.1 model with an image encoder.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.float8 import FLOAT8, Scales
from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.wan_keys import diffusers_key, naming_of

if TYPE_CHECKING:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

Architecture = Literal["wan2.1-i2v-14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b"]
"""Names the configurations in ``models/configs``; a smaller model of the same layout has the same name."""

HEAD_DIM = 128
"""Channels of an attention head in every published Wan model."""


def load_transformer(
    paths: str | Path | Sequence[str | Path] | TensorSource,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    dtype: torch.dtype | None = torch.bfloat16,
    keep_float8: bool = False,
    keep_gguf: bool = True,
    device: torch.device | str = "cpu",
    on_progress: Callable[[int, int], None] | None = None,
) -> WanTransformer3DModel:
    """The transformer in one file, several shards or a folder, in the names of the published programs or of diffusers.

    Tensors are cast one by one as they are read: memory peaks at the model's own size and a part of one file. The
    parameters that diffusers keeps in float32 (norms, time embedding, modulation) are float32, nothing else is.

    Args:
        config: of diffusers or of the published program, as a dictionary or a file; None: a ``config.json`` beside the
            weights if there is one, else read from the tensors, with heads of 128 channels.
        dtype: of the parameters; None: what most of the file is stored in, bfloat16 for float8 and GGUF.
        keep_float8: linear layers stored in float8 stay so, scales included, and are made whole for every call.
        keep_gguf: the same for GGUF; else they are made whole once, when they are read.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: files that `open_source` refuses; not an image-to-video transformer of Wan; a configuration
            the tensors do not agree with; missing, unexpected or misshaped tensors.
        MissingDependencyError: see `open_source`.
    """
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    source = paths if isinstance(paths, TensorSource) else open_source(paths)
    source = transformer_part(source)
    if config is None:
        architecture_of(source)
    found_config = config_of(source, config)
    scales = Scales(source)
    names = _names(source, scales.keys)
    model = empty(lambda: WanTransformer3DModel(**found_config))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    reshaped = _stored_without_ones(source, names, shapes)
    check_fit(
        shapes,
        {name: shapes[name] if key in reshaped else source.tensors[key].shape for key, name in names.items()},
        origin=source.name,
        guess=f"It seems to be {describe(source)}",
    )
    compute_dtype = dtype or dtype_of(source)
    layer_scales = {names[f"{layer}.weight"].removesuffix(".weight"): scale for layer, scale in scales.by_layer.items()}
    return assemble(
        model,
        (
            (names[key], tensor.reshape(shapes[names[key]]) if key in reshaped else tensor)
            for key, tensor in source
            if key in names
        ),
        dtype=compute_dtype,
        device=device,
        keep_in_fp32=WanTransformer3DModel._keep_in_fp32_modules or (),
        scales=layer_scales,
        keep_float8=keep_float8,
        keep_gguf=keep_gguf,
        compute_dtype=compute_dtype,
        on_progress=on_progress,
    ).eval()


def architecture_of(source: TensorSource) -> Architecture:
    """Which published architecture a transformer has, by its channels and its image branch.

    The high-noise and the low-noise expert of Wan2.2 look the same; only their folder or file name tells them apart.

    Raises:
        CheckpointError: text-to-video, a control variant, or no Wan transformer at all; the message says what to take.
    """
    source = transformer_part(source)
    _refuse_other_models(source)
    for mark, variant in _VARIANTS.items():
        if any(mark in key for key in source.tensors):
            raise CheckpointError(
                f"{source.name}: is {variant}, which takes other inputs than a photograph; take the image-to-video "
                "model of the same family (Wan2.1-I2V-14B, Wan2.2-I2V-A14B)"
            )
    channels, outputs = _channels(source)
    has_image_branch = any(key.startswith(("img_emb.", "condition_embedder.image_embedder.")) for key in source.tensors)
    if channels == 36 and outputs == 16:
        return "wan2.1-i2v-14b" if has_image_branch else "wan2.2-i2v-a14b"
    if channels == 48 and outputs == 48 and not has_image_branch:
        return "wan2.2-ti2v-5b"
    if channels == outputs == 16:
        raise CheckpointError(
            f"{source.name}: is a text-to-video model (16 input channels): it cannot be given a photograph, so there "
            "is nothing to move; take the image-to-video model of the same family (I2V in its name, 36 input channels)"
        )
    raise CheckpointError(
        f"{source.name}: takes {channels} channels and gives {outputs}, expected 36 and 16 (Wan2.1 I2V, Wan2.2 "
        "I2V-A14B) or 48 and 48 (Wan2.2 TI2V-5B); most likely a variant with control inputs"
    )


def config_of(source: TensorSource, given: Mapping[str, Any] | str | Path | None = None) -> dict[str, Any]:
    """The arguments of ``WanTransformer3DModel`` for these weights.

    Sizes are read from the tensors. What they do not show (the number of heads, eps) is taken from ``given``, else from
    a ``config.json`` beside the files, in diffusers' or the published programs' form, which must agree with the tensors
    in everything else; without one it is that of the published models.

    Raises:
        CheckpointError: the two do not agree, or the number of heads cannot be known.
    """
    source = transformer_part(source)
    _refuse_other_models(source)
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
    width = _dim(source)
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


def dtype_of(source: TensorSource) -> torch.dtype:
    """The type that most of the weights are stored in; bfloat16 for float8 and for quantised ones."""
    sizes: Counter[torch.dtype] = Counter()
    for info in source.tensors.values():
        plain = info.dtype.is_floating_point and info.dtype not in FLOAT8
        sizes[info.dtype if plain else torch.bfloat16] += math.prod(info.shape)
    return sizes.most_common(1)[0][0] if sizes else torch.bfloat16


def transformer_part(source: TensorSource) -> TensorSource:
    """The transformer of a ComfyUI checkpoint that holds text encoder and codec besides; any other source as it is."""
    prefix = "model.diffusion_model."
    if any(key.startswith(prefix) for key in source.tensors) and "patch_embedding.weight" not in source:
        return source.under(prefix)
    return source


def describe(source: TensorSource) -> str:
    """A guess of what weights are, in a few words."""
    keys = source.tensors
    naming = naming_of(keys)
    if naming is not None and "patch_embedding.weight" in keys and len(keys["patch_embedding.weight"].shape) > 3:
        channels, outputs = _channels(source)
        layers = len({match[1] for key in keys if (match := re.match(r"blocks\.(\d+)\.", key))})
        return (
            f"a Wan transformer in the names of {'the published programs' if naming == 'original' else naming} "
            f"({layers} blocks of width {_dim(source)}, {channels} channels in, {outputs} out)"
        )
    for mark, name in _KNOWN.items():
        if any(mark in key for key in keys):
            return name
    first = ", ".join(list(keys)[:3])
    return f"nothing known here ({len(keys)} tensors: {first}{', ...' if len(keys) > 3 else ''})"


_VARIANTS = {
    "vace_blocks.": "a Wan VACE model",
    "vace_patch_embedding.": "a Wan VACE model",
    "face_adapter.": "a Wan-Animate model",
    "motion_encoder.": "a Wan-Animate model",
    "casual_audio_encoder.": "a Wan speech-to-video model",
    "control_adapter.": "a Wan-Fun camera model",
    "ref_conv.": "a Wan-Fun control model",
}

# First match wins: what only one family has comes first.
_KNOWN = {
    "lora_": "a LoRA, not a model (give it with --lora or loras=)",
    "token_embedding.weight": "the umT5 text encoder",
    "encoder.block.0.layer.0.SelfAttention": "a T5 text encoder",
    "visual.transformer.": "the CLIP image encoder",
    "vision_model.": "a CLIP image encoder",
    "decoder.conv1.": "the Wan codec (VAE)",
    "decoder.conv_in.": "a codec (VAE)",
    "double_blocks.": "a Flux or HunyuanVideo transformer",
    "joint_blocks.": "a Stable Diffusion 3 model",
    "input_blocks.": "a Stable Diffusion or SDXL model",
    "down_blocks.": "a U-Net of diffusers",
    "transformer_blocks.": "a transformer of another family (CogVideoX, LTX, Flux)",
    "transformer.layers.": "a CogVideoX or Tora model of the SAT program",
    "blk.": "a language model in GGUF",
    "model.layers.": "a language model",
}


def _refuse_other_models(source: TensorSource) -> None:
    patch = source.tensors.get("patch_embedding.weight")
    if naming_of(source.tensors) is None or patch is None or len(patch.shape) < 4:
        raise CheckpointError(
            f"{source.name}: is no Wan transformer, it seems to be {describe(source)}; expected the weights of an "
            "image-to-video model (Wan2.1 I2V, ATI, Wan-Move, Wan2.2 I2V-A14B or TI2V-5B)"
        )


def _names(source: TensorSource, not_weights: set[str]) -> dict[str, str]:
    """diffusers' name by key."""
    original = naming_of(source.tensors) == "original"
    keys = [key for key in source.tensors if key not in not_weights]
    # A key without a name keeps its own, and is reported with the others that do not fit.
    return {key: (diffusers_key(key) or key) if original else key for key in keys}


def _stored_without_ones(
    source: TensorSource, names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> set[str]:
    """Keys of a GGUF file whose shape lost its sides of one, or had the first two merged, as its converters do."""

    def trimmed(shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(side for side in shape if side != 1)

    if not any(path.suffix == ".gguf" for path in source.files):
        return set()
    found: set[str] = set()
    for key, name in names.items():
        shape, wanted = source.tensors[key].shape, shapes.get(name, ())
        merged = (wanted[0] * wanted[1], *wanted[2:]) if len(wanted) == 5 else wanted
        if shape != wanted and trimmed(shape) in (trimmed(wanted), trimmed(merged)):
            found.add(key)
    return found


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

    channels, outputs = _channels(source)
    blocks = {int(match[1]) for key in tensors if (match := re.match(r"blocks\.(\d+)\.", key))}
    image = shape("condition_embedder.image_embedder.norm1.weight", needed=False)
    positions = shape("condition_embedder.image_embedder.pos_embed", needed=False)
    added = shape("blocks.0.attn2.add_k_proj.weight", needed=False)
    return {
        "patch_size": _patch(source),
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


def _dim(source: TensorSource) -> int:
    return source.tensors["patch_embedding.bias"].shape[0]


def _patch(source: TensorSource) -> tuple[int, ...]:
    shape = source.tensors["patch_embedding.weight"].shape
    return tuple(shape[-3:]) if len(shape) == 5 else (1, *shape[-2:])


def _channels(source: TensorSource) -> tuple[int, int]:
    """(in, out) channels of the latents."""
    weight = source.tensors["patch_embedding.weight"].shape
    bias = source.tensors.get("patch_embedding.bias")
    head = source.tensors.get("head.head.bias") or source.tensors.get("proj_out.bias")
    if bias is None or head is None:
        raise CheckpointError(
            f"{source.name}: holds {'no patch_embedding.bias' if bias is None else 'no output layer'}; the file is not "
            "whole, or one shard of several without its index: give all of them"
        )
    patch = math.prod(_patch(source))
    return math.prod(weight) // (bias.shape[0] * patch), head.shape[0] // patch


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
