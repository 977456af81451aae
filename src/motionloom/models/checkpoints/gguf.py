"""GGUF files: quantised weights of the llama.cpp family, as ComfyUI uses them for Wan.

Read with the ``gguf`` package; kept quantised in memory, in diffusers' ``GGUFParameter``, and made whole for every
call. Types that diffusers does not compute with (the IQ family but for IQ4) are made whole when they are read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear

from motionloom.errors import CheckpointError, MissingDependencyError

if TYPE_CHECKING:
    from motionloom.models.checkpoints.readers import TensorInfo

try:
    import gguf
    from diffusers.quantizers.gguf.utils import GGUFLinear, GGUFParameter, dequantize_functions
except ImportError as error:
    raise MissingDependencyError(
        "GGUF files are read with the gguf package, which is not installed; install it with: pip install "
        "'motionloom[quant]'"
    ) from error


class GGUFFile:
    """A GGUF file. See `readers.Reader`.

    Tensors of plain numbers come as such, quantised ones as ``GGUFParameter`` (uint8 [rows, bytes per row] with its
    ``quant_type``), or as float32 where diffusers does not compute with the type.

    Raises:
        CheckpointError: cut short or damaged.
    """

    mapped = True

    def __init__(self, path: Path):
        from motionloom.models.checkpoints.readers import TensorInfo

        self.path: Path | None = path
        try:
            reader = gguf.GGUFReader(path)
        except (ValueError, IndexError, KeyError, TypeError, OverflowError) as error:
            raise CheckpointError(
                f"{path}: does not read as a GGUF file of {path.stat().st_size:,} bytes; most likely the download was "
                f"cut short, start it again ({' '.join(str(error).split())[:160]})"
            ) from error
        self.metadata: Mapping[str, str] = {}
        self._entries: dict[str, tuple[Any, int, int]] = {}
        tensors: dict[str, TensorInfo] = {}
        size = path.stat().st_size
        for entry in reader.tensors:
            offset, count = int(entry.data_offset), int(entry.n_bytes)
            if offset + count > size:
                raise CheckpointError(
                    f"{path}: is cut short: {entry.name} ends at byte {offset + count:,}, the file has {size:,}; "
                    "finish the download, or start it again"
                )
            self._entries[entry.name] = (entry.tensor_type, offset, count)
            plain = _PLAIN.get(entry.tensor_type)
            tensors[entry.name] = TensorInfo(
                _original_shape(reader, entry, path),
                plain or torch.uint8,
                count,
                None if plain else entry.tensor_type.name,
            )
        self.tensors: Mapping[str, TensorInfo] = tensors

    def read(self, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        for key in keys:
            kind, offset, count = self._entries[key]
            info = self.tensors[key]
            data = np.fromfile(self.path or "", dtype=np.uint8, count=count, offset=offset)
            if kind in _PLAIN:
                yield key, torch.from_numpy(data).view(_PLAIN[kind]).reshape(info.shape)
                continue
            block, nbytes = gguf.GGML_QUANT_SIZES[kind]
            if kind not in dequantize_functions or not info.shape or info.shape[-1] % block:
                # Blocks that do not end with a row (a reshaped tensor) cannot be kept either.
                yield key, torch.from_numpy(gguf.dequantize(data, kind)).reshape(info.shape)
                continue
            rows = torch.from_numpy(data).reshape(*info.shape[:-1], info.shape[-1] // block * nbytes)
            yield key, GGUFParameter(rows, quant_type=kind)  # pyright: ignore[reportCallIssue]


_PLAIN = {
    gguf.GGMLQuantizationType.F64: torch.float64,
    gguf.GGMLQuantizationType.F32: torch.float32,
    gguf.GGMLQuantizationType.F16: torch.float16,
    gguf.GGMLQuantizationType.BF16: torch.bfloat16,
    gguf.GGMLQuantizationType.I8: torch.int8,
    gguf.GGMLQuantizationType.I32: torch.int32,
    gguf.GGMLQuantizationType.I64: torch.int64,
}


def _original_shape(reader: Any, entry: Any, path: Path) -> tuple[int, ...]:
    """GGUF counts dimensions from the fastest; ComfyUI's converter notes the shape of what it had to reshape."""
    stored = tuple(int(side) for side in reversed(entry.shape.tolist()))
    field = reader.get_field(f"comfy.gguf.orig_shape.{entry.name}")
    if field is None:
        return stored
    shape = tuple(int(field.parts[index][0]) for index in field.data)
    if int(np.prod(shape)) != int(np.prod(stored)):
        raise CheckpointError(
            f"{path}: {entry.name} holds {list(stored)}, which cannot be the {list(shape)} its header notes; the file "
            "is damaged"
        )
    return shape


class QuantizedLinear(GGUFLinear):
    """diffusers' layer with a GGUF weight, computing in the type of its input.

    The stock layer insists on one type for all inputs, and makes the weight whole in float16; here it is float32,
    rounded once.
    """

    def forward(self, inputs: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(inputs.dtype)
        return linear(inputs, dequantize(self.weight, inputs.dtype), bias)


def dequantize(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """The values of a ``GGUFParameter``; any other tensor is only cast."""
    kind = getattr(tensor, "quant_type", None)
    if kind is None:
        return tensor.to(dtype)
    block, nbytes = gguf.GGML_QUANT_SIZES[kind]
    packed: Tensor = tensor.as_tensor()  # pyright: ignore[reportAttributeAccessIssue, reportCallIssue]
    shape = (*packed.shape[:-1], packed.shape[-1] // nbytes * block)
    blocks = packed.reshape(-1, nbytes)
    values = torch.empty(len(blocks), block, dtype=dtype, device=packed.device)
    # Unpacking takes a dozen copies in float32 and int32; on a CPU they are kept small.
    step = _PIECE // block if values.device.type == "cpu" else max(1, len(blocks))
    for start in range(0, len(blocks), step):
        piece = blocks[start : start + step]
        values[start : start + step] = dequantize_functions[kind](piece, block, nbytes, dtype=torch.float32).reshape(
            -1, block
        )
    return values.reshape(shape)


_PIECE = 1 << 18
"""Values unpacked at once on a CPU."""
