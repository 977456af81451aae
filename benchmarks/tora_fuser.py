"""What Tora costs a denoising step: a CogVideoX transformer guided through hooks beside the same one unguided.

A step with classifier-free guidance (two branches), on random weights. "published" is a plain writing-out of what the
published program does: features computed again in every call and for both branches, and all patches of the video in the
batch of a one-dimensional convolution. "features", "spatial" and "modulation" are ours, by what is kept for a run. The
runs take turns; what counts is the ratio of their best times. On a CPU that is processor time, which other work on the
machine does not add to.

Then one fuser alone, 3072 channels wide and with a quarter of the patches of 480x720, with the memory it needs; and the
multiply-adds of a full step by arithmetic.

    OMP_NUM_THREADS=1 python benchmarks/tora_fuser.py [--json FILE] [--repeats 2] [--heads 24] [--layers 2]
        [--grid 13 10 15] [--dtype float32|bfloat16] [--device cpu|cuda]

The whole of CogVideoX-5B on a GPU: --heads 48 --layers 42 --grid 13 30 45 --dtype bfloat16 --device cuda
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import torch
from _measure import measure
from _report import header, write
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.utils import logging
from torch import Tensor
from torch.nn import functional

from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.fuser import Cache, MotionFuser
from motionloom.methods.tora.hooks import attach

FULL, QUARTER = (13, 30, 45), (13, 15, 22)
WIDTH, LAYERS, TEXT, CONDITION, HEAD = 3072, 42, 226, 128, 64
CACHES: tuple[Cache, ...] = ("features", "spatial", "modulation")
# Measured once on another machine of 2 cores with 1 thread, float32, one sample; for orientation only.
PUBLISHED = "about 6 s at the full size"


def plain_fuser(fuser: MotionFuser, hidden: Tensor, feature: Tensor) -> Tensor:
    """What the published module computes, as it arranges it: tokens [B, L, C], features [B, T, c, y, x]."""
    videos, frames, _, rows, columns = feature.shape

    def series(spatial: Any, temporal: Any) -> Tensor:
        maps = spatial(feature.flatten(0, 1)).unflatten(0, (videos, frames))
        values = functional.pad(maps.permute(0, 3, 4, 2, 1).flatten(0, 2), (1, 1), mode="replicate")
        values = functional.conv1d(values, temporal.weight, temporal.bias)
        return values.unflatten(0, (videos, rows, columns)).permute(0, 4, 3, 1, 2).flatten(0, 1)

    gamma = series(fuser.flow_gamma_spatial, fuser.flow_gamma_temporal)
    beta = series(fuser.flow_beta_spatial, fuser.flow_beta_temporal)
    image = hidden.unflatten(1, (frames, rows, columns)).movedim(-1, 2).flatten(0, 1).contiguous()
    norm = fuser.flow_cond_norm
    image = image + functional.group_norm(image, norm.num_groups, norm.weight, norm.bias) * gamma + beta
    return image.unflatten(0, (videos, frames)).movedim(2, -1).flatten(1, 3)


def make(options: argparse.Namespace) -> tuple[CogVideoXTransformer3DModel, ToraAdapter, dict[str, Any], Tensor]:
    """Transformer, adapter, the arguments of a step with two branches, and motion latents."""
    frames, rows, columns = options.grid
    device, dtype = torch.device(options.device), getattr(torch, options.dtype)
    torch.manual_seed(0)
    with device:
        transformer = CogVideoXTransformer3DModel(
            num_attention_heads=options.heads,
            attention_head_dim=HEAD,
            num_layers=options.layers,
            sample_width=2 * columns,
            sample_height=2 * rows,
            sample_frames=4 * (frames - 1) + 1,
            use_rotary_positional_embeddings=True,
        )
        adapter = ToraAdapter.for_transformer(transformer)
        for parameter in adapter.fuser.parameters():
            torch.nn.init.normal_(parameter, std=0.02)
        angles = torch.rand(frames * rows * columns, HEAD)
        step = {
            "hidden_states": torch.randn(2, frames, 16, 2 * rows, 2 * columns, dtype=dtype),
            "encoder_hidden_states": torch.randn(2, TEXT, 4096, dtype=dtype),
            "timestep": torch.full((2,), 500),
            "image_rotary_emb": (angles.cos(), angles.sin()),
            "return_dict": False,
        }
        motion = torch.randn(1, 16, frames, 2 * rows, 2 * columns, dtype=dtype)
    return transformer.to(dtype).eval(), adapter.to(dtype), step, motion


def steps(options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of a step and of what is done once per run, ratios to the unguided step, difference from "published"."""
    transformer, adapter, step, motion = make(options)

    def clock() -> float:
        if options.device == "cpu":
            return time.process_time()
        torch.cuda.synchronize()
        return time.perf_counter()

    def published() -> tuple[float, float, Tensor]:
        begin = clock()
        features = adapter.features(motion.repeat(2, 1, 1, 1, 1))
        handles = [
            block.norm1.register_forward_hook(_plain_hook(fuser, feature))  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
            for block, fuser, feature in zip(transformer.transformer_blocks, adapter.fuser, features, strict=True)
        ]
        result = transformer(**step)[0]
        for handle in handles:
            handle.remove()
        return 0.0, clock() - begin, result

    def ours(cache: Cache | None) -> tuple[float, float, Tensor]:
        begin = clock()
        with attach(transformer, adapter, cache=cache or "features") as attachment:
            if cache:
                attachment.features = adapter.features(motion)
            middle = clock()
            result = transformer(**step)[0]
            return middle - begin, clock() - middle, result

    runs: dict[str, Callable[[], tuple[float, float, Tensor]]] = {
        "unguided": lambda: ours(None),
        "published": published,
    }
    runs |= {cache: lambda cache=cache: ours(cache) for cache in CACHES}
    once: dict[str, float] = dict.fromkeys(runs, float("inf"))
    best, results = dict(once), {}
    with torch.no_grad():
        for repeat in range(options.repeats + 1):
            for name in sorted(runs, reverse=bool(repeat % 2)):
                before, seconds, results[name] = runs[name]()
                if repeat:  # the first round warms up
                    once[name], best[name] = min(once[name], before), min(best[name], seconds)
    return {
        name: {
            "seconds": best[name],
            "ratio": best[name] / best["unguided"],
            "seconds_once": once[name],
            "largest_difference": float((results[name] - results["published"]).abs().max()),
        }
        for name in runs
    }


