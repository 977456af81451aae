"""What one denoising step of the 14B image-to-video model costs: plain, guided, and with each part of the fast preset.

Weights are random, which speed does not depend on; what a step cache would skip does, so here it skips a fixed part of
the steps (every other one after the first). Every run has classifier-free guidance, two passes a step. All cases run
in one process, one after the other; each writes its numbers as soon as it is done.

    python benchmarks/fast.py [--json FILE] [--shape 14b|small] [--steps 6] [--cases NAME,NAME] [--device cuda]

"14b" is Wan2.1-I2V-14B, 81 frames at 480x832, in bfloat16, and needs about 42 GB of GPU memory; "small" is for a CPU.
Peak memory is that of the denoising on the GPU, weights included, without text encoder, CLIP and VAE.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from _report import header, write
from diffusers.hooks.hooks import HookRegistry
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image

from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.wan_move.pipeline import WanMoveImageToVideoPipeline
from motionloom.models import caches
from motionloom.models.caches import CacheOptions
from motionloom.models.footprint import activation_bytes, module_bytes, token_count
from motionloom.models.offload import store_in_fp8
from motionloom.models.speed import FastOptions, apply_fast, compile_blocks, remove_fast
from motionloom.tracks.tracks import Tracks


@dataclass(frozen=True)
class Shape:
    heads: int
    head_dim: int
    ffn_dim: int
    layers: int
    size: tuple[int, int]
    frames: int
    tracks: int


SHAPES = {
    "14b": Shape(40, 128, 13_824, 40, (480, 832), 81, 100),
    "small": Shape(4, 32, 512, 4, (64, 96), 9, 20),
}
IMAGE_DIM, IMAGE_TOKENS = 1280, 257


def build(shape: Shape, device: torch.device, dtype: torch.dtype) -> Any:
    """The stock transformer with random weights in a guided pipeline, with the smallest VAE of the same latents."""
    torch.manual_seed(0)
    torch.set_default_dtype(dtype)
    try:
        with torch.device(device):
            transformer: Any = WanTransformer3DModel(
                num_attention_heads=shape.heads,
                attention_head_dim=shape.head_dim,
                in_channels=36,
                out_channels=16,
                ffn_dim=shape.ffn_dim,
                num_layers=shape.layers,
                cross_attn_norm=True,
                image_dim=IMAGE_DIM,
                added_kv_proj_dim=shape.heads * shape.head_dim,
            )
    finally:
        torch.set_default_dtype(torch.float32)
    for name, parameter in transformer.named_parameters():
        if any(part in name for part in transformer._keep_in_fp32_modules):
            parameter.data = parameter.data.float()
    transformer.requires_grad_(False).eval()
    vae: Any = AutoencoderKLWan(
        base_dim=2, z_dim=16, dim_mult=[1, 1, 1, 1], num_res_blocks=1, temperal_downsample=[False, True, True]
    )
    pipeline: Any = ATIWanImageToVideoPipeline
    pipe: Any = pipeline(
        tokenizer=None,
        text_encoder=None,
        vae=vae.eval().to(device),
        scheduler=UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0),
        transformer=transformer,
    )
    return _ready(pipe, device, dtype)


def _ready(pipe: Any, device: torch.device, dtype: torch.dtype) -> Any:
    embeds = torch.randn(1, IMAGE_TOKENS, IMAGE_DIM, generator=torch.Generator().manual_seed(1)).to(device, dtype)
    pipe.encode_image = lambda image, device=None: embeds
    pipe.set_progress_bar_config(disable=True)
    return pipe


def step_seconds(pipe: Any, shape: Shape, steps: int, **guidance: Any) -> tuple[list[float], int | None]:
    """Seconds of every step but the first, and the most bytes of GPU memory in use meanwhile."""
    device = pipe.transformer.device
    text = torch.Generator().manual_seed(7)
    marks: list[float] = []

    def after(pipe: Any, step: int, timestep: Any, kwargs: dict[str, Any]) -> dict[str, Any]:
        if device.type == "cuda":
            torch.cuda.synchronize()
            if step == 0:
                torch.cuda.reset_peak_memory_stats()
        marks.append(time.perf_counter())
        return {}

    pipe(
        image=Image.fromarray(np.random.default_rng(0).integers(0, 255, (*shape.size, 3), dtype=np.uint8)),
        prompt_embeds=torch.randn(1, 512, 4096, generator=text).to(device),
        negative_prompt_embeds=torch.randn(1, 512, 4096, generator=text).to(device),
        height=shape.size[0],
        width=shape.size[1],
        num_frames=shape.frames,
        num_inference_steps=steps,
        guidance_scale=5.0,
        generator=torch.Generator().manual_seed(0),
        output_type="latent",
        callback_on_step_end=after,
        **guidance,
    )
    peak = torch.cuda.max_memory_allocated() if device.type == "cuda" else None
    return list(np.diff(marks)), peak


def tracks_of(shape: Shape) -> Tracks:
    """Points that wander over the picture."""
    draw = np.random.default_rng(0)
    start = draw.uniform(0.2, 0.8, (1, shape.tracks, 2)) * [shape.size[1], shape.size[0]]
    points = start + np.cumsum(draw.normal(0, 2, (shape.frames, shape.tracks, 2)), axis=0)
    return Tracks(points.astype(np.float32), np.ones(points.shape[:2], np.bool_), shape.size, 16.0)


def alternate(pipe: Any, kind: str, steps: int) -> None:
    """A cache that skips every other step from the second on, whatever the weights are."""
    if kind == "mag":
        options = CacheOptions("mag", threshold=1e6, max_skip_steps=1, retention_ratio=0.0, ratios=[1.0] * steps)
        caches.enable(pipe, options)
        return
    caches.enable(pipe, CacheOptions("first-block"))
    hook: Any = HookRegistry.check_if_exists_or_initialize(pipe.transformer.blocks[0]).get_hook("fbc_leader_block_hook")
    calls: dict[str, int] = {}

    def decide(residual: Any) -> bool:
        branch = hook.state_manager.context.name
        new_run = hook.state_manager.get_state().head_block_residual is None
        calls[branch] = 0 if new_run else calls[branch] + 1
        return calls[branch] % 2 == 0

    hook._should_compute_remaining_blocks = decide


def cases(shape: Shape, steps: int, device: torch.device, dtype: torch.dtype) -> dict[str, Callable[[Any], Any]]:
    """Each prepares a pipeline, returns the one to run, and may leave it changed for those after it."""
    tracks = {"tracks": tracks_of(shape)}

    def plain(pipe: Any) -> Any:
        remove_fast(pipe)
        return pipe, {}

    def wan_move(pipe: Any) -> Any:
        other = WanMoveImageToVideoPipeline.from_pipe(pipe)
        return _ready(other, device, dtype), tracks

    def attention(pipe: Any) -> Any:
        print("  ", apply_fast(pipe, FastOptions(compile=False, cache=None))[0])
        return pipe, {}

    def cached(kind: str) -> Callable[[Any], Any]:
        def prepare(pipe: Any) -> Any:
            remove_fast(pipe)
            alternate(pipe, kind, steps)
            return pipe, {}

        return prepare

    def compiled(pipe: Any) -> Any:
        remove_fast(pipe)
        compile_blocks(pipe.transformer)
        return pipe, {}

    def together(pipe: Any) -> Any:
        print("  ", "; ".join(apply_fast(pipe, FastOptions(compile=True, cache=None))))
        alternate(pipe, "first-block", steps)
        return pipe, tracks

    def fp8(pipe: Any) -> Any:
        store_in_fp8(pipe.transformer)
        return pipe, {}

    return {
        "plain": plain,
        "ati": lambda pipe: (pipe, tracks),
        "wan_move": wan_move,
        "attention": attention,
        "first-block": cached("first-block"),
        "mag": cached("mag"),
        "compile": compiled,
        "compile+attention+first-block+ati": together,
        "fp8": fp8,
        "fp8+compile+attention+first-block+ati": together,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--shape", choices=list(SHAPES), help="default: 14b on a GPU, small elsewhere")
    parser.add_argument("--steps", type=int, default=7, help="of a run; the first is not counted")
    parser.add_argument("--cases", help="comma-separated; default all")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    name = options.shape or ("small" if device.type == "cpu" else "14b")
    shape = SHAPES[name]
    wanted = options.cases.split(",") if options.cases else None
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    facts = {"shape": name, "device": machine, "dtype": str(dtype), "steps": options.steps, "size": list(shape.size)}
    facts |= {
        "num_frames": shape.frames,
        "command": f"python benchmarks/fast.py --shape {name} --steps {options.steps}",
    }
    print(", ".join(f"{key} {value}" for key, value in {**header(), **facts}.items()))
    print(f"{'case':40} {'s/step':>9} {'of plain':>9} {'peak GB':>9}")
    results: dict[str, Any] = {}
    pipe: Any = None
    for case, prepare in cases(shape, options.steps, device, dtype).items():
        if wanted is not None and case not in wanted:
            continue
        if pipe is None or case == "fp8":
            pipe = None  # its memory first
            torch.compiler.reset()
            pipe = build(shape, device, dtype)
            if case != "fp8" and case.startswith("fp8"):
                store_in_fp8(pipe.transformer)
            width = shape.heads * shape.head_dim
            tokens = token_count(shape.size, shape.frames, (4, 8), 2)
            expected = activation_bytes(tokens, width, shape.ffn_dim, dtype.itemsize)
            facts |= {"weights": module_bytes(pipe.transformer), "estimated_activations": expected}
        runner, guidance = prepare(pipe)
        step_seconds(runner, shape, min(options.steps, 3), **guidance)  # compiling, warming up
        seconds, peak = step_seconds(runner, shape, options.steps, **guidance)
        # Half of the counted steps are skipped where there is a cache: their mean says what a step costs.
        cost = float(np.mean(seconds)) if "first-block" in case or case == "mag" else median(seconds)
        results[case] = {"seconds": seconds, "per_step": cost, "peak_bytes": peak}
        base = results.get("plain", {}).get("per_step")
        ratio = f"{cost / base:9.3f}" if base else f"{'':9}"
        print(f"{case:40} {cost:9.3f} {ratio} {peak / 1e9 if peak else float('nan'):9.2f}", flush=True)
        write({**facts, "cases": results}, options.json)


if __name__ == "__main__":
    main()
