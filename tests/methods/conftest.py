"""Tiny random Wan models and golden vectors for the tests of the methods."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden():
    """Tensors and parameters of a file: golden("ati/patch_basic") -> (tensors, params)."""

    def read(name: str) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
        with safe_open(GOLDEN / f"{name}.safetensors", "pt") as file:
            metadata = file.metadata() or {}
            params = json.loads(metadata["params"]) if "params" in metadata else metadata
            return {key: file.get_tensor(key) for key in file.keys()}, params  # noqa: SIM118

    return read


def make_transformer(seed: int = 0, latent: int = 16, masks: int = 4):
    from diffusers import WanTransformer3DModel

    torch.manual_seed(seed)
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=2 * latent + masks,
        out_channels=latent,
        text_dim=8,
        freq_dim=16,
        ffn_dim=32,
        num_layers=1,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        image_dim=None,
        rope_max_seq_len=32,
    )
    return model.eval()


def make_vae():
    from diffusers import AutoencoderKLWan

    torch.manual_seed(0)
    return AutoencoderKLWan(
        base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    ).eval()


def make_scheduler():
    from diffusers import UniPCMultistepScheduler

    return UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)


@pytest.fixture(scope="session")
def base():
    """A stock pipeline of one expert with random weights, without text encoder."""
    from diffusers import WanImageToVideoPipeline

    pipe = WanImageToVideoPipeline(
        tokenizer=None, text_encoder=None, vae=make_vae(), scheduler=make_scheduler(), transformer=make_transformer()
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def base_two_experts(base):
    """The same with a second expert for the second half of the denoising."""
    from diffusers import WanImageToVideoPipeline

    pipe = WanImageToVideoPipeline(
        tokenizer=None,
        text_encoder=None,
        vae=base.vae,
        scheduler=make_scheduler(),
        transformer=base.transformer,
        transformer_2=make_transformer(seed=1),
        boundary_ratio=0.8,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="session")
def inputs():
    """Keyword arguments of a small run: inputs(batch=1, guidance_scale=2.0, ...) -> dict for a pipeline."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 255, (32, 48, 3), dtype=np.uint8)

    def make(batch: int = 1, seed: int = 0, **changes: Any) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(seed)
        text = torch.Generator().manual_seed(7)
        return {
            "image": Image.fromarray(pixels),
            "prompt_embeds": torch.randn(batch, 512, 8, generator=text),
            "negative_prompt_embeds": torch.randn(batch, 512, 8, generator=text),
            "height": 32,
            "width": 48,
            "num_frames": 9,
            "num_inference_steps": 4,
            "guidance_scale": 2.0,
            "generator": generator,
            "output_type": "latent",
            **changes,
        }

    return make
