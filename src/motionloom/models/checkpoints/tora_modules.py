"""CogVideoX transformers and Tora's adapters from any of their files into the classes of diffusers and our own.

One pass over the files fills both: names and shapes are checked first, then tensors are cast one by one.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from motionloom.errors import CheckpointError
from motionloom.methods.tora.checkpoint import (
    adapter_config,
    is_adapter_name,
    is_optional,
    published_names,
    select_network,
    transformer_config,
)
from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.source import TensorSource

Report = Callable[[int, int], Any]


def load_transformer(
    source: TensorSource,
    config: Mapping[str, Any],
    *,
    dtype: torch.dtype,
    with_adapter: bool = True,
    device: torch.device | str = "cpu",
    fp8_storage: bool = False,
    on_progress: Report | None = None,
) -> tuple[Any, Any]:
    """The ``CogVideoXTransformer3DModel`` in a source, and the `ToraAdapter` if it is in there too (else None).

    Args:
        config: of diffusers; what its class does not know is passed over.
        dtype: of all parameters.
        with_adapter: False passes over an adapter that is in the source.
        fp8_storage: keep the weights of the transformer's blocks in 8 bits, each from the moment it is read.
        on_progress: called with the number of tensors done and in all.

    Raises:
        CheckpointError: missing, unexpected or misshaped tensors.
    """
    shapes = shapes_of(source)
    inside = with_adapter and any(is_adapter_name(name) for name in shapes)
    return _fill(
        source,
        config,
        _adapter_arguments(source, shapes, config) if inside else None,
        dtype=dtype,
        device=device,
        fp8_storage=fp8_storage,
        on_progress=on_progress,
    )


def load_adapter(
    source: TensorSource,
    base: Mapping[str, Any],
    *,
    config: Mapping[str, Any] | None = None,
    dtype: torch.dtype,
    device: torch.device | str = "cpu",
    on_progress: Report | None = None,
) -> Any:
    """The `ToraAdapter` in the files of an add-on, or in a folder it was saved to.

    Args:
        base: configuration of the transformer it is for.
        config: of the adapter itself, where it was saved with one.

    Raises:
        CheckpointError: missing, unexpected or misshaped tensors; half of an add-on.
    """
    arguments = config if config is not None else _adapter_arguments(source, shapes_of(source), base)
    _, adapter = _fill(source, None, arguments, dtype=dtype, device=device, fp8_storage=False, on_progress=on_progress)
    return adapter


def shapes_of(source: TensorSource) -> dict[str, tuple[int, ...]]:
    """Shape by name in the diffusers naming, of the transformer and the adapter alone."""
    stored = source.shapes
    keys = select_network(stored)
    return {
        name: tuple(tensor.shape)
        for name, tensor in published_names((key, torch.empty(stored[key], device="meta")) for key in keys)
    }


def seen_config(source: TensorSource, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    """What the tensors show of a transformer's configuration.

    Raises:
        CheckpointError: they are not all of a CogVideoX 1.0 transformer.
    """
    try:
        return transformer_config(shapes)
    except (KeyError, ValueError) as error:
        raise CheckpointError(
            f"{source.name}: is no whole transformer of CogVideoX 1.0 ({error} is missing or has another shape); if "
            "it is one shard of several, give their folder"
        ) from error


class _Network(nn.Module):
    """Transformer and adapter side by side, so that one pass over a file fills both."""

    def __init__(self, transformer: Any, adapter: Any) -> None:
        super().__init__()
        self.transformer, self.adapter = transformer, adapter


def _fill(
    source: TensorSource,
    transformer: Mapping[str, Any] | None,
    adapter: Mapping[str, Any] | None,
    *,
    dtype: torch.dtype,
    device: torch.device | str,
    fp8_storage: bool,
    on_progress: Report | None,
) -> tuple[Any, Any]:
    """Both models, each where its configuration is given."""
    from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel

    from motionloom.methods.tora.adapter import ToraAdapter

    def build() -> _Network:
        return _Network(
            None if transformer is None else _made(CogVideoXTransformer3DModel, transformer),
            None if adapter is None else _made(ToraAdapter, adapter),
        )

    def place(name: str) -> str:
        return f"adapter.{name}" if is_adapter_name(name) else f"transformer.{name}"

    def wanted(name: str) -> bool:
        return adapter is not None or not is_adapter_name(name)

    network = empty(build)
    keys = set(select_network(source.tensors))
    check_fit(
        {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()},
        {place(name): shape for name, shape in shapes_of(source).items() if wanted(name)},
        origin=source.name,
        guess=_guess(transformer, adapter),
        optional=(optional := [name for name in network.state_dict() if is_optional(name)]),
    )
    stored: dict[str, torch.dtype] = {}
    if fp8_storage and network.transformer is not None:
        from motionloom.models.footprint import castable_layers

        stored = {
            f"transformer.{layer}.{leaf}": torch.float8_e4m3fn
            for layer, module in castable_layers(network.transformer).items()
            for leaf, _ in module.named_parameters(recurse=False)
        }
    assemble(
        network,
        (
            (place(name), tensor)
            for name, tensor in published_names((key, tensor) for key, tensor in source if key in keys)
            if wanted(name)
        ),
        dtype=dtype,
        device=device,
        compute_dtype=dtype,
        stored=stored,
        on_progress=on_progress,
        optional=optional,
    )
    # Tables that are computed and counters that no file had are still where they were made.
    network.eval().to(device)
    if stored:
        from motionloom.models.offload import compute_from_fp8

        compute_from_fp8(network.transformer, dtype)
    return network.transformer, network.adapter


def _made(kind: Any, config: Mapping[str, Any]) -> Any:
    known = inspect.signature(kind.__init__).parameters
    return kind(**{name: value for name, value in config.items() if name in known})


def _adapter_arguments(
    source: TensorSource, shapes: Mapping[str, tuple[int, ...]], base: Mapping[str, Any]
) -> dict[str, Any]:
    try:
        found = adapter_config(shapes)
    except KeyError as error:
        half = "the fusers" if "fuser" in str(error) else "the trajectory extractor"
        raise CheckpointError(
            f"{source.name}: holds half of what Tora adds to a transformer, without {half}; fetch both halves"
        ) from error
    return {
        **found,
        "num_attention_heads": base.get("num_attention_heads", 48),
        "latent_channels": found["latent_channels"] // (base.get("patch_size_t") or 1),
        "patch_size_t": base.get("patch_size_t"),
    }


def _guess(transformer: Mapping[str, Any] | None, adapter: Mapping[str, Any] | None) -> str:
    if transformer is None:
        return f"Expected is an adapter of Tora for a transformer {adapter and adapter.get('hidden_size')} wide"
    what = "a transformer of CogVideoX" + (" with Tora inside" if adapter else "")
    wide = transformer.get("num_attention_heads", 0) * transformer.get("attention_head_dim", 0)
    return f"Expected is {what}, {wide} wide with {transformer.get('num_layers')} blocks"
