"""Tiny transformers of the published architectures, and writers for every layout their weights come in."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor, nn

from motionloom.models.checkpoints.wan_keys import original_key, to_original

MANIFESTS = Path(__file__).parents[2] / "golden" / "manifests"

TINY: dict[str, Any] = {
    "num_attention_heads": 4,
    "attention_head_dim": 16,
    "in_channels": 36,
    "out_channels": 16,
    "text_dim": 32,
    "freq_dim": 32,
    "ffn_dim": 128,
    "num_layers": 2,
    "rope_max_seq_len": 32,
}
KINDS: dict[str, dict[str, Any]] = {
    "wan2.1-i2v-14b": {"image_dim": 32, "added_kv_proj_dim": 64},
    "wan2.2-i2v-a14b": {},
    "wan2.2-ti2v-5b": {"in_channels": 48, "out_channels": 48},
}


def tiny(kind: str = "wan2.2-i2v-a14b", seed: int = 0, **changes: Any) -> WanTransformer3DModel:
    """A random model with the layout of a published one; all parameters random, norms and biases too."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = WanTransformer3DModel(**{**TINY, **KINDS[kind], **changes}).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.requires_grad_(False)


@torch.no_grad()
def forward(model: WanTransformer3DModel, dtype: torch.dtype = torch.float32) -> Tensor:
    """What a model makes of fixed inputs."""
    generator = torch.Generator().manual_seed(7)
    config = model.config
    latents = torch.randn(1, config.in_channels, 2, 4, 4, generator=generator).to(dtype)
    text = torch.randn(1, 512, config.text_dim, generator=generator).to(dtype)
    image = torch.randn(1, 5, config.image_dim, generator=generator).to(dtype) if config.image_dim else None
    return model(latents, torch.tensor([500.0]), text, image, return_dict=False)[0].float()


def original_config(model: WanTransformer3DModel) -> dict[str, Any]:
    """config.json of the published programs."""
    config = model.config
    return {
        "_class_name": "WanModel",
        "model_type": "i2v",
        "dim": config.num_attention_heads * config.attention_head_dim,
        "num_heads": config.num_attention_heads,
        "in_dim": config.in_channels,
        "out_dim": config.out_channels,
        "ffn_dim": config.ffn_dim,
        "freq_dim": config.freq_dim,
        "text_len": 512,
        "num_layers": config.num_layers,
        "eps": config.eps,
    }


def weights(model: nn.Module, *, names: str = "original", prefix: str = "", dtype: torch.dtype | None = None):
    """State dict in one of the two namings, with a prefix and in another type."""
    state = model.state_dict()
    state = to_original(state) if names == "original" else state
    return {prefix + key: tensor.to(dtype or tensor.dtype).contiguous() for key, tensor in state.items()}


