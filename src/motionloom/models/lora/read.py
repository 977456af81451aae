"""Reading LoRA files: the three layouts in use, complete or partial, into one form.

- "musubi": ``lora_unet_blocks_0_self_attn_q.{lora_down.weight, lora_up.weight, alpha}``, scale alpha / rank.
- "diffusion_model": ``diffusion_model.blocks.0.self_attn.q.{lora_A.weight, lora_B.weight}``, scale 1; also with
  ``lora_down``, ``lora_up`` and ``alpha``, and without prefix.
- "diffusers": ``transformer.blocks.0.attn1.to_q.{lora_A.weight, lora_B.weight}``, scale by the configuration in the
  header, else 1; also with peft's own prefix and its ``adapter_config.json`` beside the file.

Distilled models bring whole differences along: ``.diff`` of a weight, ``.diff_b`` of a bias, ``.diff_m`` of a
modulation.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from motionloom.errors import CheckpointError
from motionloom.models.lora.lora import Layout, Lora, LoraLayer
from motionloom.models.lora.names import module_name, table_name


def read_lora(path: str | Path) -> Lora:
    """The LoRA in a file, or in a folder that holds one.

    Torch files are read without running code from them. Nothing is cast: float16 and bfloat16 stay as they are.

    Raises:
        CheckpointError: no such file, damaged, not a LoRA of a Wan model, or of a kind that is no LoRA (LoKr, LoHa,
            DoRA, ...); the message names it.
    """
    file = find_lora(path)
    tensors, metadata = _read(file)
    layout = _layout(tensors)
    lora = _assemble(file, tensors, metadata, layout)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Lora(lora.layers, lora.offsets, metadata, layout, file, digest)


_KEY = re.compile(
    r"(?P<stem>.+?)\.(?:(?P<side>lora_down|lora_up|lora_A|lora_B|lora\.down|lora\.up)(?:\.\w+)??\.(?P<leaf>weight|bias)"
    r"|(?P<alpha>alpha)|(?P<diff>diff|diff_b|diff_m))"
)
_DOWN = ("lora_down", "lora_A", "lora.down")
_FLAT = re.compile(r"lora_(?:unet|transformer)_+")
_PREFIX = re.compile(r"(?:base_model\.model\.|model\.diffusion_model\.|diffusion_model\.|transformer\.|model\.)+")
_OTHER_KINDS = {
    "LoHa": ("hada_w",),
    "LoKr": ("lokr_",),
    "DoRA": ("dora_scale", "lora_magnitude_vector"),
    "LoCon with a Tucker core": ("lora_mid",),
    "OFT": ("oft_",),
    "IA3": ("ia3_", ".on_input"),
    "GLoRA": (".a1.weight", ".b1.weight"),
}
_OTHER_MODELS = {
    "Stable Diffusion": ("lora_te_", "lora_te1_", "down_blocks", "mid_block", "input_blocks"),
    "Flux or HunyuanVideo": ("double_blocks", "single_blocks", "single_transformer_blocks"),
    "LTX-Video, CogVideoX or Qwen-Image": ("transformer_blocks",),
}


def find_lora(path: str | Path) -> Path:
    """The file of a LoRA: the path itself, or the one in a folder.

    Raises:
        CheckpointError: there is none, or more than one; the message says what is there.
    """
    path = Path(path).expanduser()
    if path.is_file():
        return path
    if not path.is_dir():
        near = [other.name for other in sorted(path.parent.glob("*.safetensors"))] if path.parent.is_dir() else []
        there = f"; in that folder are {', '.join(near[:5])}" if near else ""
        raise CheckpointError(f"lora {path}: no such file{there}")
    for name in ("adapter_model.safetensors", "pytorch_lora_weights.safetensors"):
        if (path / name).is_file():
            return path / name
    found = sorted(path.glob("*.safetensors"))
    if len(found) != 1:
        names = ", ".join(file.name for file in found[:5]) or "none"
        raise CheckpointError(f"lora {path}: expected a file, or a folder with one .safetensors file; found {names}")
    return found[0]


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    with file.open("rb") as stream:
        start = stream.read(64)
    if start.startswith(b"version https://git-lfs"):
        raise CheckpointError(f"lora {file}: is a git-lfs pointer, not the weights; fetch the file itself")
    if start.lstrip()[:1] == b"<":
        raise CheckpointError(f"lora {file}: is a web page, not weights; download the file itself")
    try:
        if file.suffix == ".safetensors":
            with safe_open(file, "pt") as opened:
                return {key: opened.get_tensor(key) for key in opened.keys()}, opened.metadata() or {}  # noqa: SIM118
        loaded = torch.load(file, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, EOFError, ValueError) as error:
        raise CheckpointError(
            f"lora {file}: does not open, perhaps it is half downloaded ({' '.join(str(error).split())[:160]})"
        ) from error
    except Exception as error:
        # torch raises pickle's own errors for files that want to run code.
        raise CheckpointError(
            f"lora {file}: is not a plain file of tensors and is not read, since that would run code from it; "
            "get it as .safetensors"
        ) from error
    loaded = loaded.get("state_dict", loaded) if isinstance(loaded, dict) else {}
    return {str(key): value for key, value in loaded.items() if isinstance(value, Tensor)}, {}


def _layout(tensors: Mapping[str, Tensor]) -> Layout:
    if any(_FLAT.match(key) for key in tensors):
        return "musubi"
    return "diffusers" if any(re.search(r"\.attn[12]\.|ffn\.net\.", key) for key in tensors) else "diffusion_model"


def _assemble(file: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str], layout: Layout) -> Lora:
    _refuse_other_kinds(file, tensors)
    downs: dict[str, Tensor] = {}
    ups: dict[str, Tensor] = {}
    alphas: dict[str, float] = {}
    offsets: dict[str, Tensor] = {}
    biases: dict[str, Tensor] = {}
    unknown: list[str] = []
    for key, tensor in tensors.items():
        match = _KEY.fullmatch(key)
        stem = match["stem"] if match else ""
        stem = _FLAT.sub("", stem, count=1) if _FLAT.match(stem) else _PREFIX.sub("", stem, count=1)
        name = None
        if match is not None:
            name = table_name(stem) if match["diff"] == "diff_m" else module_name(stem)
        if match is None or name is None:
            unknown.append(key)
        elif match["alpha"]:
            if tensor.numel() != 1:
                raise CheckpointError(f"lora {file}: damaged, {key} is {list(tensor.shape)}, expected one number")
            alphas[name] = float(tensor)
        elif match["diff"]:
            leaf = {"diff": ".weight", "diff_b": ".bias", "diff_m": ""}[match["diff"]]
            offsets[name + leaf] = tensor
        elif match["leaf"] == "bias":
            biases[name] = tensor
        else:
            (downs if match["side"] in _DOWN else ups)[name] = tensor
    if unknown:
        raise CheckpointError(_unknown_text(file, unknown, len(tensors)))
    lonely = sorted(downs.keys() ^ ups.keys()) + sorted((alphas.keys() | biases.keys()) - downs.keys())
    if lonely:
        raise CheckpointError(
            f"lora {file}: damaged, {len(lonely)} modules lack one of their two factors ({', '.join(lonely[:4])})"
        )
    if not downs and not offsets:
        raise CheckpointError(f"lora {file}: holds no LoRA weights ({len(tensors)} tensors)")
    alpha_of = _alpha_of_config(file, metadata)
    layers = {}
    for name, down in downs.items():
        up, rank = ups[name], down.shape[0]
        if down.ndim < 2 or up.ndim < 2 or up.shape[1] != rank:
            raise CheckpointError(
                f"lora {file}: {name} has factors {list(up.shape)} and {list(down.shape)}, which do not multiply"
            )
        layers[name] = LoraLayer(down, up, alphas.get(name, alpha_of(name, rank)))
        if name in biases:
            offsets[f"{name}.bias"] = biases[name] * (layers[name].alpha / rank)
    for name, tensor in [*downs.items(), *ups.items(), *offsets.items()]:
        if not bool(torch.isfinite(tensor.float()).all()):
            raise CheckpointError(f"lora {file}: damaged, {name} holds values that are not finite")
    return Lora(layers, offsets)


def _alpha_of_config(file: Path, metadata: Mapping[str, str]) -> Callable[[str, int], float]:
    """alpha of (module, rank) by peft's configuration, in the header or beside the file; without one, the rank."""
    beside = file.with_name("adapter_config.json")
    text = metadata.get("lora_adapter_metadata")
    if text is None and file.name == "adapter_model.safetensors" and beside.is_file():
        text = beside.read_text(encoding="utf-8")
    if text is None:
        return lambda name, rank: float(rank)
    try:
        config = {key.removeprefix("transformer."): value for key, value in json.loads(text).items()}
        alpha = config.get("lora_alpha")
        patterns = {str(key): float(value) for key, value in (config.get("alpha_pattern") or {}).items()}
        alpha = None if alpha is None else float(alpha)
    except (ValueError, TypeError, AttributeError) as error:
        raise CheckpointError(f"lora {file}: its adapter configuration is damaged ({error})") from error
    if config.get("use_dora"):
        raise CheckpointError(f"lora {file}: is a DoRA, which is not supported; use a plain LoRA")
    root = bool(config.get("use_rslora"))  # scale alpha / sqrt(rank)

    def alpha_of(name: str, rank: int) -> float:
        own = next((v for key, v in patterns.items() if name == key or name.endswith(f".{key.lstrip('^')}")), alpha)
        own = float(rank) if own is None else own
        return own * math.sqrt(rank) if root else own

    return alpha_of


def _refuse_other_kinds(file: Path, tensors: Mapping[str, Tensor]) -> None:
    for kind, marks in _OTHER_KINDS.items():
        key = next((key for key in tensors if any(mark in key for mark in marks)), None)
        if key is not None:
            raise CheckpointError(f"lora {file}: is a {kind} ({key}), which is not supported; use a plain LoRA")
    if any(key.startswith("transformer_2.") for key in tensors):
        raise CheckpointError(
            f"lora {file}: holds LoRAs of both experts (transformer and transformer_2); split it into two files"
        )


def _unknown_text(file: Path, unknown: list[str], total: int) -> str:
    text = f"lora {file}: {len(unknown)} of {total} keys are not of a Wan LoRA ({', '.join(unknown[:3])})"
    if any(key.endswith(("patch_embedding.weight", "self_attn.q.weight", "attn1.to_q.weight")) for key in unknown):
        return f"{text}; it looks like a whole model, expected a LoRA"
    for model, marks in _OTHER_MODELS.items():
        if any(mark in key for key in unknown for mark in marks):
            return f"{text}; it looks made for {model}"
    return text
