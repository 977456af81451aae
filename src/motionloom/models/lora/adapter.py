"""One LoRA onto one transformer: low-rank factors as adapters of peft, whole differences added to the parameters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import LogRecord, getLogger
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from motionloom.errors import CheckpointError
from motionloom.models.lora.check import base_module, parameter_of
from motionloom.models.lora.lora import Lora, peft_config


@dataclass
class Record:
    """What was done to one transformer: enough to undo it."""

    strengths: dict[str, float] = field(default_factory=dict)
    offsets: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    before: dict[str, Tensor] = field(default_factory=dict)  # parameters as they were before any offset


# Beside the modules, not in them: pipelines made with `from_pipe` share the transformer, and know what is attached.
RECORDS: WeakKeyDictionary[nn.Module, Record] = WeakKeyDictionary()


def attach(transformer: Any, lora: Lora, name: str, strength: float) -> None:
    """Put a LoRA that fits on a transformer, beside those that are there."""
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
    record = record_of(transformer)
    record.offsets[name] = dict(lora.offsets)
    _activate(transformer, active)
    set_strength(transformer, name, strength)


def detach(transformer: Any, name: str) -> None:
    """Take one LoRA off; also where it was attached half way."""
    record = record_of(transformer)
    if name in getattr(transformer, "peft_config", {}):
        transformer.delete_adapters(name)
    touched = record.offsets.pop(name, {})
    record.strengths.pop(name, None)
    _write_offsets(transformer, touched)
    if not getattr(transformer, "peft_config", {}):
        transformer.unload_lora()  # the empty wrappers


def take_off(transformer: Any) -> None:
    """Take everything off; the weights are bit for bit as before."""
    record = record_of(transformer)
    for name, value in record.before.items():
        _put(transformer, name, value)
    RECORDS.pop(transformer, None)
    transformer.unload_lora()


def set_strength(transformer: Any, name: str, strength: float) -> None:
    """peft's scale per module: its own switch for several adapters would switch those of the other expert off."""
    record = record_of(transformer)
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
    record = record_of(transformer)
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


def refuse_packed(transformer: nn.Module, lora: Lora) -> None:
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


def record_of(transformer: nn.Module) -> Record:
    """What was done to a transformer so far."""
    return RECORDS.setdefault(transformer, Record())


@contextmanager
def offload_removed(pipeline: Any, transformers: Iterable[nn.Module]) -> Iterator[None]:
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
