"""A tiny Wan pipeline of random weights guided by ATI, and a run of it that ends in latents."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from motionloom.tracks.tracks import Tracks


def make_transformer(seed: int = 0, layers: int = 4, *, text_dim: int = 8, ffn_dim: int = 32) -> Any:
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=36,
        out_channels=16,
        text_dim=text_dim,
        freq_dim=16,
        ffn_dim=ffn_dim,
        num_layers=layers,
        cross_attn_norm=True,
        image_dim=None,
        rope_max_seq_len=32,
    ).eval()


def make_vae() -> Any:
    from diffusers import AutoencoderKLWan

    return AutoencoderKLWan(
        base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()


def make_pipeline(experts: int = 1, layers: int = 4) -> Any:
    from diffusers import UniPCMultistepScheduler

    from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline

    torch.manual_seed(0)
    pipe = ATIWanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=make_vae(),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=make_transformer(layers=layers),
        transformer_2=make_transformer(1, layers) if experts == 2 else None,
        boundary_ratio=0.8 if experts == 2 else None,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def run(pipeline: Any, steps: int, **changes: Any) -> torch.Tensor:
    from PIL import Image

    text = torch.Generator().manual_seed(7)
    arguments = {
        "image": Image.new("RGB", (48, 32), (200, 40, 90)),
        "prompt_embeds": torch.randn(1, 16, 8, generator=text),
        "negative_prompt_embeds": torch.randn(1, 16, 8, generator=text),
        "height": 32,
        "width": 48,
        "num_frames": 9,
        "num_inference_steps": steps,
        "guidance_scale": 2.0,
        "generator": torch.Generator().manual_seed(0),
        "output_type": "latent",
    }
    return pipeline(**{**arguments, **changes}).frames


def two_tracks() -> Tracks:
    points = np.linspace([[8, 8], [20, 24]], [[40, 8], [20, 8]], 9).astype(np.float32)
    return Tracks(points, np.ones((9, 2), np.bool_), (32, 48), 16.0)
