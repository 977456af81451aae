"""LoRAs onto the transformers of a pipeline and off again, through the adapters of diffusers and peft.

Order: before compiling; otherwise before or after offloading and float8 storage makes no difference.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

from torch import nn

from motionloom.errors import InputError
from motionloom.models.lora.adapter import (
    attach,
    detach,
    offload_removed,
    record_of,
    refuse_packed,
    set_strength,
    take_off,
)
from motionloom.models.lora.check import experts_for, fitted, name_without_expert, pair_warnings
from motionloom.models.lora.lora import Lora
from motionloom.models.lora.read import read_lora
from motionloom.models.lora.spec import LoraSpec


def load_loras(pipeline: Any, specs: Iterable[LoraSpec]) -> list[dict[str, Any]]:
    """Attach LoRAs to the transformers of a Wan pipeline; those attached before stay in force.

    All files are read and checked first: where one does not fit, nothing is attached.

    Args:
        pipeline: any Wan pipeline of diffusers, with one transformer or two experts.
        specs: see `LoraSpec`. Which expert a file is for is taken from the spec, else its header, else its name, else
            it goes to both with a warning.

    Returns:
        What was done, for the record, one entry per spec: ``name`` of the adapter, ``file``, ``sha256``, ``strength``,
        ``experts``, ``expert_from``, ``layout``, ``rank``, ``modules``, ``offsets`` (whole differences) and
        ``left_out``.

    Raises:
        CheckpointError: a file that cannot be read, is no LoRA, is made for another base, or a swapped pair.
        InputError: not a Wan pipeline, an expert that it does not have, or a name that is taken.
    """
    experts = experts_of(pipeline)
    read: dict[str, Lora] = {}
    planned: list[tuple[LoraSpec, str, dict[str, Lora]]] = []
    facts: list[dict[str, Any]] = []
    taken = {name for transformer in experts.values() for name in getattr(transformer, "peft_config", {})}
    taken |= {name for transformer in experts.values() for name in record_of(transformer).strengths}
    for spec in specs:
        lora = read.setdefault(str(spec.path), read_lora(spec.path))
        chosen, source = experts_for(spec, lora, list(experts))
        name = _name(spec, taken)
        taken.add(name)
        parts, left_out = {}, []
        for expert in chosen:
            parts[expert], left_out = fitted(lora, experts[expert])
            refuse_packed(experts[expert], parts[expert])
        one = next(iter(parts.values()))
        planned.append((spec, name, parts))
        facts.append(
            {
                "name": name,
                "file": lora.label,
                "sha256": lora.sha256,
                "strength": spec.strength,
                "experts": list(chosen) if len(experts) > 1 else [],
                "expert_from": source,
                "layout": lora.layout,
                "rank": one.ranks[0] if len(one.ranks) == 1 else one.ranks,
                "modules": len(one.layers),
                "offsets": len(one.offsets),
                "left_out": left_out,
            }
        )
        _warn(lora, source, left_out)
    for warning in _pairs(planned):
        warnings.warn(warning, stacklevel=2)
    _attach_all(pipeline, experts, planned)
    return facts


def set_lora_strength(pipeline: Any, name: str, strength: float) -> None:
    """Change the strength of a LoRA that `load_loras` attached, on every expert that has it; 0 is exactly without it.

    Raises:
        InputError: no such LoRA, or no finite number.
    """
    strength = LoraSpec(name, strength).strength  # pyright: ignore[reportArgumentType]
    experts = experts_of(pipeline)
    having = [transformer for transformer in experts.values() if name in record_of(transformer).strengths]
    if not having:
        known = sorted({each for transformer in experts.values() for each in record_of(transformer).strengths})
        raise InputError(f"lora: found {name!r}, attached are: {', '.join(known) or 'none'}")
    having = [transformer for transformer in having if record_of(transformer).strengths[name] != strength]
    whole = any(record_of(transformer).offsets[name] for transformer in having)
    with offload_removed(pipeline, experts.values()) if whole else nullcontext():
        for transformer in having:
            set_strength(transformer, name, strength)


def unload_loras(pipeline: Any) -> None:
    """Take all adapters off, those of diffusers' own `load_lora_weights` too; the weights are bit for bit as before."""
    experts = experts_of(pipeline)
    with offload_removed(pipeline, experts.values()):
        for transformer in experts.values():
            take_off(transformer)


