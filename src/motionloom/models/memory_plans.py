"""What a machine has, and the ways to hold a model in it: presets, plans, and what each takes. Arithmetic alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from motionloom.models.footprint import Need

Preset = Literal["auto", "max-speed", "balanced", "low", "minimal"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
Storage = Literal["bf16", "fp8"]
Offload = Literal["model", "group", "group+disk"]

# The context of a CUDA process, its libraries' workspaces, and what the allocator cannot use; rules of thumb.
_RESERVE, _RESERVE_CPU, _FRAGMENTATION = 800_000_000, 300_000_000, 1.05
GIB = 1 << 30
PINNED_PIECE = 1 << 30
"""Bytes of page-locked memory that are asked for at once, for weights that wait in RAM."""


@dataclass(frozen=True)
class Budget:
    """What a machine has, in bytes.

    Attributes:
        gpu_free, gpu_total: of the GPU to be used; None: there is none, and everything happens in RAM.
        gpu_name: for messages.
        ram_free: what is free, and what the model holds of it already.
        disk_free: in the folder that weights may be put into.
    """

    gpu_free: int | None
    gpu_total: int | None
    ram_free: int
    disk_free: int
    gpu_name: str = "the GPU"

    @classmethod
    def measure(cls, device: Any, *, pipeline: Any = None, folder: str | None = None) -> Budget:
        """What is there now.

        Args:
            device: "cuda", "cuda:1", "cpu", ..., or a torch device; another kind than cuda counts as RAM.
            pipeline: a loaded one; what its parts hold counts as free, since the plan is about them.
            folder: for weights on disk; the one for temporary files where not given.
        """
        import shutil
        import tempfile

        import torch

        from motionloom.models.footprint import module_bytes
        from motionloom.scale import launch

        where = torch.device(device)
        modules = [part for part in getattr(pipeline, "components", {}).values() if isinstance(part, torch.nn.Module)]
        here = {"cpu": 0, where.type: 0}
        for module in modules:
            kind = next((tensor.device.type for tensor in module.parameters()), "cpu")
            here[kind] = here.get(kind, 0) + module_bytes(module)
        free = total = None
        name = "the GPU"
        if where.type == "cuda":
            free, total = torch.cuda.mem_get_info(where)
            free += torch.cuda.memory_reserved(where) - torch.cuda.memory_allocated(where) + here["cuda"]
            name = torch.cuda.get_device_name(where)
        disk = shutil.disk_usage(folder or tempfile.gettempdir()).free
        # Processes that share a video each hold the whole model: RAM and disk are for all of them.
        processes = launch.world()
        return cls(free, total, _free_ram() // processes + here["cpu"], disk // processes, name)


@dataclass(frozen=True)
class Plan:
    """How a model is held in memory.

    Attributes:
        preset: the one it belongs to.
        transformer_storage: "bf16" as loaded, whatever that is; "fp8": the blocks' weights in 8 bits, computed with as
            before.
        offload: None: all parts stay on the device. "model": they take turns. "group": the blocks of the transformer
            are brought in one after the other, from RAM or ("group+disk") from disk.
        vae_tiling: decode in overlapping tiles, which changes the picture a little.
        vae_slicing: decode videos of a batch one after the other.
        unload_text_encoder: text and image encoder wait in RAM and come in layer by layer.
        reason: one line: what was chosen and why.
        peak: bytes of device memory expected.
    """

    preset: Preset
    transformer_storage: Storage = "bf16"
    offload: Offload | None = None
    vae_tiling: bool = False
    vae_slicing: bool = True
    unload_text_encoder: bool = True
    reason: str = ""
    peak: int = 0


def plans_of(preset: str, need: Need, *, on_gpu: bool = True) -> list[Plan]:
    """The plans of a preset, fastest first; those in fp8 only where there is anything to make smaller."""
    fp8: Storage = "fp8" if need.transformer_fp8 < need.transformer else "bf16"
    name: Any = preset
    if not on_gpu:
        # In RAM, moving parts about wins nothing; smaller weights and the disk do.
        stays = Plan(name, unload_text_encoder=False)
        plans = {
            "low": [replace(stays, transformer_storage=fp8)],
            "minimal": [replace(stays, transformer_storage=fp8, offload="group+disk")],
        }.get(preset, [stays])
        return _whole_then_tiled(plans)
    stays, turns, streams = Plan(name), Plan(name, offload="model"), Plan(name, offload="group")
    if preset == "max-speed":
        return [Plan(name, unload_text_encoder=False, vae_slicing=False)]
    bases = {
        "balanced": [stays, turns],
        "low": [replace(stays, transformer_storage=fp8), replace(turns, transformer_storage=fp8)],
        "minimal": [
            streams,
            replace(streams, transformer_storage=fp8),
            replace(streams, transformer_storage=fp8, offload="group+disk"),
        ],
    }[preset]
    return _whole_then_tiled(bases)


def _whole_then_tiled(plans: Sequence[Plan]) -> list[Plan]:
    # Tiles show, moving weights about does not: they come last.
    return [replace(plan, vae_tiling=tiling) for tiling in (False, True) for plan in plans]


def peak_bytes(plan: Plan, need: Need, *, on_gpu: bool = True) -> int:
    """Bytes of device memory at the worst moment of a run: encoding, denoising or decoding."""
    fp8 = plan.transformer_storage == "fp8"
    one = need.transformer_fp8 if fp8 else need.transformer
    streamed = need.outside + 2 * int(need.block * one / max(need.transformer, 1))
    decode = need.decode_tiled if plan.vae_tiling else need.decode
    decode *= 1 if plan.vae_slicing else need.batch
    if plan.offload is None:
        stays = need.experts * one + need.adapter + need.vae + (0 if plan.unload_text_encoder else need.encoders)
        streams = need.largest_layer if plan.unload_text_encoder else 0
        peak = stays + max(streams, need.activations, decode)
    elif plan.offload == "model":
        # A part leaves when the next one that is in turn comes in: the text encoder is there while the VAE encodes,
        # the VAE while the transformer works. Encoding takes three quarters of what decoding does. An adapter comes in
        # when the motion is encoded, and stays to the end of the run.
        denoising = one + need.adapter + need.activations
        peak = need.vae + max(need.largest_encoder + decode * 3 // 4, denoising, need.adapter + decode)
    else:
        streamed += 2 * need.adapter_layer
        peak = need.vae + max(need.largest_layer, streamed + need.activations, decode)
        if not on_gpu:
            peak = max(peak, need.experts * one + need.adapter)  # read before they go to disk
    return int(peak * _FRAGMENTATION) + (_RESERVE if on_gpu else _RESERVE_CPU)


def ram_bytes(plan: Plan, need: Need) -> int:
    """Bytes of RAM that a plan for a GPU keeps weights in."""
    one = need.transformer_fp8 if plan.transformer_storage == "fp8" else need.transformer
    if plan.offload == "model":
        return need.experts * one + need.adapter + need.encoders + need.vae
    if plan.offload == "group":
        # Page-locked pieces have gaps, and each expert's last one may be half empty.
        return need.experts * (one + min(PINNED_PIECE, one)) + need.adapter + need.encoders + need.vae
    if plan.offload == "group+disk":
        # While it runs a few blocks are there; but the experts are read, and given their LoRAs, before they go to disk.
        return max(need.experts * one + need.adapter, need.largest_encoder) + 2 * need.block
    return need.encoders if plan.unload_text_encoder else 0


def disk_bytes(plan: Plan, need: Need) -> int:
    """Bytes of disk that a plan puts weights into while the model is loaded."""
    if plan.offload != "group+disk":
        return 0
    one = need.transformer_fp8 if plan.transformer_storage == "fp8" else need.transformer
    return need.experts * one + need.adapter + need.encoders


def capacity_of(budget: Budget) -> int:
    """Bytes of what a plan fills: GPU memory, or RAM where there is no GPU."""
    return budget.ram_free if budget.gpu_free is None else budget.gpu_free


def lacks(plan: Plan, need: Need, budget: Budget) -> list[str]:
    """What a plan has too little of, as words."""
    found = []
    if plan.peak > capacity_of(budget):
        kind = "RAM" if budget.gpu_free is None else "GPU memory"
        found.append(f"{gib(plan.peak)} of {kind} ({gib(capacity_of(budget))} free)")
    if budget.gpu_free is not None and ram_bytes(plan, need) > budget.ram_free:
        found.append(f"{gib(ram_bytes(plan, need))} of RAM ({gib(budget.ram_free)} free)")
    if disk_bytes(plan, need) > budget.disk_free:
        found.append(f"{gib(disk_bytes(plan, need))} of disk ({gib(budget.disk_free)} free)")
    return found


def gib(count: float) -> str:
    """For people: "30.5 GiB"."""
    return f"{count / GIB:.1f} GiB" if count >= 0.05 * GIB else f"{count / (1 << 20):.0f} MiB"


def _free_ram() -> int:
    """What the machine, or the container that this process is in, has left."""
    from pathlib import Path

    import psutil

    free = int(psutil.virtual_memory().available)
    try:  # control groups, version 2; files in the page cache can be given back
        group = Path("/sys/fs/cgroup")
        limit = int((group / "memory.max").read_text())
        used = int((group / "memory.current").read_text())
        cached = dict(line.split() for line in (group / "memory.stat").read_text().splitlines()).get("file", "0")
        free = min(free, limit - used + int(cached))
    except (OSError, ValueError):
        pass  # no such limit
    return max(free, 0)
