"""Which Wan transformer a file holds, told by its keys and shapes.

By our own rules: diffusers takes a Wan2.2 expert for a Wan2.1 model with an image encoder, and anything it does not
know for Stable Diffusion.
"""

from __future__ import annotations

import math
import re
from typing import Literal

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.checkpoints.wan_keys import naming_of

Architecture = Literal["wan2.1-i2v-14b", "wan2.2-i2v-a14b", "wan2.2-ti2v-5b"]
"""Names the configurations in ``models/configs``; a smaller model of the same layout has the same name."""


def architecture_of(source: TensorSource) -> Architecture:
    """Which published architecture a transformer has, by its channels and its image branch.

    The high-noise and the low-noise expert of Wan2.2 look the same; only their folder or file name tells them apart.

    Raises:
        CheckpointError: text-to-video, a control variant, or no Wan transformer at all; the message says what to take.
    """
    source = transformer_part(source)
    refuse_other_models(source)
    for mark, variant in _VARIANTS.items():
        if any(mark in key for key in source.tensors):
            raise CheckpointError(
                f"{source.name}: is {variant}, which takes other inputs than a photograph; take the image-to-video "
                "model of the same family (Wan2.1-I2V-14B, Wan2.2-I2V-A14B)"
            )
    channels, outputs = channels_of(source)
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
        channels, outputs = channels_of(source)
        layers = len({match[1] for key in keys if (match := re.match(r"blocks\.(\d+)\.", key))})
        return (
            f"a Wan transformer in the names of {'the published programs' if naming == 'original' else naming} "
            f"({layers} blocks of width {dim_of(source)}, {channels} channels in, {outputs} out)"
        )
    for mark, name in _KNOWN.items():
        if any(mark in key for key in keys):
            return name
    first = ", ".join(list(keys)[:3])
    return f"nothing known here ({len(keys)} tensors: {first}{', ...' if len(keys) > 3 else ''})"


def refuse_other_models(source: TensorSource) -> None:
    """Raise `CheckpointError` unless these are tensors of some Wan transformer."""
    patch = source.tensors.get("patch_embedding.weight")
    if naming_of(source.tensors) is None or patch is None or len(patch.shape) < 4:
        raise CheckpointError(
            f"{source.name}: is no Wan transformer, it seems to be {describe(source)}; expected the weights of an "
            "image-to-video model (Wan2.1 I2V, ATI, Wan-Move, Wan2.2 I2V-A14B or TI2V-5B)"
        )


def dim_of(source: TensorSource) -> int:
    """Channels of the model."""
    return source.tensors["patch_embedding.bias"].shape[0]


def patch_of(source: TensorSource) -> tuple[int, ...]:
    """(frames, height, width) of a patch."""
    shape = source.tensors["patch_embedding.weight"].shape
    return tuple(shape[-3:]) if len(shape) == 5 else (1, *shape[-2:])


def channels_of(source: TensorSource) -> tuple[int, int]:
    """(in, out) channels of the latents."""
    weight = source.tensors["patch_embedding.weight"].shape
    bias = source.tensors.get("patch_embedding.bias")
    head = source.tensors.get("head.head.bias") or source.tensors.get("proj_out.bias")
    if bias is None or head is None:
        raise CheckpointError(
            f"{source.name}: holds {'no patch_embedding.bias' if bias is None else 'no output layer'}; the file is not "
            "whole, or one shard of several without its index: give all of them"
        )
    patch = math.prod(patch_of(source))
    return math.prod(weight) // (bias.shape[0] * patch), head.shape[0] // patch


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
