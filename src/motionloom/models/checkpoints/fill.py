"""From a source to a model of another library: names and shapes checked first, then filled tensor by tensor."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor, nn

from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.float8 import Scales
from motionloom.models.checkpoints.source import TensorSource
from motionloom.models.checkpoints.wan_transformer import describe, dtype_of

M = TypeVar("M", bound=nn.Module)

Convert = Callable[[Iterable[tuple[str, Tensor]]], Iterator[tuple[str, Tensor]]]
"""(key, tensor) as stored to (name, tensor) of the model, one by one."""

LARGE = 1_000_000_000
"""Parameters from which float32 weights are held in bfloat16, as the published programs compute with them."""


def fill(
    build: Callable[[], M],
    source: TensorSource,
    convert: Convert,
    *,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    ignore: Collection[str] = (),
    finish: Callable[[M], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> M:
    """The model with the weights of a source, all in one type.

    float8 weights are multiplied by their scales, quantised ones made whole.

    Args:
        build: makes the model; it gets no memory for its parameters.
        convert: names and shapes of the source to those of the model.
        ignore: keys of the source that are no weights.
        finish: run on the empty model before it is filled (ties).
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: keys are missing, left over or of another shape, or about scales that are not known.
    """
    scales = Scales(source)
    beside = scales.keys | set(ignore)
    model = empty(build)
    if finish is not None:
        finish(model)
    expected = {name: tuple(tensor.shape) for name, tensor in model.named_parameters()}
    stored = {key: info.shape for key, info in source.tensors.items() if key not in beside}
    found = {
        name: tuple(tensor.shape)
        for name, tensor in convert((key, torch.empty(shape, device="meta")) for key, shape in stored.items())
    }
    check_fit(expected, found, origin=source.name, guess=f"It seems to be {describe(source)}")
    by_layer: dict[str, Tensor] = {}
    for layer, scale in scales.by_layer.items():
        weight = torch.empty(source.tensors[f"{layer}.weight"].shape, device="meta")
        targets = [name.removesuffix(".weight") for name, _ in convert([(f"{layer}.weight", weight)])]
        pieces = scale.chunk(len(targets)) if scale.shape[0] > 1 else [scale] * len(targets)
        by_layer |= dict(zip(targets, pieces, strict=True))
    return assemble(
        model,
        convert((key, tensor) for key, tensor in source if key not in beside),
        dtype=dtype,
        device=device,
        scales=by_layer,
        keep_gguf=False,
        compute_dtype=dtype,
        on_progress=on_progress,
    )


def held_in(source: TensorSource, *, float16: torch.dtype = torch.float16) -> torch.dtype:
    """The type in which to hold the weights of a source without widening them.

    The type most of them are stored in; bfloat16 where that is float8 or quantised, or float32 in a model of `LARGE`
    and more.

    Args:
        float16: what float16 files are held in.
    """
    stored = dtype_of(source)
    if stored == torch.float16:
        return float16
    size = sum(math.prod(info.shape) for info in source.tensors.values())
    return torch.bfloat16 if stored == torch.float32 and size >= LARGE else stored
