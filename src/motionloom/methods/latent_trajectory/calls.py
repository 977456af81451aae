"""What mixins around diffusers pipelines need of a call: its arguments, and a word after every step."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor


def stock_argument(pipeline: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An argument of the stock `__call__`, given by name or by position or left at its default."""
    if name in kwargs:
        return kwargs[name]
    stock = next(kind for kind in type(pipeline).__mro__ if kind.__module__.startswith("diffusers."))
    bound = inspect.signature(stock.__call__).bind_partial(pipeline, *args)
    bound.apply_defaults()
    return bound.arguments.get(name)


def after_each_step(kwargs: dict[str, Any], act: Callable[[Any, int, Tensor], Tensor | None]) -> dict[str, Any]:
    """``kwargs`` of a call with ``act(pipe, step, latents)`` after every step, before the caller's own callback.

    What it returns takes the place of the latents.
    """
    inner = kwargs.get("callback_on_step_end")
    wanted = getattr(inner, "tensor_inputs", None) or kwargs.get("callback_on_step_end_tensor_inputs") or ["latents"]

    def callback(pipe: Any, step: int, timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        changed: dict[str, Any] = {}
        latents = act(pipe, step, tensors["latents"])
        if latents is not None:
            tensors["latents"] = changed["latents"] = latents
        if inner is not None:
            changed |= inner(pipe, step, timestep, {name: tensors[name] for name in wanted}) or {}
        return changed

    names = list(dict.fromkeys(["latents", *wanted]))
    return {**kwargs, "callback_on_step_end": callback, "callback_on_step_end_tensor_inputs": names}
