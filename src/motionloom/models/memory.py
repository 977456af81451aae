"""Fitting a model into the memory that is there: five presets, one line that says what was chosen and why.

`choose` is arithmetic on what a model needs (`footprint`) and what the machine has (`Budget`); `apply` carries the plan
out with the features of diffusers (`offload`). Nothing here is measured while a model runs: the numbers are estimates,
and torch's own error names the plan and the remedies when one was too low (`out_of_memory`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from motionloom.errors import InputError
from motionloom.models.footprint import Need, need_of, need_of_card

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard

Preset = Literal["auto", "max-speed", "balanced", "low", "minimal"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
Storage = Literal["bf16", "fp8"]
Offload = Literal["model", "group", "group+disk"]

# The context of a CUDA process, its libraries' workspaces, and what the allocator cannot use; rules of thumb.
_RESERVE, _RESERVE_CPU, _FRAGMENTATION = 800_000_000, 300_000_000, 1.05
GIB = 1 << 30


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
        return cls(free, total, _free_ram() + here["cpu"], disk, name)


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


def choose(preset: str, need: Need, budget: Budget) -> Plan:
    """The fastest plan of a preset that fits; of all presets, from fast to small, for "auto".

    Args:
        preset: one of `PRESETS`.

    Raises:
        InputError: an unknown preset, or nothing that fits: what is needed, what was found, and what would help.
    """
    if preset not in PRESETS:
        raise InputError(f"memory: found {preset!r}, expected one of {', '.join(PRESETS)}")
    presets = PRESETS[1:] if preset == "auto" else [preset]
    tried: list[Plan] = []
    for name in presets:
        for plan in plans_of(name, need, on_gpu=budget.gpu_free is not None):
            peak = peak_bytes(plan, need, on_gpu=budget.gpu_free is not None)
            plan = replace(plan, peak=peak)
            if not _lacks(plan, need, budget):
                return replace(plan, reason=_reason(plan, need, budget, tried))
            tried.append(plan)
    raise InputError(_nothing_fits(preset, tried, need, budget))


def estimate(card: ModelCard) -> dict[str, int]:
    """Bytes of GPU memory by preset for a model of the catalogue at its native size; empty where not known.

    Each is the least the preset can do with; "max-speed" is everything at once.
    """
    need = need_of_card(card)
    if need is None:
        return {}
    return {
        preset: min(peak_bytes(plan, need) for plan in plans_of(preset, need)) for preset in PRESETS if preset != "auto"
    }


def plan_for(
    pipeline: Any, device: Any, *, preset: str, size: tuple[int, int], num_frames: int, batch: int = 1,
    caching: bool = False,
) -> Plan:  # fmt: skip
    """`choose` for a loaded pipeline and what ``device`` has free now; arguments as of `footprint.need_of`."""
    need = need_of(pipeline, size, num_frames, batch=batch, caching=caching)
    return choose(preset, need, Budget.measure(device, pipeline=pipeline))


def check(plan: Plan, need: Need, budget: Budget) -> None:
    """Refuse a run that a plan, made for another size maybe, has no memory for.

    Raises:
        InputError: what is needed, what was found, and what would help.
    """
    on_gpu = budget.gpu_free is not None
    here = replace(plan, peak=peak_bytes(plan, need, on_gpu=on_gpu))
    if here.peak > _capacity(budget):
        raise InputError(_nothing_fits(plan.preset, [here], need, budget))


@contextmanager
def out_of_memory(plan: Plan, need: Need) -> Iterator[None]:
    """While inside, torch's out-of-memory error becomes an `InputError` that names the plan and the remedies."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        found = " ".join(str(error).split())[:160]
        raise InputError(
            f"memory: {plan.preset} ({_describe(plan, need)}) was expected to take {_gib(plan.peak)} at "
            f"{_run(need)}, which was too little ({found}); {_remedies(plan, need, None)}"
        ) from error


