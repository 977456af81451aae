"""8-bit floating-point weights with the scales that belong to them.

A layer ``L`` is stored in one of these ways; its weight is always ``float8 value * scale``:

- plain: ``L.weight`` in float8_e4m3fn or float8_e5m2, nothing else;
- ``fp8_scaled`` of ComfyUI: ``L.scale_weight`` besides, and once per file an empty ``scaled_fp8`` whose type says which
  float8 is meant. ``L.scale_input`` is the range of the activations for a matrix product in float8; here the weights
  alone are in float8, so it is not needed;
- newer files: ``L.weight_scale``, ``L.input_scale``, and ``L.comfy_quant``, JSON as bytes with the format's name (or
  all formats at once in the header, under ``_quantization_metadata``).

A scale is one number, one per row, or one per block of the weight. Left out, as the loaders of diffusers do, it makes
every layer wrong by a factor of hundreds without any error.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.source import TensorSource

FLOAT8 = (torch.float8_e4m3fn, torch.float8_e5m2)


class Float8Linear(nn.Linear):
    """A linear layer that keeps its weight in float8 and makes it whole for every call, in the type of the input.

    Exactly what a layer computes whose weight was dequantised into that type beforehand. The weight and its scale keep
    their types when the model is cast; a LoRA may be put around the layer, but not merged into it.

    Args:
        in_features, out_features, bias: as in `torch.nn.Linear`.
        compute_dtype: what adapters around the layer are made in; the layer itself follows its input.

    Attributes:
        weight: float8 [out_features, in_features].
        weight_scale: float32, [rows, columns] of blocks, each dividing a side of the weight; None for plain float8.
            The name is that of ComfyUI's newer files, so that a saved state dict is one that can be loaded.
    """

    weight_scale: Tensor | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        compute_dtype: torch.dtype = torch.bfloat16,
        device: torch.device | str | None = None,
    ):
        super().__init__(in_features, out_features, bias, device="meta")
        self.weight = nn.Parameter(
            torch.empty(out_features, in_features, dtype=FLOAT8[0], device=device), requires_grad=False
        )
        if bias:
            self.bias = nn.Parameter(torch.empty(out_features, device=device), requires_grad=False)
        self.register_buffer("weight_scale", None)
        self.compute_dtype = compute_dtype

    def forward(self, input: Tensor) -> Tensor:
        weight = dequantize(self.weight, self.weight_scale, input.dtype)
        return linear(input, weight, None if self.bias is None else self.bias.to(input.dtype))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Float8Linear:
        # Casting to bfloat16 would double the memory and round the scale; integers are moved, but never cast.
        def moved(tensor: Tensor) -> Tensor:
            if tensor is self.weight:
                return fn(tensor.detach().view(torch.uint8)).view(tensor.dtype)
            if tensor is self.weight_scale:
                return fn(tensor.view(torch.int32)).view(tensor.dtype)
            return fn(tensor)

        return super()._apply(moved, recurse)  # pyright: ignore[reportReturnType]

    def extra_repr(self) -> str:
        scales = "none" if self.weight_scale is None else "x".join(map(str, self.weight_scale.shape))
        return f"{super().extra_repr()}, {str(self.weight.dtype).removeprefix('torch.')}, scales={scales}"


def dequantize(weight: Tensor, scale: Tensor | None, dtype: torch.dtype) -> Tensor:
    """The weight in ``dtype``: multiplied by its scale in float32, rounded once.

    Args:
        weight: float8 [out, in], or of any shape where the scale is one number.
        scale: float32 [rows, columns] with rows dividing out and columns dividing in; None: 1.
    """
    whole = weight.to(dtype, copy=True)
    if scale is None:
        return whole
    if whole.device.type == "cpu" and scale.numel() == 1:
        return whole.mul_(scale.item())  # a number, not a tensor: no copy of the weight in float32 beside it
    if scale.numel() == 1:
        return whole.mul_(scale.reshape([1] * max(whole.ndim, 1)).to(whole.device))
    rows, columns = scale.shape
    blocks = whole.view(rows, -1, columns, whole.shape[1] // columns)
    factors = scale[:, None, :, None].to(whole.device)
    # The product of two types is made in float32 and then cast. On a GPU that happens in the registers; on a CPU in
    # memory, so it is done piece by piece there.
    step = max(1, _PIECE * rows // whole.numel()) if whole.device.type == "cpu" else rows
    for start in range(0, rows, step):
        blocks[start : start + step].mul_(factors[start : start + step])
    return whole


_PIECE = 1 << 20
"""Values multiplied at once on a CPU."""


class Scales:
    """The scales of a source by layer, and which of its keys are about scales.

    Attributes:
        by_layer: float32 [rows, columns], read into memory.
        keys: of the source, that are no weights of the model.

    Raises:
        CheckpointError: a format that is not known, a key about scales that is not, a scale that fits no weight, or
            float8 weights without a scale in a file that says its weights are scaled.
    """

    def __init__(self, source: TensorSource):
        self._source = source
        self.keys = {key for key in source.tensors if _is_about_scales(key, source)}
        self._check_formats()
        self.by_layer: dict[str, Tensor] = {}
        for key in sorted(self.keys):
            layer, _, kind = key.rpartition(".")
            if kind in _WEIGHT_SCALES:
                if layer in self.by_layer:
                    raise CheckpointError(f"{source.name}: {layer} has both a scale_weight and a weight_scale")
                self.by_layer[layer] = self._fitted(key, layer)
            elif kind not in _ACTIVATION_SCALES and kind not in _NOTES:
                raise CheckpointError(
                    f"{source.name}: {key} is a scale of a kind that is not known here (known: "
                    f"{', '.join((*_WEIGHT_SCALES, *_ACTIVATION_SCALES))}); without it the weights would be wrong. "
                    "Take the fp8_scaled, GGUF or bfloat16 file of this model"
                )
        self._check_complete()

    def _fitted(self, key: str, layer: str) -> Tensor:
        weight = self._source.tensors.get(f"{layer}.weight")
        if weight is None:
            raise CheckpointError(f"{self._source.name}: {key} scales nothing, there is no {layer}.weight")
        scale = self._source.read(key)
        if not scale.is_floating_point():
            raise CheckpointError(
                f"{self._source.name}: {key} is of type {scale.dtype}, expected a floating-point number"
            )
        scale = scale.float()
        if scale.numel() == 1:
            return scale.reshape(1, 1)
        # One per row comes as [rows] or [rows, 1], one per block as [rows, columns] or [rows, columns, 1].
        blocks = scale[:, None] if scale.ndim == 1 else scale
        blocks = blocks.squeeze(-1) if blocks.ndim == 3 and blocks.shape[-1] == 1 else blocks
        fits = (
            blocks.ndim == 2
            and len(weight.shape) == 2
            and all(side % count == 0 for side, count in zip(weight.shape, blocks.shape, strict=True))
            and (scale.ndim > 1 or len(scale) == weight.shape[0])
        )
        if not fits:
            raise CheckpointError(
                f"{self._source.name}: {key} has shape {list(scale.shape)}, which does not fit {layer}.weight of "
                f"{list(weight.shape)}: expected one number, one per row, or one per block"
            )
        return blocks.contiguous()

    def _check_formats(self) -> None:
        formats: dict[str, str] = {}
        header = self._source.metadata.get("_quantization_metadata")
        if header is not None:
            layers = _json(header, self._source.name, "_quantization_metadata").get("layers", {})
            formats |= {
                layer: str(entry.get("format")) for layer, entry in layers.items() if isinstance(entry, Mapping)
            }
        for key in sorted(self.keys):
            if key.endswith(".comfy_quant"):
                text = bytes(self._source.read(key).view(torch.uint8).flatten().tolist())
                formats[key.removesuffix(".comfy_quant")] = str(_json(text, self._source.name, key).get("format"))
        strange = {layer: found for layer, found in formats.items() if not found.startswith(_FORMATS)}
        if strange:
            kinds = ", ".join(sorted(set(strange.values())))
            raise CheckpointError(
                f"{self._source.name}: {len(strange)} layers are quantised as {kinds} ({next(iter(strange))}, ...), "
                f"expected {' or '.join(_FORMATS)}; take the fp8_scaled, GGUF or bfloat16 file of this "
                "model"
            )
        marker = self._source.tensors.get("scaled_fp8")
        if marker is not None and marker.dtype not in (*FLOAT8, torch.float32):
            raise CheckpointError(
                f"{self._source.name}: scaled_fp8 is of type {marker.dtype}, expected {' or '.join(map(str, FLOAT8))}"
            )

    def _check_complete(self) -> None:
        if not self.by_layer and "scaled_fp8" not in self._source:
            return
        bare = [
            key
            for key, info in self._source.tensors.items()
            if info.dtype in FLOAT8 and len(info.shape) == 2 and key.removesuffix(".weight") not in self.by_layer
        ]
        if bare:
            raise CheckpointError(
                f"{self._source.name}: the weights are said to be scaled, but {len(bare)} in float8 have no scale "
                f"({', '.join(bare[:5])}); the scales were lost when the file was made, take another copy"
            )


_WEIGHT_SCALES = ("scale_weight", "weight_scale")
_ACTIVATION_SCALES = ("scale_input", "input_scale")
_NOTES = ("comfy_quant", "scaled_fp8")
_FORMATS = ("float8_e4m3fn", "float8_e5m2")


def _is_about_scales(key: str, source: TensorSource) -> bool:
    layer, _, leaf = key.rpartition(".")
    if leaf in (*_WEIGHT_SCALES, *_ACTIVATION_SCALES, *_NOTES):
        return True
    # Others are called that too: "scale_shift_table" of diffusers, "log_scale" of CLIP. They belong to no weight.
    return "scale" in leaf and leaf != "scale_shift_table" and f"{layer}.weight" in source


def _json(text: str | bytes, name: str, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{name}: {what} is not JSON ({error}); the file is damaged or of a newer kind"
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{name}: {what} holds a {type(value).__name__}, expected a JSON object")
    return value