def _plain_hook(fuser: Any, feature: Tensor) -> Callable[..., tuple[Tensor, ...]]:
    return lambda module, args, output: (plain_fuser(fuser, output[0], feature), *output[1:])


def alone(repeats: int) -> dict[str, Any]:
    """One fuser for two branches, beside its plain form: processor time and memory, float32."""
    frames, rows, columns = QUARTER
    fuser = MotionFuser(WIDTH, CONDITION).eval()
    for parameter in fuser.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    hidden, feature = torch.randn(2, frames * rows * columns, WIDTH), torch.randn(1, frames, CONDITION, rows, columns)
    with torch.no_grad():
        conditions = {cache: fuser.prepare(feature, cache) for cache in CACHES}
        runs: dict[str, Callable[[], Tensor]] = {
            "plain": lambda: plain_fuser(fuser, hidden, feature.repeat(2, 1, 1, 1, 1))
        }
        runs |= {cache: lambda cache=cache: fuser(hidden, conditions[cache]) for cache in CACHES}
        found: dict[str, Any] = {}
        expected = runs["plain"]()
        for name, run in runs.items():
            _, peak, result = measure(run, 0)
            difference = float((result - expected).abs().max())
            found[name] = {"seconds": float("inf"), "peak_bytes": peak, "largest_difference": difference}
        for _ in range(repeats):
            for name, run in runs.items():
                begin = time.process_time()
                run()
                found[name]["seconds"] = min(found[name]["seconds"], time.process_time() - begin)
    for row in found.values():
        row["ratio"] = row["seconds"] / found["plain"]["seconds"]
    return {**found, "result_bytes": hidden.nbytes, "grid": QUARTER, "published_elsewhere": PUBLISHED}


def arithmetic() -> dict[str, Any]:
    """Multiply-adds of a full step with two branches, by part, and what each way adds to the unguided step."""
    patches = FULL[0] * FULL[1] * FULL[2]
    tokens = patches + TEXT
    base = 2 * LAYERS * tokens * (12 * WIDTH**2 + 2 * tokens * WIDTH)
    spatial = LAYERS * patches * 2 * 9 * CONDITION * WIDTH // 4
    temporal = LAYERS * patches * 2 * 3 * WIDTH // 4 * WIDTH
    extractor = patches * 9 * CONDITION * (64 + 4 * LAYERS * CONDITION)
    ways = {
        "published": 2 * (extractor + spatial + temporal),
        "features": spatial + temporal,
        "spatial": temporal,
        "modulation": 0,
    }
    kept = LAYERS * patches * 2  # bytes of bfloat16
    return {
        "unguided": base,
        "extractor_per_video": extractor,
        "added": {name: {"multiply_adds": value, "share": value / base} for name, value in ways.items()},
        "kept_bytes": {"features": kept * CONDITION, "spatial": kept * WIDTH // 2, "modulation": kept * 2 * WIDTH},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--heads", type=int, default=24, help=f"of {HEAD} channels")
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--grid", type=int, nargs=3, default=(13, 10, 15), metavar=("FRAMES", "ROWS", "COLUMNS"))
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    logging.set_verbosity_error()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    how: dict[str, Any] = {"threads": torch.get_num_threads()}
    if options.device == "cuda":
        how["gpu"] = torch.cuda.get_device_name()
    print(", ".join(f"{name} {value}" for name, value in (header() | how).items()))

    found = steps(options)
    print(f"a step of two branches: {options.layers} blocks, {options.heads * HEAD} wide, grid {options.grid}")
    print(f"{'run':12} {'step':>10} {'ratio':>8} {'once':>10}  difference from published")
    for name, row in found.items():
        print(
            f"{name:12} {row['seconds']:8.3f} s {row['ratio']:8.4f} {row['seconds_once']:8.3f} s  "
            f"{row['largest_difference']:.1e}"
        )
    single = alone(options.repeats)
    print(f"one fuser, grid {QUARTER}, {WIDTH} wide, two branches, float32 (published, one sample: {PUBLISHED})")
    for name in ("plain", *CACHES):
        row = single[name]
        peak = "unknown" if row["peak_bytes"] is None else f"{row['peak_bytes'] / 1e9:.2f} GB"
        print(f"{name:12} {row['seconds']:8.3f} s {row['ratio']:8.4f}  at most {peak} more")
    full = arithmetic()
    for name, row in full["added"].items():
        print(f"by arithmetic, CogVideoX-5B at 49 frames of 480x720: {name:12} adds {row['share']:.2%} to a step")
    how |= {name: getattr(options, name) for name in ("repeats", "heads", "layers", "grid", "dtype", "device")}
    write({**how, "steps": found, "fuser": single, "full_size": full}, options.json)


if __name__ == "__main__":
    main()
