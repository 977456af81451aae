"""Tiny Wan pipelines whose linear layers are those of the golden vectors, and LoRA files for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from motionloom.models.lora.names import module_name

GOLDEN = Path(__file__).parents[2] / "golden" / "circle-rotate"


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def golden() -> Path:
    return GOLDEN


@pytest.fixture(scope="session")
def transformer() -> Callable[..., Any]:
    """transformer(seed=0, layers=2, image=False, heads=2) -> a random Wan transformer of width 12 * heads."""
    from diffusers import WanTransformer3DModel

    def make(seed: int = 0, layers: int = 2, image: bool = False, heads: int = 2, channels: int = 36) -> Any:
        torch.manual_seed(seed)
        model = WanTransformer3DModel(
            patch_size=(1, 2, 2),
            num_attention_heads=heads,
            attention_head_dim=12,
            in_channels=channels,
            out_channels=16,
            text_dim=32,
            freq_dim=32,
            ffn_dim=24 * heads,
            num_layers=layers,
            cross_attn_norm=True,
            qk_norm="rms_norm_across_heads",
            image_dim=16 if image else None,
            added_kv_proj_dim=12 * heads if image else None,
            rope_max_seq_len=32,
        )
        return model.eval()

    return make


@pytest.fixture(scope="session")
def pipeline(transformer: Callable[..., Any]) -> Callable[..., Any]:
    """pipeline(transformer, transformer_2=None) -> a stock image-to-video pipeline without text encoder."""
    from diffusers import AutoencoderKLWan, UniPCMultistepScheduler, WanImageToVideoPipeline

    def make(high: Any = None, low: Any = None) -> Any:
        torch.manual_seed(0)
        vae = AutoencoderKLWan(
            base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
        ).eval()
        scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=5.0)
        pipe = WanImageToVideoPipeline(
            tokenizer=None,
            text_encoder=None,
            vae=vae,
            scheduler=scheduler,
            transformer=transformer() if high is None else high,
            transformer_2=low,
            boundary_ratio=None if low is None else 0.9,
        )
        pipe.set_progress_bar_config(disable=True)
        return pipe

    return make


@pytest.fixture(scope="session")
def output() -> Callable[[Any], torch.Tensor]:
    """What a transformer makes of one fixed input."""

    def run(model: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        generator = torch.Generator().manual_seed(5)
        inputs = torch.randn(1, model.config.in_channels, 2, 4, 4, generator=generator).to(dtype)
        text = torch.randn(1, 512, 32, generator=generator).to(dtype)
        image = torch.randn(1, 257, 16, generator=generator).to(dtype) if model.config.image_dim else None
        with torch.no_grad():
            return model(inputs, torch.tensor([500.0]), text, image, return_dict=False)[0]

    return run


@pytest.fixture(scope="session")
def weights() -> Callable[..., dict[str, torch.Tensor]]:
    """weights(case, "base." | "merged_1.") -> state dict by diffusers' names from a golden file."""

    def read(case: str, prefix: str) -> dict[str, torch.Tensor]:
        return {
            f"{module_name(key.removeprefix(prefix).removesuffix('.weight'))}.weight": value
            for key, value in load_file(GOLDEN / f"{case}_merged.safetensors").items()
            if key.startswith(prefix)
        }

    return read


@pytest.fixture
def lora_file(tmp_path: Path) -> Callable[..., Path]:
    """lora_file(name, width=24, ...) -> a musubi file with random factors that change things visibly."""

    def write(
        name: str = "style.safetensors",
        *,
        width: int = 24,
        ffn: int | None = None,
        blocks: int = 2,
        rank: int = 4,
        alpha: float = 2.0,
        seed: int = 0,
        image: bool = False,
        keep: Callable[[str], bool] = lambda module: True,
        metadata: dict[str, str] | None = None,
    ) -> Path:
        generator = torch.Generator().manual_seed(seed)
        ffn = ffn or 2 * width
        names = [f"{kind}_attn_{part}" for kind in ("self", "cross") for part in "qkvo"]
        shapes = dict.fromkeys([*names, *(["cross_attn_k_img", "cross_attn_v_img"] * image)], (width, width))
        shapes |= {"ffn_0": (ffn, width), "ffn_2": (width, ffn)}
        tensors = {}
        for block in range(blocks):
            for module, (out, inside) in shapes.items():
                stem = f"lora_unet_blocks_{block}_{module}"
                factors = (
                    torch.randn(rank, inside, generator=generator) * 0.3,
                    torch.randn(out, rank, generator=generator),
                )
                if keep(stem):
                    tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"] = factors
                    tensors[f"{stem}.alpha"] = torch.tensor(alpha)
        save_file(tensors, tmp_path / name, metadata=metadata)
        return tmp_path / name

    return write
