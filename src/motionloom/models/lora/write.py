"""Writing LoRA files, in the layouts that `read` describes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import save_file
from torch import Tensor

from motionloom.errors import InputError
from motionloom.media.files import replacing
from motionloom.models.lora.lora import Layout, Lora, LoraLayer, peft_config
from motionloom.models.lora.names import IMAGE_TARGETS, TARGETS, block_of, original_name


def save_lora(
    path: str | Path,
    lora: Lora,
    *,
    layout: Layout | Literal["auto"] = "auto",
    metadata: Mapping[str, str] | None = None,
    dtype: torch.dtype | None = None,
) -> Path:
    """Write a LoRA; appears complete or not at all.

    Args:
        layout: "auto" is "musubi" where the LoRA is complete, else "diffusion_model", which may be partial everywhere.
        metadata: put beside, or in place of, what the LoRA has in its header.
        dtype: cast the tensors; as they are when not given.

    Raises:
        InputError: "musubi" for an incomplete LoRA, since readers of that layout (diffusers) need every module of every
            block; "diffusers" for one with whole differences, which that layout cannot hold.
    """
    why_not = _incomplete(lora)
    if layout == "auto":
        layout = "diffusion_model" if why_not else "musubi"
    if layout == "musubi" and why_not:
        raise InputError(f'layout: a musubi file has to be complete, but {why_not}; use "diffusion_model" or "auto"')
    if layout == "diffusers" and lora.offsets:
        raise InputError(
            f'layout: diffusers files hold no whole differences (found {len(lora.offsets)}); use "diffusion_model"'
        )
    tensors: dict[str, Tensor] = {}
    for name, layer in lora.layers.items():
        if layout == "musubi":
            stem = "lora_unet_" + original_name(name).replace(".", "_")
            tensors[f"{stem}.lora_down.weight"], tensors[f"{stem}.lora_up.weight"] = layer.down, layer.up
            tensors[f"{stem}.alpha"] = torch.tensor(layer.alpha)
        elif layout == "diffusion_model":
            stem = f"diffusion_model.{original_name(name)}"
            tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"] = _folded(layer)
        else:
            stem = f"transformer.{name}"
            tensors[f"{stem}.lora_A.weight"], tensors[f"{stem}.lora_B.weight"] = layer.down, layer.up
    for name, offset in lora.offsets.items():
        module, _, leaf = name.rpartition(".")
        if leaf == "scale_shift_table":
            tensors[f"diffusion_model.{original_name(name)}.diff_m"] = offset
        else:
            tensors[f"diffusion_model.{original_name(module)}.diff{'_b' if leaf == 'bias' else ''}"] = offset
    if dtype is not None:
        tensors = {key: value if key.endswith(".alpha") else value.to(dtype) for key, value in tensors.items()}
    # What the old header says of layout and bytes is no longer true of this file.
    stale = ("format", "lora_adapter_metadata", "sshs_model_hash", "sshs_legacy_hash")
    header = {"format": "pt", **{key: value for key, value in lora.metadata.items() if key not in stale}}
    if layout == "musubi":
        header |= {
            "ss_network_module": "networks.lora_wan",
            "ss_network_dim": str(lora.ranks[0]),
            "ss_network_alpha": f"{next(iter(lora.layers.values())).alpha:g}",
            "ss_base_model_version": header.get("ss_base_model_version", "wan"),
        }
    if layout == "diffusers":
        config = {f"transformer.{key}": value for key, value in peft_config(lora.layers).items()}
        header["lora_adapter_metadata"] = json.dumps(config, indent=2, sort_keys=True)
    with replacing(path) as temporary:
        contiguous = {key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}
        save_file(contiguous, temporary, metadata={**header, **(metadata or {})})
    return Path(path)


def _incomplete(lora: Lora) -> str | None:
    """What keeps a LoRA from being a complete musubi file."""
    if lora.offsets:
        return f"it has {len(lora.offsets)} whole differences"
    with_image = lora.has_image_branch
    targets = TARGETS if with_image else tuple(name for name in TARGETS if name not in IMAGE_TARGETS)
    missing = [
        f"blocks.{block}.{target}"
        for block in range(lora.blocks)
        for target in targets
        if f"blocks.{block}.{target}" not in lora.layers
    ]
    extra = [name for name in lora.layers if block_of(name) is None]
    if missing:
        return f"it lacks {len(missing)} modules ({', '.join(missing[:3])})"
    return f"it changes {', '.join(extra[:3])} too" if extra else None


def _folded(layer: LoraLayer) -> tuple[Tensor, Tensor]:
    """down and up with the scale multiplied in, about half each; a power of two on one side, which rounds nothing."""
    scale = layer.alpha / layer.rank
    part = 2.0 ** round(math.log2(abs(scale)) / 2) if scale else 0.0
    return layer.down * part, layer.up * (scale / part if part else 0.0)