def apply(plan: Plan, pipeline: Any, device: Any) -> None:
    """Put a loaded pipeline in place as a plan says; see `motionloom.models.offload`."""
    from motionloom.models.offload import apply as carry_out

    carry_out(plan, pipeline, device)


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
        stays = need.experts * one + need.vae + (0 if plan.unload_text_encoder else need.encoders)
        streams = need.largest_layer if plan.unload_text_encoder else 0
        peak = stays + max(streams, need.activations, decode)
    elif plan.offload == "model":
        # A part leaves when the next one that is in turn comes in: the text encoder is there while the VAE encodes,
        # the VAE while the transformer works. Encoding takes three quarters of what decoding does.
        peak = need.vae + max(need.largest_encoder + decode * 3 // 4, one + need.activations, decode)
    else:
        peak = need.vae + max(need.largest_layer, streamed + need.activations, decode)
    return int(peak * _FRAGMENTATION) + (_RESERVE if on_gpu else _RESERVE_CPU)


def ram_bytes(plan: Plan, need: Need) -> int:
    """Bytes of RAM that a plan for a GPU keeps weights in."""
    one = need.transformer_fp8 if plan.transformer_storage == "fp8" else need.transformer
    if plan.offload in ("model", "group"):
        return need.experts * one + need.encoders + need.vae
    if plan.offload == "group+disk":
        return 4 * need.block + 2 * need.largest_layer
    return need.encoders if plan.unload_text_encoder else 0


def disk_bytes(plan: Plan, need: Need) -> int:
    """Bytes of disk that a plan puts weights into while the model is loaded."""
    if plan.offload != "group+disk":
        return 0
    one = need.transformer_fp8 if plan.transformer_storage == "fp8" else need.transformer
    return need.experts * one + need.encoders


def _capacity(budget: Budget) -> int:
    return budget.ram_free if budget.gpu_free is None else budget.gpu_free


def _lacks(plan: Plan, need: Need, budget: Budget) -> list[str]:
    """What a plan has too little of, as words."""
    found = []
    if plan.peak > _capacity(budget):
        kind = "RAM" if budget.gpu_free is None else "GPU memory"
        found.append(f"{_gib(plan.peak)} of {kind} ({_gib(_capacity(budget))} free)")
    if budget.gpu_free is not None and ram_bytes(plan, need) > budget.ram_free:
        found.append(f"{_gib(ram_bytes(plan, need))} of RAM ({_gib(budget.ram_free)} free)")
    if disk_bytes(plan, need) > budget.disk_free:
        found.append(f"{_gib(disk_bytes(plan, need))} of disk ({_gib(budget.disk_free)} free)")
    return found


def _reason(plan: Plan, need: Need, budget: Budget, tried: Sequence[Plan]) -> str:
    where = "RAM" if budget.gpu_free is None else f"on {budget.gpu_name}"
    text = (
        f"memory {plan.preset}: {_describe(plan, need)}; about {_gib(plan.peak)} of {_gib(_capacity(budget))} free "
        f"{where} at {_run(need)}"
    )
    best: dict[str, Plan] = {}
    for other in tried:
        if other.preset not in best or other.peak < best[other.preset].peak:
            best[other.preset] = other
    best.pop(plan.preset, None)
    if not best:
        return text
    return f"{text} ({', '.join(f'{name} needs {_missing(other, need, budget)}' for name, other in best.items())})"


def _missing(plan: Plan, need: Need, budget: Budget) -> str:
    if plan.peak > _capacity(budget):
        return _gib(plan.peak)
    if ram_bytes(plan, need) > budget.ram_free:
        return f"{_gib(ram_bytes(plan, need))} of RAM"
    return f"{_gib(disk_bytes(plan, need))} of disk"


def _describe(plan: Plan, need: Need) -> str:
    fp8 = plan.transformer_storage == "fp8"
    held = need.experts * (need.transformer_fp8 if fp8 else need.transformer)
    words = [f"transformer {'in fp8' if fp8 else 'as loaded'} ({_gib(held)})"]
    words.append(
        {
            None: "all parts stay in place",
            "model": "parts take turns",
            "group": "blocks come in one by one from RAM",
            "group+disk": "blocks come in one by one from disk",
        }[plan.offload]
    )
    if plan.offload is None and plan.unload_text_encoder and need.encoders:
        words[-1] = "transformer and VAE stay, encoders come in layer by layer"
    if plan.vae_tiling:
        words.append("VAE in tiles")
    return ", ".join(words)


def _nothing_fits(preset: str, tried: Sequence[Plan], need: Need, budget: Budget) -> str:
    where = "" if budget.gpu_free is None else f" on {budget.gpu_name}"
    possible = [plan for plan in tried if plan.peak <= _capacity(budget)]
    if possible:
        lacks = list(dict.fromkeys(" and ".join(_lacks(plan, need, budget)) for plan in possible))
        text, plan = " or ".join(lacks[-2:]), possible[-1]
    else:
        plan = min(tried, key=lambda each: each.peak)
        least = "at least " if len(tried) > 1 else ""
        text = least + " and ".join(_lacks(plan, need, budget))
    return (
        f"memory: {preset} needs {text}{where} for {_run(need)} ({_describe(plan, need)}); "
        f"{_remedies(plan, need, budget)}"
    )


def _remedies(plan: Plan, need: Need, budget: Budget | None) -> str:
    """What would help, the one that changes least first."""
    found: list[str] = []
    device_is_short = budget is None or plan.peak > _capacity(budget)
    if budget is None:
        if plan.preset in PRESETS[1:-1]:
            found.append(f"--memory {PRESETS[PRESETS.index(plan.preset) + 1]}")
    else:
        fitting = _preset_that_fits(need, budget)
        if fitting is not None:
            found.append(f"--memory {fitting.preset} ({_gib(fitting.peak)})")
        elif device_is_short and (frames := _fewer_frames(plan, need, budget)):
            found.append(f"--frames {frames}")
        if ram_bytes(plan, need) > budget.ram_free:
            found.append("an fp8 or GGUF file of the transformer")
        if disk_bytes(plan, need) > budget.disk_free:
            found.append("room in the folder for temporary files, or another one named in TMPDIR")
    if device_is_short:
        found.append("a smaller --size or fewer --frames")
    found.append("ending other programs that use the memory")
    return f"what helps: {'; '.join(found)}"


def _preset_that_fits(need: Need, budget: Budget) -> Plan | None:
    on_gpu = budget.gpu_free is not None
    for preset in PRESETS[1:]:
        for plan in plans_of(preset, need, on_gpu=on_gpu):
            plan = replace(plan, peak=peak_bytes(plan, need, on_gpu=on_gpu))
            if not _lacks(plan, need, budget):
                return plan
    return None


def _fewer_frames(plan: Plan, need: Need, budget: Budget) -> int | None:
    """The most frames, 1 + a multiple of 4, that the plan has memory for; None where that is none or all of them."""
    for frames in range((need.num_frames - 2) // 4 * 4 + 1, 4, -4):
        share = ((frames - 1) // 4 + 1) / ((need.num_frames - 1) // 4 + 1)
        fewer = replace(need, activations=int(need.activations * share), num_frames=frames)
        if peak_bytes(plan, fewer, on_gpu=budget.gpu_free is not None) <= _capacity(budget):
            return frames
    return None


def _run(need: Need) -> str:
    several = f", {need.batch} videos at once" if need.batch > 1 else ""
    return f"{need.size[1]}x{need.size[0]}, {need.num_frames} frames{several}"


def _gib(count: float) -> str:
    return f"{count / GIB:.1f} GiB"


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
