"""A tiny CogVideoX image-to-video base: stock transformer, stock scheduler, closed-form codec, no text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers.models.modeling_utils import ModelMixin
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.schedulers.scheduling_ddim_cogvideox import CogVideoXDDIMScheduler

from motionloom.media.files import replacing_folder
from motionloom.models.nano.codec import BLOCK, CogVideoXBlockCodec
from motionloom.models.seeding import seeded
from motionloom.prepare.procedural import render, sample_scene

Transformer = Any
"""A `CogVideoXTransformer3DModel`; what diffusers decorates cannot be followed by a type checker."""

TEXT_TOKENS, TEXT_DIM = 1, 16
"""The base reads no text; its transformer gets one all-zero token of this width."""

_ANCHORS, _ANCHOR_VALUE = 4, 30.0


def build_base(
    latent_channels: int = 16,
    *,
    side: int = 64,
    num_frames: int = 9,
    heads: int = 3,
    layers: int = 4,
    image: bool = True,
    seed: int = 0,
) -> Transformer:
    """A `CogVideoXTransformer3DModel` with rotary positions, 64 channels per head and patches of 8 x 8 pixels.

    Args:
        side, num_frames: of the square clips it is trained on.
        image: also takes the photograph's latents, as CogVideoX-5B-I2V.
    """
    with seeded(seed):
        model: Transformer = CogVideoXTransformer3DModel(
            num_attention_heads=heads,
            attention_head_dim=64,
            in_channels=(2 if image else 1) * latent_channels,
            out_channels=latent_channels,
            time_embed_dim=128,
            text_embed_dim=TEXT_DIM,
            num_layers=layers,
            sample_width=side // BLOCK,
            sample_height=side // BLOCK,
            sample_frames=num_frames,
            temporal_compression_ratio=BLOCK,
            max_text_seq_length=TEXT_TOKENS,
            use_rotary_positional_embeddings=True,
        )
        _keep_amplitudes(model)
    return model


def build_scheduler() -> CogVideoXDDIMScheduler:
    """CogVideoX-5B's: v-prediction, terminal signal-to-noise ratio zero."""
    return CogVideoXDDIMScheduler(
        prediction_type="v_prediction",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        clip_sample=False,
        timestep_spacing="trailing",
    )


def fit_codec(latent_channels: int, *, seed: int, clips: int, side: int) -> CogVideoXBlockCodec:
    """The codec fitted to ``clips`` procedural clips of a data set."""
    groups = [range(start, min(start + 16, clips)) for start in range(0, clips, 16)]
    videos = [render(sample_scene(seed, group, num_frames=9, resolution=side // 2), (side, side)) for group in groups]
    return CogVideoXBlockCodec.fit([video.transpose(1, 2) * 2 - 1 for video in videos], latent_channels)


def save_base(folder: Path, transformer: Transformer, vae: ModelMixin) -> None:
    """A diffusers folder of the image-to-video or text-to-video pipeline; replaces an earlier one when complete."""
    image = transformer.config.in_channels != transformer.config.out_channels
    library = CogVideoXBlockCodec.__module__ if isinstance(vae, CogVideoXBlockCodec) else "diffusers"
    index = {
        "_class_name": "CogVideoXImageToVideoPipeline" if image else "CogVideoXPipeline",
        "transformer": ["diffusers", "CogVideoXTransformer3DModel"],
        "vae": [library, type(vae).__name__],
        "scheduler": ["diffusers", "CogVideoXDDIMScheduler"],
        "text_encoder": [None, None],
        "tokenizer": [None, None],
    }
    with replacing_folder(folder) as draft:
        transformer.save_pretrained(draft / "transformer")
        vae.save_pretrained(draft / "vae")
        build_scheduler().save_pretrained(draft / "scheduler")
        (draft / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")


@torch.no_grad()
def _keep_amplitudes(model: Transformer) -> None:
    """Weights to start from in which layer norms hardly change amplitudes, and blocks hardly change anything.

    A few large constants in every token make its deviation nearly the same as any other's, so that how strong noise
    and picture are survives to the output. Noise and photograph have channels of their own.
    """
    embed, config = model.patch_embed, model.config
    width = config.num_attention_heads * config.attention_head_dim
    weight = embed.proj.weight  # [width, channels, 2, 2]
    weight.mul_(0.1)
    corners = config.patch_size**2
    for channel in range(min(config.in_channels, (width - _ANCHORS) // corners)):
        for corner in range(corners):
            weight[channel * corners + corner] = 0
            weight[channel * corners + corner, channel, corner // 2, corner % 2] = 1.0
    anchors = torch.zeros(width)
    anchors[-_ANCHORS:] = _ANCHOR_VALUE * torch.tensor([1.0, -1.0, 1.0, -1.0])
    weight[-_ANCHORS:] = 0
    embed.proj.bias.copy_(anchors)
    embed.text_proj.weight.mul_(0.1)
    embed.text_proj.bias.copy_(anchors)
    deviation = (1.0 + anchors.square().mean()) ** 0.5
    undo = torch.where(anchors == 0, deviation, 0.0)
    model.norm_final.weight.fill_(deviation)
    model.norm_final.bias.zero_()
    for norm in (model.norm_out.norm, *(n.norm for b in model.transformer_blocks for n in (b.norm1, b.norm2))):
        norm.weight.copy_(undo)
        norm.bias.zero_()
    model.norm_out.linear.weight.mul_(0.1)
    model.norm_out.linear.bias.zero_()
    for block in model.transformer_blocks:
        for norm in (block.norm1, block.norm2):
            norm.linear.weight.mul_(0.1)
            norm.linear.bias.zero_()
            norm.linear.bias.view(6, width)[[2, 5]] = 1.0  # the gates of picture and text
        for last in (block.attn1.to_out[0], block.ff.net[2]):
            last.weight.mul_(0.1)
            last.bias.zero_()
    model.proj_out.weight.mul_(0.1)
    model.proj_out.bias.zero_()
