"""Fitting a model into the memory that is there: five presets, one line that says what was chosen and why.

`choose` is arithmetic on what a model needs (`footprint`) and what the machine has (`Budget`); `apply` carries the plan
out with the features of diffusers (`offload`). Nothing here is measured while a model runs: the numbers are estimates,
and torch's own error names the plan and the remedies when one was too low (`out_of_memory`).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError
from motionloom.models.footprint import Need, need_of, need_of_card, need_of_shape, shape_of
from motionloom.models.memory_plans import (
    GIB,
    PRESETS,
    Budget,
    Plan,
    Preset,
    capacity_of,
    disk_bytes,
    gib,
    lacks,
    peak_bytes,
    plans_of,
    ram_bytes,
)

if TYPE_CHECKING:
    from motionloom.models.card import ModelCard
    from motionloom.models.checkpoints.source import TensorSource


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
            if not lacks(plan, need, budget):
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
    held = need
    if card.float8:
        block = need.block * need.transformer_fp8 // need.transformer
        held = replace(need, transformer=need.transformer_fp8, block=block)
    needs = {preset: need if preset == "max-speed" else held for preset in PRESETS if preset != "auto"}
    return {preset: min(peak_bytes(plan, each) for plan in plans_of(preset, each)) for preset, each in needs.items()}


def plan_ahead(
    card: ModelCard,
    transformer: TensorSource,
    device: Any,
    *,
    preset: str,
    size: tuple[int, int],
    num_frames: int,
    batch: int = 1,
    keep_float8: bool,
    itemsize: int = 2,
    caching: bool = False,
) -> Plan | None:
    """`choose` for a model whose weights are still in their files, so that RAM never holds more than the plan needs.

    Args:
        transformer: its file; of two experts one.
        size, num_frames, batch, caching: of the run; see `footprint.need_of_shape`.
        keep_float8: whether float8 weights stay so in memory.
        itemsize: bytes per weight as loaded.

    Returns:
        None for models of no published shape: small ones, which are measured when they are loaded.
    """
    shape = shape_of(card)
    if shape is None:
        return None
    need = need_of_shape(shape, size, num_frames, batch=batch, itemsize=itemsize, caching=caching)
    from motionloom.models.checkpoints.float8 import FLOAT8

    found = itemsize * sum(math.prod(info.shape) for info in transformer.tensors.values())
    # An adapter may be in the transformer's file or in one of its own.
    if not any(0.97 * held <= found <= 1.03 * held for held in (need.transformer, need.transformer + need.adapter)):
        return None
    kept = [
        info.quantization is not None or (keep_float8 and info.dtype in FLOAT8) for info in transformer.tensors.values()
    ]
    if sum(kept) > 200:  # a quantised file has some 400 such layers, others none
        share = transformer.nbytes / need.transformer
        need = replace(
            need,
            transformer=transformer.nbytes,
            transformer_fp8=transformer.nbytes,
            block=round(need.block * share),
            outside=round(need.outside * share),
        )
    return choose(preset, need, Budget.measure(device))


def plan_for(
    pipeline: Any, device: Any, *, preset: str, size: tuple[int, int], num_frames: int, batch: int = 1,
    caching: bool = False,
) -> Plan:  # fmt: skip
    """`choose` for a loaded pipeline and what ``device`` has free now; arguments as of `footprint.need_of`."""
    need = need_of(pipeline, size, num_frames, batch=batch, caching=caching)
    return choose(preset, need, Budget.measure(device, pipeline=pipeline))


@contextmanager
def fitting(
    plan: Plan | None,
    pipeline: Any,
    size: tuple[int, int],
    num_frames: int,
    *,
    windows: Sequence[slice] | None = None,
    batch: int = 1,
) -> Iterator[None]:
    """One run of a pipeline that a plan is in force for: `check` before it, `out_of_memory` around it.

    Args:
        plan: None: nothing is planned, nothing is refused.
        size, num_frames, windows, batch: of the run; see `footprint.need_of`.
    """
    if plan is None:
        yield
        return
    caching = bool(getattr(pipeline.transformer, "is_cache_enabled", False))
    need = need_of(pipeline, size, num_frames, windows=windows, batch=batch, caching=caching)
    check(plan, need, Budget.measure(pipeline._execution_device, pipeline=pipeline))
    with out_of_memory(plan, need):
        yield


def check(plan: Plan, need: Need, budget: Budget) -> None:
    """Refuse a run that a plan, made for another size maybe, has no memory for.

    Raises:
        InputError: what is needed, what was found, and what would help.
    """
    on_gpu = budget.gpu_free is not None
    here = replace(plan, peak=peak_bytes(plan, need, on_gpu=on_gpu))
    if here.peak > capacity_of(budget):
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
            f"memory: {plan.preset} ({_describe(plan, need)}) was expected to take {gib(plan.peak)} at "
            f"{_run(need)}, which was too little ({found}); {_remedies(plan, need, None)}"
        ) from error


def apply(plan: Plan, pipeline: Any, device: Any, *, placed: Collection[str] = ()) -> None:
    """Put a loaded pipeline in place as a plan says; see `motionloom.models.offload`."""
    from motionloom.models.offload import apply as carry_out

    carry_out(plan, pipeline, device, placed=placed)


def _reason(plan: Plan, need: Need, budget: Budget, tried: Sequence[Plan]) -> str:
    where = "RAM" if budget.gpu_free is None else f"on {budget.gpu_name}"
    text = (
        f"{plan.preset}: {_describe(plan, need)}; about {gib(plan.peak)} of {gib(capacity_of(budget))} free "
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
    if plan.peak > capacity_of(budget):
        return gib(plan.peak)
    if ram_bytes(plan, need) > budget.ram_free:
        return f"{gib(ram_bytes(plan, need))} of RAM"
    return f"{gib(disk_bytes(plan, need))} of disk"


def _describe(plan: Plan, need: Need) -> str:
    fp8 = plan.transformer_storage == "fp8"
    held = need.experts * (need.transformer_fp8 if fp8 else need.transformer)
    words = [f"transformer {'in fp8' if fp8 else 'as loaded'} ({gib(held)})"]
    if need.adapter:
        words.append(f"adapter ({gib(need.adapter)})")
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
    possible = [plan for plan in tried if plan.peak <= capacity_of(budget)]
    if possible:
        reasons = list(dict.fromkeys(" and ".join(lacks(plan, need, budget)) for plan in possible))
        text, plan = " or ".join(reasons[-2:]), possible[-1]
    else:
        plan = min(tried, key=lambda each: each.peak)
        least = "at least " if len(tried) > 1 else ""
        text = least + " and ".join(lacks(plan, need, budget))
    return (
        f"memory: {preset} needs {text}{where} for {_run(need)} ({_describe(plan, need)}); "
        f"{_remedies(plan, need, budget)}"
    )


def _remedies(plan: Plan, need: Need, budget: Budget | None) -> str:
    """What would help, the one that changes least first."""
    found: list[str] = []
    device_is_short = budget is None or plan.peak > capacity_of(budget)
    if budget is None:
        if plan.preset in PRESETS[1:-1]:
            found.append(f"--memory {PRESETS[PRESETS.index(plan.preset) + 1]}")
    else:
        fitting = _preset_that_fits(need, budget)
        if fitting is not None:
            found.append(f"--memory {fitting.preset} ({gib(fitting.peak)})")
        elif device_is_short and (frames := _fewer_frames(plan, need, budget)):
            found.append(f"--frames {frames}")
        if ram_bytes(plan, need) > budget.ram_free:
            in_fp8 = plan.transformer_storage == "fp8"
            found.append(f"{'a' if in_fp8 else 'an fp8 or'} GGUF file of the transformer")
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
            if not lacks(plan, need, budget):
                return plan
    return None


def _fewer_frames(plan: Plan, need: Need, budget: Budget) -> int | None:
    """The most frames, 1 + a multiple of 4, that the plan has memory for; None where that is none or all of them."""
    for frames in range((need.num_frames - 2) // 4 * 4 + 1, 4, -4):
        share = ((min(frames, need.at_once) - 1) // 4 + 1) / ((need.at_once - 1) // 4 + 1)
        fewer = replace(need, activations=int(need.activations * share), num_frames=frames)
        if peak_bytes(plan, fewer, on_gpu=budget.gpu_free is not None) <= capacity_of(budget):
            return frames
    return None


def _run(need: Need) -> str:
    windows = f" in windows of {need.at_once}" if need.at_once < need.num_frames else ""
    several = f", {need.batch} videos at once" if need.batch > 1 else ""
    return f"{need.size[1]}x{need.size[0]}, {need.num_frames} frames{windows}{several}"


__all__ = [
    "GIB",
    "PRESETS",
    "Budget",
    "Plan",
    "Preset",
    "apply",
    "check",
    "choose",
    "disk_bytes",
    "estimate",
    "fitting",
    "out_of_memory",
    "peak_bytes",
    "plan_for",
    "plans_of",
    "ram_bytes",
]