def save_weights(tensors: dict[str, Tensor], path: Path, wrap: str | None = None) -> Path:
    """One file, its kind by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".safetensors":
        save_file(tensors, path)
    else:
        torch.save({wrap: tensors, "epoch": 3} if wrap else tensors, path)
    return path


def save_original(
    model: WanTransformer3DModel,
    folder: Path,
    *,
    shards: int = 3,
    prefix: str = "",
    dtype: torch.dtype | None = None,
    names: str = "original",
    suffix: str = ".safetensors",
    config: bool = True,
) -> Path:
    """A folder as the authors publish it: shards, their index, and config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = weights(model, names=names, prefix=prefix, dtype=dtype)
    keys = list(tensors)
    stem = "diffusion_pytorch_model"
    weight_map: dict[str, str] = {}
    for number in range(shards):
        part = keys[number * len(keys) // shards : (number + 1) * len(keys) // shards]
        name = f"{stem}-{number + 1:05d}-of-{shards:05d}{suffix}" if shards > 1 else stem + suffix
        save_weights({key: tensors[key] for key in part}, folder / name)
        weight_map |= dict.fromkeys(part, name)
    if shards > 1:
        size = sum(tensor.nbytes for tensor in tensors.values())
        index = {"metadata": {"total_size": size}, "weight_map": weight_map}
        (folder / f"{stem}{suffix}.index.json").write_text(json.dumps(index))
    if config:
        (folder / "config.json").write_text(json.dumps(original_config(model)))
    return folder


def save_float8(
    model: WanTransformer3DModel,
    path: Path,
    *,
    style: str = "plain",
    prefix: str = "",
    names: str = "original",
    kind: torch.dtype = torch.float8_e4m3fn,
    rest: torch.dtype = torch.bfloat16,
) -> WanTransformer3DModel:
    """One file with the linear layers of the blocks in float8; returns the model with the values the file means.

    Args:
        style: "plain", "scaled" (ComfyUI, one scale_weight a layer), "rows" (one for each row), "comfy_quant" (newer
            files), "blocks" (16 x 32).
    """
    tensors: dict[str, Tensor] = {}
    meant: dict[str, Tensor] = {}
    top = torch.finfo(kind).max
    for name, tensor in model.state_dict().items():
        key = prefix + ((original_key(name) or "") if names == "original" else name)
        layer = key.removesuffix(".weight")
        if tensor.ndim != 2 or "blocks" not in name or not name.endswith(".weight"):
            tensors[key] = tensor.to(rest)
            meant[name] = tensors[key].float()
            continue
        if style == "plain":
            tensors[key] = tensor.to(kind)
            meant[name] = tensors[key].float()
            continue
        # Divided by what makes the largest value the largest there is, as ComfyUI does.
        if style == "blocks":
            rows, columns = tensor.shape[0] // 16, tensor.shape[1] // 32
            scale = tensor.reshape(rows, 16, columns, 32).abs().amax((1, 3)) / top
            spread = scale.repeat_interleave(16, 0).repeat_interleave(32, 1)
        elif style == "rows":
            scale = tensor.abs().amax(1) / top
            spread = scale[:, None]
        else:
            scale = tensor.abs().max() / top
            spread = scale
        tensors[key] = (tensor / spread).clamp(-top, top).to(kind)
        meant[name] = tensors[key].float() * spread
        if style in ("comfy_quant", "blocks"):
            note = "float8_e4m3fn_blockwise" if style == "blocks" else str(kind).removeprefix("torch.")
            tensors[f"{layer}.weight_scale"] = scale
            tensors[f"{layer}.comfy_quant"] = torch.tensor([*json.dumps({"format": note}).encode()], dtype=torch.uint8)
        else:
            tensors[f"{layer}.scale_weight"] = scale
            tensors[f"{layer}.scale_input"] = torch.tensor(1.0)
    if style in ("scaled", "rows"):
        tensors[f"{prefix}scaled_fp8"] = torch.empty(2, dtype=kind)
    save_weights(tensors, path)
    copy = WanTransformer3DModel.from_config(model.config)
    copy.load_state_dict(meant)
    return copy.eval().requires_grad_(False)


def save_gguf(model: WanTransformer3DModel, path: Path, kind: str = "Q8_0", *, trim: bool = False) -> Path:
    """The linear layers quantised, all else in float32, in the published names.

    Args:
        trim: sides of one are left out and the five sides of the patch embedding made four, as converters do.
    """
    import gguf

    writer = gguf.GGUFWriter(path, "wan")
    for key, tensor in weights(model).items():
        values = tensor.float().numpy()
        if values.ndim == 2 and key.endswith(".weight") and "blocks" in key and values.shape[1] % 32 == 0:
            packed = gguf.quantize(values, gguf.GGMLQuantizationType[kind])
            writer.add_tensor(key, packed, raw_dtype=gguf.GGMLQuantizationType[kind])
            continue
        if trim and values.ndim == 5:
            values = values.reshape(-1, *values.shape[2:])
        elif trim and values.ndim == 3:
            values = values[0]
        writer.add_tensor(key, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def manifest(name: str) -> dict[str, tuple[int, ...]]:
    """Shape by key of a published file."""
    with gzip.open(MANIFESTS / f"{name}.json.gz", "rt") as file:
        return {key: tuple(shape) for key, (shape, _) in json.load(file).items()}


def sparse_safetensors(path: Path, shapes: dict[str, tuple[int, ...]], dtype: str = "F32", width: int = 4) -> Path:
    """A safetensors file of any size that takes no room on the disk: all zeros, only its header is written."""
    header: dict[str, Any] = {}
    end = 0
    for key, shape in shapes.items():
        size = width
        for side in shape:
            size *= side
        header[key] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)
    return path


@pytest.fixture(scope="session")
def wan() -> SimpleNamespace:
    """Tiny models and the writers above."""
    return SimpleNamespace(
        KINDS=tuple(KINDS),
        tiny=tiny,
        forward=forward,
        original_config=original_config,
        weights=weights,
        save_weights=save_weights,
        save_original=save_original,
        save_float8=save_float8,
        save_gguf=save_gguf,
        manifest=manifest,
        sparse_safetensors=sparse_safetensors,
    )


@pytest.fixture
def refused() -> Callable[..., str]:
    """The message of the `CheckpointError` that a call ends in."""
    from motionloom.errors import CheckpointError

    def message(call: Callable[..., Any], *arguments: Any, **options: Any) -> str:
        with pytest.raises(CheckpointError) as caught:
            call(*arguments, **options)
        return str(caught.value)

    return message
