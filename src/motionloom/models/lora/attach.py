"""LoRAs onto the transformers of a pipeline and off again, through the adapters of diffusers and peft.

Order: before compiling; otherwise before or after offloading and float8 storage makes no difference.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import LogRecord, getLogger
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from motionloom.errors import CheckpointError, InputError
from motionloom.models.lora.check import (
    base_module,
    experts_for,
    fitted,
    name_without_expert,
    pair_warnings,
    parameter_of,
)
from motionloom.models.lora.lora import Lora, peft_config
from motionloom.models.lora.read import read_lora
from motionloom.models.lora.spec import LoraSpec


@dataclass
class _Record:
    """What was done to one transformer: enough to undo it."""

    strengths: dict[str, float] = field(default_factory=dict)
    offsets: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    before: dict[str, Tensor] = field(default_factory=dict)  # parameters as they were before any offset


# Beside the modules, not in them: pipelines made with `from_pipe` share the transformer, and know what is attached.
_RECORDS: WeakKeyDictionary[nn.Module, _Record] = WeakKeyDictionary()


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
    taken |= {name for transformer in experts.values() for name in _record(transformer).strengths}
    for spec in specs:
        lora = read.setdefault(str(spec.path), read_lora(spec.path))
        chosen, source = experts_for(spec, lora, list(experts))
        name = _name(spec, taken)
        taken.add(name)
        parts, left_out = {}, []
        for expert in chosen:
            parts[expert], left_out = fitted(lora, experts[expert])
            _refuse_packed(experts[expert], parts[expert])
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
    having = [transformer for transformer in experts_of(pipeline).values() if name in _record(transformer).strengths]
    if not having:
        known = sorted({n for transformer in experts_of(pipeline).values() for n in _record(transformer).strengths})
        raise InputError(f"lora: found {name!r}, attached are: {', '.join(known) or 'none'}")
    for transformer in having:
        _set_strength(transformer, name, strength)


def unload_loras(pipeline: Any) -> None:
    """Take all adapters off, those of diffusers' own `load_lora_weights` too; the weights are bit for bit as before."""
    experts = experts_of(pipeline)
    with _offload_removed(pipeline, experts.values()):
        for transformer in experts.values():
            _take_off(transformer)


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
    with _offload_removed(pipeline, experts.values()):
        done: list[tuple[nn.Module, str]] = []
        try:
            for spec, name, parts in planned:
                for expert, lora in parts.items():
                    done.append((experts[expert], name))
                    _attach(experts[expert], lora, name, spec.strength)
        except BaseException:
            for transformer, name in done:
                _detach(transformer, name)
            raise


def _attach(transformer: Any, lora: Lora, name: str, strength: float) -> None:
    dtype = transformer.dtype if transformer.dtype.itemsize > 1 else torch.bfloat16
    active = _active(transformer)
    if lora.layers:
        state: dict[str, Tensor] = {}
        for module, layer in lora.layers.items():
            owner = base_module(transformer, module)
            # Factors of a convolution may come flattened.
            kernel = getattr(owner, "kernel_size", ())
            down = layer.down if layer.down.ndim == 2 + len(kernel) else layer.down.reshape(*layer.down.shape, *kernel)
            up = (
                layer.up if layer.up.ndim == 2 + len(kernel) else layer.up.reshape(*layer.up.shape, *(1,) * len(kernel))
            )
            state[f"{module}.lora_A.weight"], state[f"{module}.lora_B.weight"] = down.to(dtype), up.to(dtype)
        with _quiet():
            transformer.load_lora_adapter(
                dict(state), prefix=None, adapter_name=name, metadata=peft_config(lora.layers), low_cpu_mem_usage=True
            )
        for module in lora.layers:
            wrapped = transformer.get_submodule(module)
            for side in ("lora_A", "lora_B"):
                factor = getattr(wrapped, side)[name].weight
                # peft casts the factors to the type of the weight they belong to, which may be float8.
                factor.data = state[f"{module}.{side}.weight"].to(factor.device)
                factor.requires_grad_(False)
    record = _record(transformer)
    record.offsets[name] = dict(lora.offsets)
    _activate(transformer, active)
    _set_strength(transformer, name, strength)


def _detach(transformer: Any, name: str) -> None:
    record = _record(transformer)
    if name in getattr(transformer, "peft_config", {}):
        transformer.delete_adapters(name)
    touched = record.offsets.pop(name, {})
    record.strengths.pop(name, None)
    _write_offsets(transformer, touched)
    if not getattr(transformer, "peft_config", {}):
        transformer.unload_lora()  # the empty wrappers


