"""What a LoRA is here: low-rank changes of linear layers, and whole differences, by diffusers' names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from motionloom.errors import InputError
from motionloom.models.lora.names import IMAGE_TARGETS, block_of

Layout = Literal["musubi", "diffusion_model", "diffusers"]
"""Of a file; see `motionloom.models.lora.read`."""


@dataclass(frozen=True, eq=False)  # tensors have no one truth of being equal
class LoraLayer:
    """The change of one linear (or convolution) weight: ``alpha / rank * up @ down``, with down [rank, in, ...] and up
    [out, rank, ...]."""

    down: Tensor
    up: Tensor
    alpha: float

    @property
    def rank(self) -> int:
        return self.down.shape[0]

    def delta(self) -> Tensor:
        """The change of the weight, float32 [out, in] (of convolutions flattened)."""
        return self.alpha / self.rank * (self.up.float().flatten(1) @ self.down.float().flatten(1))


@dataclass(frozen=True, eq=False)  # tensors have no one truth of being equal
class Lora:
    """What a LoRA file holds, by diffusers' names.

    Attributes:
        layers: by module; offsets: whole differences, by parameter.
        metadata: of the header; layout: of the file; path, sha256: of the file, where it comes from one.
    """

    layers: Mapping[str, LoraLayer]
    offsets: Mapping[str, Tensor] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    layout: Layout | None = None
    path: Path | None = None
    sha256: str | None = None

    @property
    def label(self) -> str:
        return self.path.name if self.path else "lora"

    @property
    def ranks(self) -> list[int]:
        """All ranks that occur, the most frequent first."""
        return [rank for rank, _ in Counter(layer.rank for layer in self.layers.values()).most_common()]

    @property
    def dtype(self) -> torch.dtype:
        tensors = [layer.down for layer in self.layers.values()] or list(self.offsets.values())
        return tensors[0].dtype

    @property
    def blocks(self) -> int:
        """The number of blocks that a model needs for it: one more than the last block it changes."""
        return 1 + max((block_of(name) or 0 for name in (*self.layers, *self.offsets)), default=-1)

    @property
    def width(self) -> int | None:
        """The model dimension it was made for, where its modules show it."""
        for name, layer in self.layers.items():
            if re.search(r"\.attn[12]\.(to_q|to_out\.0)$", name):
                return layer.down.shape[1]
            if name.endswith(("attn1.to_k", "attn1.to_v", "ffn.net.0.proj")):
                return layer.down.shape[1]
            if name.endswith(("attn2.to_k", "attn2.to_v", "ffn.net.2", "attn2.add_k_proj", "attn2.add_v_proj")):
                return layer.up.shape[0]
        return next((t.shape[-1] for name, t in self.offsets.items() if name.endswith("scale_shift_table")), None)

    @property
    def has_image_branch(self) -> bool:
        return any(is_of_image_branch(name) for name in (*self.layers, *self.offsets))


def is_of_image_branch(name: str) -> bool:
    """Whether a module or parameter only exists in models with a CLIP image branch (Wan 2.1 image-to-video)."""
    return "image_embedder" in name or any(f".{target}" in name for target in IMAGE_TARGETS)


def lora_of(transformer: nn.Module, adapter_name: str = "default") -> Lora:
    """The LoRA that is attached to a transformer under a name, for saving what was trained.

    Raises:
        InputError: there is no such adapter.
    """
    from peft.tuners.lora import LoraLayer as PeftLayer

    wrapped: dict[str, Any] = {
        name: module
        for name, module in transformer.named_modules()
        if isinstance(module, PeftLayer) and adapter_name in module.lora_A
    }
    layers = {
        name: LoraLayer(
            module.lora_A[adapter_name].weight.detach(),
            module.lora_B[adapter_name].weight.detach(),
            float(module.lora_alpha[adapter_name]),
        )
        for name, module in wrapped.items()
    }
    if not layers:
        known = ", ".join(getattr(transformer, "peft_config", {})) or "none"
        raise InputError(f"adapter_name: found {adapter_name!r}, attached are: {known}")
    return Lora(layers)


def peft_config(layers: Mapping[str, LoraLayer]) -> dict[str, Any]:
    """Arguments of `peft.LoraConfig` with every module's own rank and alpha."""
    ranks = {name: layer.rank for name, layer in layers.items()}
    alphas = {name: layer.alpha for name, layer in layers.items()}
    rank, alpha = (Counter(values.values()).most_common(1)[0][0] for values in (ranks, alphas))
    return {
        "r": int(rank),
        "lora_alpha": alpha,
        "rank_pattern": {name: value for name, value in ranks.items() if value != rank},
        "alpha_pattern": {name: value for name, value in alphas.items() if value != alpha},
        "target_modules": sorted(layers),
    }
