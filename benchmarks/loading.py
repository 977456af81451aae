"""Memory that loading a transformer takes, for every layout in which checkpoints are published.

A Wan transformer of a few hundred megabytes is written in each layout, and loaded in a process of its own. Its peak is
the largest resident memory while loading, less what the process held before; pages of mapped files count. The target is
a peak below the size of the model as loaded and one file as stored: then a 14B model in shards of 10 GB loads on a
machine with 10 GB more than the model takes.

    python benchmarks/loading.py [--megabytes 500] [--shards 5] [--json FILE] [--layout NAME ...]

Linux only: the peak is the kernel's own count (VmHWM).
"""

from __future__ import annotations

import argparse
import ctypes
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from _report import header, write
from safetensors.torch import save_file
from torch import Tensor

FFN = 4096
WIDTH = 1024


def build(megabytes: int) -> Any:
    """An image-to-video transformer of about this size in float32: the published layers, fewer and smaller."""
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    layer = 8 * WIDTH * WIDTH + 2 * WIDTH * FFN
    outside = 12 * WIDTH * WIDTH
    layers = max(1, round((megabytes * 1e6 / 4 - outside) / layer))
    torch.manual_seed(0)
    return WanTransformer3DModel(
        num_attention_heads=WIDTH // 128, in_channels=36, out_channels=16, ffn_dim=FFN, num_layers=layers
    )


def layouts(model: Any, folder: Path, shards: int) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """(name, folder with the files, options of `load_transformer`), written one after the other."""
    from motionloom.models.checkpoints.wan_keys import original_key, to_original

    bf16: dict[str, Any] = {"dtype": "bfloat16"}
    original = to_original(model.state_dict())
    for stored in (torch.float32, torch.bfloat16):
        name = str(stored).removeprefix("torch.")
        where = folder / f"original-{name}"
        save_shards(original, where, shards, stored)
        yield f"original, {shards} shards, {name} -> bfloat16", where, bf16
        if stored == torch.float32:
            yield f"original, {shards} shards, {name} kept", where, {"dtype": None}
        else:
            yield f"original, {shards} shards, {name} -> 8 bits", where, {**bf16, "fp8_storage": True}
    where = folder / "diffusers"
    save_shards(model.state_dict(), where, shards, torch.float32)
    yield f"diffusers, {shards} shards, float32 -> bfloat16", where, bf16
    where = folder / "one"
    save_shards(original, where, 1, torch.float32)
    yield "original, one file, float32 -> bfloat16", where, bf16
    where = folder / "torch"
    where.mkdir()
    torch.save({"state_dict": original}, where / "model.pth")
    yield "original, torch file, float32 -> bfloat16", where, bf16
    where = folder / "float8"
    where.mkdir()
    scaled: dict[str, Tensor] = {"scaled_fp8": torch.empty(2, dtype=torch.float8_e4m3fn)}
    for name, tensor in model.state_dict().items():
        key = original_key(name)
        if tensor.ndim == 2 and "blocks" in name:
            scale = tensor.abs().max() / 448
            scaled[f"{key}"] = (tensor / scale).to(torch.float8_e4m3fn)
            scaled[f"{key}".replace(".weight", ".scale_weight")] = scale
        else:
            scaled[f"{key}"] = tensor.bfloat16()
    save_file(scaled, where / "model.safetensors")
    yield "ComfyUI fp8_scaled, one file -> bfloat16", where, bf16
    yield "ComfyUI fp8_scaled, one file, float8 kept", where, {**bf16, "keep_float8": True}
    try:
        import gguf
    except ImportError:
        return
    where = folder / "gguf"
    where.mkdir()
    writer = gguf.GGUFWriter(where / "model.gguf", "wan")
    for key, tensor in original.items():
        values = tensor.numpy()
        if values.ndim == 2 and "blocks" in key:
            kind = gguf.GGMLQuantizationType.Q8_0
            writer.add_tensor(key, gguf.quantize(values, kind), raw_dtype=kind)
        else:
            writer.add_tensor(key, values)
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    yield "GGUF Q8_0, quantised kept", where, bf16
    yield "GGUF Q8_0 -> bfloat16", where, {**bf16, "keep_gguf": False}


