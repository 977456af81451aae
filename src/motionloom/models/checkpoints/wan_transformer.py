"""Wan transformers from any file into diffusers' ``WanTransformer3DModel``, tensor by tensor."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.float8 import FLOAT8, Scales
from motionloom.models.checkpoints.source import TensorSource, open_source
from motionloom.models.checkpoints.wan_architecture import Architecture, architecture_of, describe, transformer_part
from motionloom.models.checkpoints.wan_config import config_of
from motionloom.models.checkpoints.wan_keys import diffusers_key, naming_of

if TYPE_CHECKING:
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

__all__ = [
    "Architecture",
    "architecture_of",
    "config_of",
    "describe",
    "dtype_of",
    "load_transformer",
    "transformer_part",
]


def load_transformer(
    paths: str | Path | Sequence[str | Path] | TensorSource,
    config: Mapping[str, Any] | str | Path | None = None,
    *,
    dtype: torch.dtype | None = torch.bfloat16,
    keep_float8: bool = False,
    keep_gguf: bool = True,
    fp8_storage: bool = False,
    device: torch.device | str = "cpu",
    build: Callable[[Mapping[str, Any]], WanTransformer3DModel] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> WanTransformer3DModel:
    """The transformer in one file, several shards or a folder, in the names of the published programs or of diffusers.

    Tensors are cast one by one as they are read: memory peaks at the model's own size and a part of one file. The
    parameters that diffusers keeps in float32 (norms, time embedding, modulation) are float32, nothing else is.

    Args:
        config: of diffusers or of the published program, as a dictionary or a file; None: a ``config.json`` beside the
            weights if there is one, else read from the tensors, with heads of 128 channels.
        dtype: of the parameters; None: what most of the file is stored in, bfloat16 for float8 and GGUF.
        keep_float8: linear layers stored in float8 stay so, scales included, and are made whole for every call.
        fp8_storage: keep the weights of the blocks in 8 bits, as `motionloom.models.offload.store_in_fp8` does, each
            from the moment it is read.
        keep_gguf: the same for GGUF; else they are made whole once, when they are read.
        build: makes the empty network of a configuration; a ``WanTransformer3DModel`` when not given.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: files that `open_source` refuses; not an image-to-video transformer of Wan; a configuration
            the tensors do not agree with; missing, unexpected or misshaped tensors.
        MissingDependencyError: see `open_source`.
    """
    from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

    source = paths if isinstance(paths, TensorSource) else open_source(paths)
    source = transformer_part(source)
    if config is None:
        architecture_of(source)
    found_config = config_of(source, config)
    scales = Scales(source)
    names = _names(source, scales.keys)
    model = empty(lambda: build(found_config) if build else WanTransformer3DModel(**found_config))
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    reshaped = _stored_without_ones(source, names, shapes)
    check_fit(
        shapes,
        {name: shapes[name] if key in reshaped else source.tensors[key].shape for key, name in names.items()},
        origin=source.name,
        guess=f"It seems to be {describe(source)}",
    )
    compute_dtype = dtype or dtype_of(source)
    layer_scales = {names[f"{layer}.weight"].removesuffix(".weight"): scale for layer, scale in scales.by_layer.items()}
    stored: dict[str, torch.dtype] = {}
    if fp8_storage:
        from motionloom.models.footprint import castable_layers

        stored = {
            f"{layer}.{leaf}": torch.float8_e4m3fn
            for layer, module in castable_layers(model).items()
            for leaf, _ in module.named_parameters(recurse=False)
        }
    filled = assemble(
        model,
        (
            (names[key], tensor.reshape(shapes[names[key]]) if key in reshaped else tensor)
            for key, tensor in source
            if key in names
        ),
        dtype=compute_dtype,
        device=device,
        keep_in_fp32=WanTransformer3DModel._keep_in_fp32_modules or (),
        scales=layer_scales,
        keep_float8=keep_float8,
        keep_gguf=keep_gguf,
        compute_dtype=compute_dtype,
        stored=stored,
        on_progress=on_progress,
    ).eval()
    if fp8_storage:
        from motionloom.models.offload import compute_from_fp8

        compute_from_fp8(filled, compute_dtype)
    return filled


def dtype_of(source: TensorSource) -> torch.dtype:
    """The type that most of the weights are stored in; bfloat16 for float8 and for quantised ones."""
    sizes: Counter[torch.dtype] = Counter()
    for info in source.tensors.values():
        plain = info.dtype.is_floating_point and info.dtype not in FLOAT8
        sizes[info.dtype if plain else torch.bfloat16] += math.prod(info.shape)
    return sizes.most_common(1)[0][0] if sizes else torch.bfloat16


def _names(source: TensorSource, not_weights: set[str]) -> dict[str, str]:
    """diffusers' name by key."""
    original = naming_of(source.tensors) == "original"
    keys = [key for key in source.tensors if key not in not_weights]
    # A key without a name keeps its own, and is reported with the others that do not fit.
    return {key: (diffusers_key(key) or key) if original else key for key in keys}


def _stored_without_ones(
    source: TensorSource, names: Mapping[str, str], shapes: Mapping[str, tuple[int, ...]]
) -> set[str]:
    """Keys of a GGUF file whose shape lost its sides of one, or had the first two merged, as its converters do."""

    def trimmed(shape: Sequence[int]) -> tuple[int, ...]:
        return tuple(side for side in shape if side != 1)

    if not any(path.suffix == ".gguf" for path in source.files):
        return set()
    found: set[str] = set()
    for key, name in names.items():
        shape, wanted = source.tensors[key].shape, shapes.get(name, ())
        merged = (wanted[0] * wanted[1], *wanted[2:]) if len(wanted) == 5 else wanted
        if shape != wanted and trimmed(shape) in (trimmed(wanted), trimmed(merged)):
            found.add(key)
    return found
