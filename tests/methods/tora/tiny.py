"""Tiny random CogVideoX models and pipelines, Tora adapters for them, and what they are called with.

32 x 32 pixels and 9 frames are latents of 4 x 4 and 3 frames, patches of 2 x 2.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from diffusers import (
    AutoencoderKLCogVideoX,
    CogVideoXDDIMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    CogVideoXTransformer3DModel,
)
from PIL import Image
from torch import Tensor

from motionloom.methods.tora.adapter import ToraAdapter

LATENT = 4  # channels of the tiny VAE
TEXT = 4, 8  # rows and width of the text
Kind = Literal["t2v", "sincos", "i2v", "learned", "1.5"]


def transformer(kind: Kind = "t2v", heads: int = 2, layers: int = 2) -> CogVideoXTransformer3DModel:
    """A random transformer, 16 * heads wide.

    Text to video with rotary ("t2v", as 5B) or added positions ("sincos", as 2B); image to video with rotary ("i2v")
    and also learned positions ("learned", as 5B-I2V); "1.5" image to video with pairs of latent frames as patches.
    """
    torch.manual_seed(0)
    newer: dict[str, Any] = {"patch_size_t": 2, "ofs_embed_dim": 8, "patch_bias": False} if kind == "1.5" else {}
    model = CogVideoXTransformer3DModel(
        num_attention_heads=heads,
        attention_head_dim=16,
        in_channels=LATENT if kind in ("t2v", "sincos") else 2 * LATENT,
        out_channels=LATENT,
        time_embed_dim=8,
        text_embed_dim=TEXT[1],
        num_layers=layers,
        sample_width=12 if newer else 4,  # the largest in 1.5, the only one in 1.0
        sample_height=12 if newer else 4,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=TEXT[0],
        use_rotary_positional_embeddings=kind != "sincos",
        use_learned_positional_embeddings=kind == "learned",
        **newer,
    )
    return model.eval()


def adapter(
    transformer: CogVideoXTransformer3DModel, seed: int = 0, random: bool = True, condition_channels: int = 8, **of: Any
) -> ToraAdapter:
    """An adapter for the transformer: untrained, or with ``random`` such weights that it changes what is predicted."""
    made = ToraAdapter.for_transformer(transformer, condition_channels=condition_channels, **of)
    if random:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                if "bn" not in name and "norm" not in name:
                    parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    return made


def vae(newer: bool = False) -> AutoencoderKLCogVideoX:
    """A random VAE with 4 latent channels, 8 x 8 pixels and 4 frames per latent step."""
    torch.manual_seed(1)
    return AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        latent_channels=LATENT,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        invert_scale_latents=newer,
    ).eval()


def scheduler() -> CogVideoXDDIMScheduler:
    return CogVideoXDDIMScheduler(snr_shift_scale=1.0, rescale_betas_zero_snr=True, prediction_type="v_prediction")


def components(kind: Kind, heads: int = 2, layers: int = 2) -> dict[str, Any]:
    """What a pipeline is made of, without text encoder; also for subclasses of the stock pipelines."""
    return {
        "tokenizer": None,
        "text_encoder": None,
        "vae": vae(kind == "1.5"),
        "transformer": transformer(kind, heads, layers),
        "scheduler": scheduler(),
    }


def t2v(kind: Kind = "t2v", heads: int = 2, layers: int = 2) -> CogVideoXPipeline:
    pipeline = CogVideoXPipeline(**components(kind, heads, layers))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def i2v(kind: Kind = "i2v", heads: int = 2, layers: int = 2) -> CogVideoXImageToVideoPipeline:
    pipeline = CogVideoXImageToVideoPipeline(**components(kind, heads, layers))
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def inputs(kind: Kind = "t2v", batch: int = 1, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Arguments of a short run of a pipeline: 9 frames of 32 x 32, with guidance, latents as result."""
    text = torch.Generator().manual_seed(7)
    found: dict[str, Any] = {
        "prompt_embeds": torch.randn(batch, *TEXT, generator=text),
        "negative_prompt_embeds": torch.randn(batch, *TEXT, generator=text),
        "height": 32,
        "width": 32,
        "num_frames": 9,
        "num_inference_steps": 3,
        "guidance_scale": 2.0,
        "generator": torch.Generator().manual_seed(seed),
        "output_type": "latent",
    }
    if kind not in ("t2v", "sincos"):
        pixels = np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8)
        found["image"] = Image.fromarray(pixels)
    return {**found, **changes}


def motion_latents(batch: int = 1, frames: int = 3, size: tuple[int, int] = (4, 4), seed: int = 0) -> Tensor:
    """Random motion latents float32 [B, 4, T', h, w]."""
    return torch.randn(batch, LATENT, frames, *size, generator=torch.Generator().manual_seed(seed))


def call(
    model: CogVideoXTransformer3DModel, batch: int = 1, frames: int = 3, size: tuple[int, int] = (4, 4), seed: int = 0
) -> dict[str, Any]:
    """Arguments of one call of a bare transformer, which then predicts [B, T', 4, h, w]."""
    generator = torch.Generator().manual_seed(seed)
    config: Any = model.config
    found: dict[str, Any] = {
        "hidden_states": torch.randn(batch, frames, config.in_channels, *size, generator=generator),
        "encoder_hidden_states": torch.randn(batch, *TEXT, generator=generator),
        "timestep": torch.full((batch,), 500),
        "return_dict": False,
    }
    if config.use_rotary_positional_embeddings:
        tokens = frames // (config.patch_size_t or 1) * (size[0] // 2) * (size[1] // 2)
        angles = torch.rand(tokens, config.attention_head_dim // 2, generator=generator).repeat_interleave(2, 1)
        found["image_rotary_emb"] = (angles.cos(), angles.sin())
    if config.ofs_embed_dim:
        found["ofs"] = torch.full((1,), 2.0)
    return found