def save_shards(tensors: dict[str, Tensor], folder: Path, shards: int, dtype: torch.dtype) -> None:
    """Shards of about the same number of bytes, with their index."""
    folder.mkdir()
    total = sum(tensor.numel() for tensor in tensors.values())
    parts: list[dict[str, Tensor]] = [{} for _ in range(shards)]
    done = 0
    for key, tensor in tensors.items():
        parts[min(done * shards // total, shards - 1)][key] = tensor.to(dtype)
        done += tensor.numel()
    weight_map: dict[str, str] = {}
    for number, part in enumerate(parts, start=1):
        name = (
            f"diffusion_pytorch_model-{number:05d}-of-{shards:05d}.safetensors" if shards > 1 else "model.safetensors"
        )
        save_file(part, folder / name)
        weight_map |= dict.fromkeys(part, name)
    if shards > 1:
        index = folder / "model.safetensors.index.json"
        index.write_text(json.dumps({"weight_map": weight_map}))


def peak_of(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """What loading takes, measured in a process of its own."""
    request = json.dumps({"folder": str(folder), **options})
    run = subprocess.run(  # noqa: S603
        [sys.executable, __file__, "--measure", request], capture_output=True, text=True, check=False
    )
    if run.returncode:
        raise SystemExit(run.stderr)
    return json.loads(run.stdout.splitlines()[-1])


def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Bytes: "peak" and "kept" over what the process held before, "model", "files", "file" (the largest)."""
    torch.set_num_threads(1)
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.wan_transformer import load_transformer

    folder = Path(request.pop("folder"))
    dtype = getattr(torch, request.pop("dtype") or "", None)
    source = open_source(folder)
    # Everything that loading imports and allocates once, on a model without data.
    load_transformer(source, dtype=dtype, device="meta", **request)
    ctypes.CDLL(None).malloc_trim(0)  # what that left with the allocator would count as room there was before
    before = resident()["VmRSS"]
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    start = time.perf_counter()
    model = load_transformer(folder, dtype=dtype, **request)
    seconds = time.perf_counter() - start
    after = resident()
    return {
        "model": sum(tensor.nbytes for tensor in model.state_dict().values()),
        "files": source.nbytes,
        "file": source.largest_file,
        "peak": after["VmHWM"] - before,
        "kept": after["VmRSS"] - before,
        "seconds": round(seconds, 2),
    }


def resident() -> dict[str, int]:
    """Resident memory of this process now and at its peak, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    found = {name: value for name, _, value in (line.partition(":") for line in lines)}
    return {name: int(found[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=500, help="of the transformer in float32")
    parser.add_argument("--shards", type=int, default=5)
    parser.add_argument("--layout", nargs="*", help="only those whose name contains one of these")
    parser.add_argument("--json", help="write the numbers to this file")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(json.loads(arguments.measure))))
        return
    found: dict[str, Any] = {}
    print("  ".join(f"{key}: {value}" for key, value in header().items()))
    print(f"{'layout':52} {'files':>7} {'model':>7} {'file':>7} {'peak':>7} {'over':>6} {'limit':>6} {'s':>6}   MB")
    with tempfile.TemporaryDirectory() as folder:
        for name, where, options in layouts(build(arguments.megabytes), Path(folder), arguments.shards):
            if arguments.layout and not any(part in name for part in arguments.layout):
                continue
            one = found[name] = peak_of(where, options)
            mb = {key: one[key] / 1e6 for key in ("files", "model", "file", "peak")}
            over = (one["peak"] - one["model"]) / 1e6
            print(
                f"{name:52} {mb['files']:7.0f} {mb['model']:7.0f} {mb['file']:7.0f} {mb['peak']:7.0f} {over:6.0f} "
                f"{mb['file']:6.0f} {one['seconds']:6.2f}{'' if over < mb['file'] else '   ABOVE THE TARGET'}"
            )
    write({"megabytes": arguments.megabytes, "shards": arguments.shards, "layouts": found}, arguments.json)


if __name__ == "__main__":
    main()
