"""Tiny random pipelines of other families, and what they are called with."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from PIL import Image


def cogvideox(version: str = "1.0"):
    """A `CogVideoXImageToVideoPipeline` without text encoder; 32 x 32 pixels, 9 or (1.5, padded) 9 frames."""
    from diffusers import (
        AutoencoderKLCogVideoX,
        CogVideoXDDIMScheduler,
        CogVideoXImageToVideoPipeline,
        CogVideoXTransformer3DModel,
    )

    torch.manual_seed(0)
    newer: dict[str, Any] = {"patch_size_t": 2, "ofs_embed_dim": 8, "patch_bias": False} if version == "1.5" else {}
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=1,
        sample_width=12 if newer else 4,  # the largest in 1.5, the only one in 1.0
        sample_height=12 if newer else 4,
        sample_frames=9,
        patch_size=2,
        temporal_compression_ratio=4,
        max_text_seq_length=4,
        use_rotary_positional_embeddings=True,
        use_learned_positional_embeddings=not newer,
        **newer,
    )
    vae = AutoencoderKLCogVideoX(
        in_channels=3,
        out_channels=3,
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=(4, 4, 4, 4),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        temporal_compression_ratio=4,
        invert_scale_latents=bool(newer),
    )
    pipe = CogVideoXImageToVideoPipeline(
        tokenizer=None,  # pyright: ignore[reportArgumentType]
        text_encoder=None,  # pyright: ignore[reportArgumentType]
        vae=vae.eval(),
        transformer=transformer.eval(),
        scheduler=CogVideoXDDIMScheduler(  # pyright: ignore[reportArgumentType]
            snr_shift_scale=1.0, rescale_betas_zero_snr=True, prediction_type="v_prediction"
        ),
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def ti2v():
    """A `WanImageToVideoPipeline` with per-token timesteps, as Wan 2.2 TI2V-5B; strides 4, 16, 16."""
    from diffusers import (
        AutoencoderKLWan,
        UniPCMultistepScheduler,
        WanImageToVideoPipeline,
        WanTransformer3DModel,
    )

    torch.manual_seed(0)
    transformer = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=16,
        out_channels=16,
        text_dim=8,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        image_dim=None,
        rope_max_seq_len=32,
    )
    vae = AutoencoderKLWan(
        base_dim=2,
        decoder_base_dim=2,
        z_dim=16,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        is_residual=True,
        patch_size=2,
        in_channels=12,
        out_channels=12,
        scale_factor_spatial=16,
    )
    pipe = WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae.eval(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0),
        transformer=transformer.eval(),
        expand_timesteps=True,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def inputs(kind: str, batch: int = 1, seed: int = 0, **changes: Any) -> dict[str, Any]:
    """Arguments of a short run of "cogvideox" (32 x 32) or "ti2v" (64 x 96), 9 frames."""
    height, width = (32, 32) if kind == "cogvideox" else (64, 96)
    rows = 4 if kind == "cogvideox" else 512
    text = torch.Generator().manual_seed(7)
    pixels = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return {
        "image": Image.fromarray(pixels),
        "prompt_embeds": torch.randn(batch, rows, 8, generator=text),
        "negative_prompt_embeds": torch.randn(batch, rows, 8, generator=text),
        "height": height,
        "width": width,
        "num_frames": 9,
        "num_inference_steps": 4,
        "guidance_scale": 2.0,
        "generator": torch.Generator().manual_seed(seed),
        "output_type": "latent",
        **changes,
    }
