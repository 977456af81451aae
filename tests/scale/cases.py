"""Runs that one process makes alone and several make together, and the program that the several run.

python cases.py OUT.safetensors NAME...      under `motionloom.scale.launch`
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.mag_cache import MagCacheConfig
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.models.nano.build import build_scheduler, build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.scale import launch
from motionloom.tracks.tracks import Tracks

Case = Callable[[Any], Tensor]
"""A run of one pipeline. Its argument opens the context that shares the pipeline, or does nothing."""

PICTURE = Image.fromarray(np.random.default_rng(0).integers(0, 255, (32, 32, 3), dtype=np.uint8))


def nano_shaped(pipeline: Any = ATIWanImageToVideoPipeline, width: int = 128) -> Any:
    """nano in its shape, with less of everything and attention that has something to say."""
    generator = torch.Generator().manual_seed(1)
    video = torch.rand(1, 3, 5, 32, 32, generator=generator) * 2 - 1
    codec = BlockCodec.fit([video], 12, wavelengths=(64.0,))
    transformer = build_transformer(codec, width=width, layers=2)
    for parameter in transformer.parameters():
        parameter.data.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
    return quiet(pipeline(None, None, codec, build_scheduler(), transformer=transformer.eval()))


def stock(pipeline: Any = WanImageToVideoPipeline, *, experts: int = 1, z_dim: int = 16, **config: Any) -> Any:
    """A tiny random pipeline of the published shape: two heads, text of 512 tokens."""
    torch.manual_seed(0)
    vae = AutoencoderKLWan(
        base_dim=2, z_dim=z_dim, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True],
        latents_mean=[0.0] * z_dim, latents_std=[1.0] * z_dim,
    )  # fmt: skip
    settings = {"in_channels": 36, "out_channels": z_dim, "image_dim": None, "added_kv_proj_dim": None, **config}
    models = [
        WanTransformer3DModel(
            num_attention_heads=2, attention_head_dim=12, text_dim=8, freq_dim=16, ffn_dim=32, num_layers=3,
            cross_attn_norm=True, rope_max_seq_len=32, **settings,
        ).eval()
        for _ in range(experts)
    ]  # fmt: skip
    scheduler = UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)
    second = {"transformer_2": models[1], "boundary_ratio": 0.8} if experts > 1 else {}
    per_token = {"expand_timesteps": True} if settings["in_channels"] == z_dim else {}
    return quiet(pipeline(None, None, vae.eval(), scheduler, transformer=models[0], **second, **per_token))


def quiet(pipeline: Any) -> Any:
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def call(pipeline: Any, *, seed: int = 0, **changes: Any) -> Tensor:
    """Latents of a small run with text that differs from branch to branch."""
    width = pipeline.transformer.config.text_dim
    text = torch.Generator().manual_seed(7)
    options: dict[str, Any] = {
        "image": PICTURE, "height": 32, "width": 32, "num_frames": 9, "num_inference_steps": 4, "guidance_scale": 2.0,
        "prompt_embeds": torch.randn(1, 512, width, generator=text),
        "negative_prompt_embeds": torch.randn(1, 512, width, generator=text),
        "generator": torch.Generator().manual_seed(seed), "output_type": "latent",
    }  # fmt: skip
    return pipeline(**{**options, **changes}).frames


def tracks() -> Tracks:
    """Three points that cross the picture in 9 frames, one of them hidden at the end."""
    time = np.linspace(0, 1, 9, dtype=np.float32)[:, None]
    start, end = np.array([[4, 4], [20, 8], [8, 28]], np.float32), np.array([[28, 20], [6, 24], [8, 4]], np.float32)
    visible = np.ones((9, 3), np.bool_)
    visible[6:, 2] = False
    points = start + time[:, :, None] * (end - start)
    return Tracks(points.astype(np.float32), visible, (32, 32), 16.0)


def ulysses_ati(share: Any) -> Tensor:
    pipeline = nano_shaped()
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0, tracks=tracks())


def ulysses_clip_tokens(share: Any) -> Tensor:
    pipeline = stock(ATIWanImageToVideoPipeline, image_dim=16, added_kv_proj_dim=24)
    features = torch.randn(1, 257, 16, generator=torch.Generator().manual_seed(3))
    pipeline.encode_image = lambda *_: features
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0, tracks=tracks())


def ulysses_time_per_token(share: Any) -> Tensor:
    pipeline = stock(in_channels=16)
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0)


def ulysses_two_experts(share: Any) -> Tensor:
    pipeline = stock(WanMoveImageToVideoPipeline, experts=2)
    with share(pipeline, guidance_scale=1.0):
        return call(pipeline, guidance_scale=1.0, tracks=tracks(), num_videos_per_prompt=2)


def ulysses_first_block_cache(share: Any) -> Tensor:
    return _cached(share, 1.0, FirstBlockCacheConfig(threshold=0.1))


def ulysses_mag_cache(share: Any) -> Tensor:
    return _cached(share, 1.0, MagCacheConfig(num_inference_steps=8, mag_ratios=[1.0, 0.99] * 4))


def cfg_first_block_cache(share: Any) -> Tensor:
    return _cached(share, 2.0, FirstBlockCacheConfig(threshold=0.1))


def _cached(share: Any, guidance_scale: float, cache: Any) -> Tensor:
    """The latents, and after them how often the last block ran for the conditional branch (process 0)."""
    pipeline = stock()
    ran = []
    pipeline.transformer.blocks[2].attn1.register_forward_hook(lambda *_: ran.append(1))
    pipeline.transformer.enable_cache(cache)
    with share(pipeline, guidance_scale=guidance_scale):
        latents = call(pipeline, guidance_scale=guidance_scale, num_inference_steps=8)
    return torch.cat([latents.flatten(), torch.tensor([float(len(ran))])])


def ulysses_offloaded(share: Any) -> Tensor:
    return _offloaded(share, 1.0)


def cfg_offloaded(share: Any) -> Tensor:
    return _offloaded(share, 2.0)


def _offloaded(share: Any, guidance_scale: float) -> Tensor:
    pipeline = stock()
    here = torch.device("cpu")
    pipeline.transformer.enable_group_offload(here, here, offload_type="block_level", num_blocks_per_group=1)
    with share(pipeline, guidance_scale=guidance_scale):
        return call(pipeline, guidance_scale=guidance_scale)


def cfg_drops_tracks(share: Any) -> Tensor:
    pipeline = nano_shaped(width=64)
    with share(pipeline):
        return call(pipeline, tracks=tracks(), drop_tracks_in_uncond=True)


def cfg_window(share: Any) -> Tensor:
    pipeline = stock(WanMoveImageToVideoPipeline)
    with share(pipeline):
        return call(pipeline, tracks=tracks(), window=(0.0, 0.5))


def cfg_two_experts(share: Any) -> Tensor:
    pipeline = stock(ATIWanImageToVideoPipeline, experts=2)
    with share(pipeline):
        return call(pipeline, tracks=tracks(), guidance_scale_2=3.0, num_videos_per_prompt=2)


def cfg_motion_guidance(share: Any) -> Tensor:
    """Three calls a step, the third of which is made by both."""
    pipeline = stock(ATIWanImageToVideoPipeline)
    with share(pipeline):
        return call(pipeline, tracks=tracks(), cfg_mode="split", motion_guidance_scale=3.0)


def cfg_time_per_token(share: Any) -> Tensor:
    pipeline = stock(in_channels=16)
    with share(pipeline):
        return call(pipeline)


def cfg_half_precision(share: Any) -> Tensor:
    pipeline = stock()
    pipeline.transformer.to(torch.bfloat16)
    with share(pipeline):
        return call(pipeline)


def cfg_without_guidance(share: Any) -> Tensor:
    """Shared as if a step made two calls, but it makes one."""
    pipeline = stock()
    with share(pipeline):
        return call(pipeline, guidance_scale=1.0)


def noise_of_the_first(share: Any) -> Tensor:
    pipeline = stock()
    with share(pipeline):
        return call(pipeline, seed=launch.rank())


def everything_left_as_found(share: Any) -> Tensor:
    """A run alone after shared ones: nothing of them is left behind."""
    pipeline = stock(experts=2)
    for scale in (1.0, 2.0):
        with share(pipeline, guidance_scale=scale):
            call(pipeline, guidance_scale=scale)
    assert not any(hook.hooks for hook in _registries(pipeline))
    assert "prepare_latents" not in vars(pipeline)
    assert all(
        getattr(getattr(module, "processor", None), "_parallel_config", None) is None
        for expert in (pipeline.transformer, pipeline.transformer_2)
        for module in expert.modules()
    )
    return call(pipeline)


def work_with_guidance(share: Any) -> Tensor:
    return _work(share, 2.0)


def work_without_guidance(share: Any) -> Tensor:
    return _work(share, 1.0)


def _work(share: Any, guidance_scale: float) -> Tensor:
    """How often a block runs in all processes together, and on how many tokens at a time."""
    pipeline = stock()
    tokens = []
    pipeline.transformer.blocks[1].ffn.register_forward_hook(lambda _, inputs, __: tokens.append(inputs[0].shape[1]))
    with share(pipeline, guidance_scale=guidance_scale):
        call(pipeline, guidance_scale=guidance_scale)
    counts = torch.tensor([len(tokens), sum(tokens)])
    if dist.is_initialized():
        dist.all_reduce(counts)
    return counts


def different_videos(share: Any) -> Tensor:
    """1 where the processes are refused."""
    pipeline, message = stock(), ""
    try:
        with share(pipeline):
            call(pipeline, num_inference_steps=2 + launch.rank())
    except InputError as error:
        message = str(error)
    return torch.tensor([float("asked for different videos" in message)])


CASES: dict[str, Case] = {
    case.__name__: case
    for case in (
        ulysses_ati, ulysses_clip_tokens, ulysses_time_per_token, ulysses_two_experts, ulysses_first_block_cache,
        ulysses_mag_cache, cfg_first_block_cache, ulysses_offloaded, cfg_offloaded, cfg_drops_tracks,
        cfg_window, cfg_two_experts, cfg_motion_guidance, cfg_time_per_token, cfg_half_precision, cfg_without_guidance,
        noise_of_the_first, everything_left_as_found, different_videos,
        work_with_guidance, work_without_guidance,
    )
}  # fmt: skip


def alone(pipeline: Any, **options: Any) -> Any:
    """The context of a run that is not shared."""
    return nullcontext()


def together(pipeline: Any, *, guidance_scale: float = 2.0) -> Any:
    from motionloom.scale import parallel

    return parallel.shared(pipeline, size=(32, 32), num_frames=9, guidance_scale=guidance_scale)


def _registries(pipeline: Any) -> list[Any]:
    experts = [pipeline.transformer, pipeline.transformer_2]
    return [module._diffusers_hook for e in experts for module in e.modules() if hasattr(module, "_diffusers_hook")]


def main() -> None:
    torch.set_num_threads(1)
    with launch.worker():
        found = {name: CASES[name](together).contiguous() for name in sys.argv[2:]}
        if launch.rank() == 0:
            save_file(found, sys.argv[1])


if __name__ == "__main__":
    main()