def _take_off(transformer: Any) -> None:
    record = _record(transformer)
    for name, value in record.before.items():
        _put(transformer, name, value)
    _RECORDS.pop(transformer, None)
    transformer.unload_lora()


def _set_strength(transformer: Any, name: str, strength: float) -> None:
    """peft's scale per module: its own switch for several adapters would switch those of the other expert off."""
    record = _record(transformer)
    record.strengths[name] = strength
    for layer in _tuner_layers(transformer):
        if name in layer.lora_A:
            layer.set_scale(name, strength)
    # An adapter of strength 0 is not run at all: the base model bit for bit, also where it has infinities.
    active = _active(transformer) - {name} | ({name} if strength else set())
    _activate(transformer, active)
    _write_offsets(transformer, record.offsets.get(name, {}))


def _activate(transformer: Any, names: set[str]) -> None:
    for layer in _tuner_layers(transformer):
        trained = {factor: factor.requires_grad for factor in layer.parameters()}
        layer.set_adapter(sorted(names))  # makes the factors trainable, which is not what is asked here
        for factor, was in trained.items():
            factor.requires_grad_(was)


def _active(transformer: Any) -> set[str]:
    return {name for layer in _tuner_layers(transformer) for name in layer.active_adapters if name in layer.lora_A}


def _tuner_layers(transformer: nn.Module) -> Iterator[Any]:
    from peft.tuners.lora import LoraLayer

    return (module for module in transformer.modules() if isinstance(module, LoraLayer))


def _write_offsets(transformer: nn.Module, names: Iterable[str]) -> None:
    """Set parameters to what they were, plus every LoRA's difference times its strength, rounded once."""
    record = _record(transformer)
    for name in names:
        parameter = parameter_of(transformer, name)
        assert parameter is not None
        before = record.before.setdefault(name, parameter.detach().cpu().clone())
        total = before
        for adapter, offsets in record.offsets.items():
            strength = record.strengths.get(adapter, 0.0)
            if name in offsets and strength:
                total = total.float() + strength * offsets[name].float()
        _put(transformer, name, total)


def _put(transformer: nn.Module, name: str, value: Tensor) -> None:
    parameter = parameter_of(transformer, name)
    assert parameter is not None
    with torch.no_grad():
        parameter.copy_(value.to(parameter.dtype))


def _refuse_packed(transformer: nn.Module, lora: Lora) -> None:
    """Weights with scales of their own, or in blocks, stand for other numbers than they hold. Those that diffusers
    casts for every call are plain float8, and take a difference up as they would have been stored with it."""
    for name in lora.offsets:
        parameter = parameter_of(transformer, name)
        assert parameter is not None
        owner = base_module(transformer, name.rpartition(".")[0])
        hooks = getattr(owner, "_diffusers_hook", None)
        if parameter.dtype.itemsize == 1 and (hooks is None or hooks.get_hook("layerwise_casting") is None):
            kind = str(parameter.dtype).removeprefix("torch.")
            raise CheckpointError(
                f"lora {lora.label}: holds a whole difference of {name}, which is packed ({kind}) here and cannot take "
                "it up; use the bfloat16 or float16 file of the model"
            )


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


def _record(transformer: nn.Module) -> _Record:
    return _RECORDS.setdefault(transformer, _Record())


@contextmanager
def _offload_removed(pipeline: Any, transformers: Iterable[nn.Module]) -> Iterator[None]:
    """Hooks that hold on to the weights are put aside and come back knowing the new ones, as in diffusers' loader."""
    from diffusers.hooks.group_offloading import _maybe_remove_and_reapply_group_offloading
    from diffusers.loaders.lora_base import _func_optionally_disable_offloading

    by_model, sequential, _ = _func_optionally_disable_offloading(pipeline)
    try:
        yield
    finally:
        if by_model:
            pipeline.enable_model_cpu_offload()
        elif sequential:
            pipeline.enable_sequential_cpu_offload()
        for transformer in transformers:
            _maybe_remove_and_reapply_group_offloading(transformer)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings of peft and diffusers that there are several adapters and that one lacks the other's keys:
    several are meant, and every factor is put in place one by one."""

    def drop(record: LogRecord) -> bool:
        return "missing keys" not in record.getMessage()

    logger = getLogger("diffusers.utils.peft_utils")
    logger.addFilter(drop)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Already found a `peft_config`")
            yield
    finally:
        logger.removeFilter(drop)