def experts_of(pipeline: Any) -> dict[str, nn.Module]:
    """The transformers of a pipeline by the name of their expert: "high" and "low", or "only".

    Raises:
        InputError: not a Wan pipeline.
    """
    found = {name: getattr(pipeline, name, None) for name in ("transformer", "transformer_2")}
    found = {name: getattr(model, "_orig_mod", model) for name, model in found.items()}  # of torch.compile
    there = {name: model for name, model in found.items() if model is not None}
    if not there or any(not hasattr(model, "load_lora_adapter") or not _is_wan(model) for model in there.values()):
        names = ", ".join(type(model).__name__ for model in there.values()) or "none"
        raise InputError(f"loras: are read for Wan models; this pipeline's transformer is {names}")
    if len(there) == 1 and "transformer" in there:
        return {"only": there["transformer"]}
    return {"high" if name == "transformer" else "low": model for name, model in there.items()}


def _attach_all(
    pipeline: Any, experts: dict[str, nn.Module], planned: Sequence[tuple[LoraSpec, str, dict[str, Lora]]]
) -> None:
    with offload_removed(pipeline, experts.values()):
        done: list[tuple[nn.Module, str]] = []
        try:
            for spec, name, parts in planned:
                for expert, lora in parts.items():
                    done.append((experts[expert], name))
                    attach(experts[expert], lora, name, spec.strength)
        except BaseException:
            for transformer, name in done:
                detach(transformer, name)
            raise


def _name(spec: LoraSpec, taken: set[str]) -> str:
    # peft keeps adapters in module dictionaries, whose keys may hold no dots.
    wanted = re.sub(r"[^A-Za-z0-9_-]+", "_", spec.name or spec.path.stem or spec.path.name) or "lora"
    if spec.name is not None and wanted in taken:
        raise InputError(
            f"lora {spec.path.name}: the name {spec.name!r} is taken; unload_loras first, or choose another"
        )
    name, number = wanted, 1
    while name in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name


def _warn(lora: Lora, source: str, left_out: Sequence[str]) -> None:
    if source == "nothing says which":
        warnings.warn(
            f"lora {lora.label}: neither header nor name say for which expert it is: on both; say :high or :low after "
            "the strength if it is for one",
            stacklevel=3,
        )
    if left_out:
        warnings.warn(
            f"lora {lora.label}: {len(left_out)} changes are of a part that this model does not have and are left out "
            f"({', '.join(left_out[:2])})",
            stacklevel=3,
        )


def _pairs(planned: Sequence[tuple[LoraSpec, str, dict[str, Lora]]]) -> list[str]:
    """Warnings about files of which one is for the high-noise and the other for the low-noise expert."""
    single = [next(iter(parts.items())) for _, _, parts in planned if len(parts) == 1]
    highs, lows = ([lora for key, lora in single if key == expert] for expert in ("high", "low"))
    found: list[str] = []
    for high in list(highs):
        # Of several pairs those belong together whose names differ in nothing but the expert.
        low = next((low for low in lows if name_without_expert(low.label) == name_without_expert(high.label)), None)
        if low is not None:
            highs.remove(high)
            lows.remove(low)
            found += pair_warnings(high, low)
    return found + (pair_warnings(highs[0], lows[0]) if len(highs) == len(lows) == 1 else [])


def _is_wan(model: object) -> bool:
    return any(kind.__name__.startswith("Wan") for kind in type(model).__mro__)
