"""Fill a model from a stream of tensors, one by one, with nothing held twice.

The model is built without memory for its parameters; each tensor is cast on its way from the file into the model.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.float8 import FLOAT8, Float8Linear, dequantize

M = TypeVar("M", bound=nn.Module)


def empty(build: Callable[[], M]) -> M:
    """What ``build`` makes, with all parameters on the meta device; buffers are computed as usual."""
    from accelerate import init_empty_weights

    with init_empty_weights(include_buffers=False):
        return build()


def check_fit(
    expected: Mapping[str, Sequence[int]],
    found: Mapping[str, Sequence[int]],
    *,
    origin: str,
    guess: str = "",
    optional: Iterable[str] = (),
) -> None:
    """That tensors are those of a model, before any of them is read.

    Args:
        expected: shape by name in the model.
        found: shape by name in the files.
        origin: the files, for the message.
        guess: a sentence on what the files seem to be.
        optional: names of the model that may be missing (tied weights).

    Raises:
        CheckpointError: missing, unexpected or misshaped tensors, with their numbers and first names.
    """
    may_lack = set(optional)
    missing = [name for name in expected if name not in found and name not in may_lack]
    unexpected = [name for name in found if name not in expected]
    misshaped = [
        f"{name}: file {list(found[name])}, model {list(shape)}"
        for name, shape in expected.items()
        if name in found and tuple(found[name]) != tuple(shape)
    ]
    parts = [
        f"{len(names)} {word} ({'; '.join(names[:3])}{'; ...' if len(names) > 3 else ''})"
        for word, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshaped))
        if names
    ]
    if parts:
        raise CheckpointError(
            f"{origin}: its tensors are not those of the model ({len(found)} found, {len(expected)} expected): "
            f"{', '.join(parts)}" + (f". {guess}" if guess else "")
        )


def assemble(
    model: M,
    tensors: Iterable[tuple[str, Tensor]],
    *,
    dtype: torch.dtype | None = None,
    device: torch.device | str = "cpu",
    keep_in_fp32: Sequence[str] = (),
    scales: Mapping[str, Tensor] | None = None,
    keep_float8: bool = False,
    keep_gguf: bool = True,
    compute_dtype: torch.dtype = torch.bfloat16,
    stored: Mapping[str, torch.dtype] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    optional: Iterable[str] = (),
) -> M:
    """Put tensors into a model made by `empty`.

    Args:
        tensors: (name in the model, tensor); they may be views of files, none is kept.
        dtype: of the parameters; None: as stored, float8 and quantised ones in ``compute_dtype``.
        keep_in_fp32: parts of names (between dots) that are float32 in any case, diffusers'
            ``_keep_in_fp32_modules``.
        scales: of float8 weights by the name of their layer, as `float8.Scales` reads them.
        keep_float8: linear layers stored in float8 stay so, as `Float8Linear`; else they are made whole.
        keep_gguf: linear layers stored quantised stay so; else they are made whole.
        compute_dtype: what such layers compute in.
        stored: a smaller type by name, that a tensor is rounded to after the one it would have.
        on_progress: called with the number of tensors done and in all.
        optional: names that need not come (tied weights).

    Raises:
        CheckpointError: a name the model does not have, or parameters that nothing was given for.
    """
    scales = scales or {}
    waiting = dict.fromkeys([*dict(model.named_parameters()), *_persistent_buffers(model)])
    total = len(waiting)
    for name, tensor in tensors:
        if name not in waiting:
            raise CheckpointError(f"{name}: a tensor the model does not have, or that came twice")
        layer_name, _, leaf = name.rpartition(".")
        layer = model.get_submodule(layer_name)
        scale = scales.get(layer_name) if leaf == "weight" else None
        in_fp32 = any(part in keep_in_fp32 for part in name.split("."))
        target = torch.float32 if in_fp32 else dtype
        may_keep = leaf == "weight" and not in_fp32
        if type(layer) is nn.Linear and may_keep and keep_float8 and tensor.dtype in FLOAT8:
            kept = _float8_like(layer, compute_dtype)
            kept.weight = nn.Parameter(_own(tensor, device, None), requires_grad=False)
            kept.weight_scale = None if scale is None else scale.to(device)
            model.set_submodule(layer_name, kept)
        elif type(layer) is nn.Linear and may_keep and keep_gguf and hasattr(tensor, "quant_type"):
            model.set_submodule(layer_name, _quantized_like(layer, tensor, compute_dtype, device))
        else:
            smaller = (stored or {}).get(name)
            if smaller is not None and tensor.dtype == target and scale is None:
                whole = tensor.detach().to(device)  # a view of the file will do: what is kept is the rounded copy
            else:
                whole = _whole(tensor, scale, target, compute_dtype, device)
            _put(layer, leaf, whole if smaller is None else whole.to(smaller, copy=True))
        del waiting[name], tensor
        if on_progress is not None:
            on_progress(total - len(waiting), total)
    lost = [name for name in waiting if name not in set(optional)]
    if lost:
        raise CheckpointError(f"{len(lost)} tensors of the model were not given ({', '.join(lost[:5])})")
    return model


def _persistent_buffers(model: nn.Module) -> list[str]:
    parameters = dict(model.named_parameters(remove_duplicate=False))
    return [name for name in model.state_dict(keep_vars=True) if name not in parameters]


def _whole(
    tensor: Tensor,
    scale: Tensor | None,
    dtype: torch.dtype | None,
    compute_dtype: torch.dtype,
    device: torch.device | str,
) -> Tensor:
    """A copy of its own, of plain numbers."""
    if hasattr(tensor, "quant_type"):
        from motionloom.models.checkpoints import gguf

        return gguf.dequantize(tensor.to(device), dtype or compute_dtype)
    if tensor.dtype in FLOAT8:
        return dequantize(tensor.to(device), scale, dtype or compute_dtype)
    if scale is not None:
        return dequantize(tensor.to(device), scale, dtype or tensor.dtype)
    return _own(tensor, device, dtype if tensor.is_floating_point() else None)


def _own(tensor: Tensor, device: torch.device | str, dtype: torch.dtype | None) -> Tensor:
    return tensor.detach().to(device, dtype or tensor.dtype, copy=True, memory_format=torch.contiguous_format)


def _put(layer: nn.Module, leaf: str, tensor: Tensor) -> None:
    old = layer._parameters.get(leaf)
    if old is not None:
        setattr(layer, leaf, nn.Parameter(tensor, requires_grad=old.requires_grad and tensor.is_floating_point()))
    else:
        layer._buffers[leaf] = tensor


def _float8_like(layer: nn.Linear, compute_dtype: torch.dtype) -> Float8Linear:
    """The layer that keeps float8, with the bias the other one has by now."""
    kept = Float8Linear(
        layer.in_features, layer.out_features, layer.bias is not None, compute_dtype=compute_dtype, device="meta"
    )
    if layer.bias is not None:
        kept.bias = layer.bias
    return kept.train(layer.training)


def _quantized_like(
    layer: nn.Linear, tensor: Tensor, compute_dtype: torch.dtype, device: torch.device | str
) -> nn.Linear:
    from motionloom.models.checkpoints.gguf import QuantizedLinear

    kept = QuantizedLinear(
        layer.in_features, layer.out_features, layer.bias is not None, compute_dtype=compute_dtype, device="meta"
    )
    kept.weight = tensor.to(device)  # pyright: ignore[reportAttributeAccessIssue]
    kept.bias = layer.bias
    return kept.train(layer.training).requires_grad_(False)
