"""Whether a LoRA fits a model, which expert it is for, and whether two files are a pair: settled before attaching."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from torch import Tensor, nn

from motionloom.errors import CheckpointError, InputError
from motionloom.models.lora.lora import Lora, LoraLayer, is_of_image_branch
from motionloom.models.lora.spec import LoraSpec

# Timesteps: the experts of Wan 2.2 meet at 900 (image to video) or 875 (text to video).
_HIGH_FROM, _LOW_UP_TO = 850.0, 925.0
_KNOWN_BASES = {
    (1536, 30, False): "Wan2.1 T2V-1.3B",
    (1536, 30, True): "a Wan2.1 1.3B image-to-video model",
    (3072, 30, False): "Wan2.2 TI2V-5B",
    (5120, 40, False): "a Wan 14B model without image branch (Wan2.1 T2V-14B, Wan2.2 A14B)",
    (5120, 40, True): "Wan2.1 I2V-14B",
}
_NOISE_WORDS = {"high", "low", "noise", "highnoise", "lownoise", "hn", "ln", "h", "l"}
# Words that make "high" or "low" say something else than how much noise.
_NOT_NOISE = {"res", "resolution", "poly", "key", "light", "lighting", "angle", "quality", "contrast", "vram", "rank"}


def experts_for(spec: LoraSpec, lora: Lora, experts: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """The experts a LoRA goes to, and how that was found out.

    Args:
        experts: those of the model: ("high", "low"), or ("only",).

    Raises:
        InputError: the spec names an expert that the model does not have.
    """
    if spec.expert in ("high", "low"):
        if spec.expert not in experts:
            raise InputError(
                f"lora {lora.label}: is to go to the {spec.expert}-noise expert, but this model has one transformer "
                f"only; leave :{spec.expert} out, or choose a Wan 2.2 A14B model"
            )
        return (spec.expert,), "as asked"
    if len(experts) == 1 or spec.expert == "both":
        return tuple(experts), "as asked" if spec.expert else "the only one"
    for found, source in ((expert_in_header(lora), "its header"), (expert_in_name(lora.label), "its name")):
        if found is not None:
            return (found,), source
    return tuple(experts), "nothing says which"


def expert_in_header(lora: Lora) -> str | None:
    """By ``modelspec.timestep_range``, which musubi-tuner writes when it trains on a part of the denoising."""
    numbers = re.findall(r"\d+(?:\.\d+)?", lora.metadata.get("modelspec.timestep_range", ""))
    if len(numbers) != 2:
        return None
    low, high = (float(number) for number in numbers)
    if low >= _HIGH_FROM:
        return "high"
    return "low" if high <= _LOW_UP_TO else None


def expert_in_name(name: str) -> str | None:
    """By words such as high, HighNoise, high_noise, or a last letter h; None where there are none, or both."""
    words = _words(name)
    found = {
        {"highnoise": "high", "lownoise": "low", "hn": "high", "ln": "low"}.get(word, word)
        for word, following in pairwise([*words, ""])
        if following not in _NOT_NOISE
    } & {"high", "low"}
    if not found and words and words[-1] in ("h", "l"):
        found = {"high" if words[-1] == "h" else "low"}
    return found.pop() if len(found) == 1 else None


def name_without_expert(name: str) -> str:
    """A file's name without the words that say for which expert it is: the same for both halves of a pair."""
    return " ".join(word for word in _words(name) if word not in _NOISE_WORDS)


def fitted(lora: Lora, transformer: nn.Module) -> tuple[Lora, list[str]]:
    """The part of a LoRA that a model has a use for, and the names of what is left out.

    Left out are the image branch of Wan 2.1 on a model without one, and a patch embedding of another number of input
    channels (text-to-video LoRAs on an image-to-video model). Anything else that does not fit is an error.

    Raises:
        CheckpointError: made for another base; the message says what was found, what fits, and which base it looks made
            for.
    """
    refuse_fused(lora, transformer)
    layers: dict[str, LoraLayer] = {}
    offsets: dict[str, Tensor] = {}
    left_out: list[str] = []
    misfits: list[str] = []
    for name, layer in lora.layers.items():
        module = base_module(transformer, name)
        weight = None if module is None else _weight_shape(module)
        found = (layer.up.shape[0], layer.down.shape[1])
        # Text-to-video LoRAs may change a patch embedding of fewer input channels.
        other_input = weight is not None and name == "patch_embedding" and weight[0] == found[0]
        if weight == found and layer.down.shape[2:] in ((), getattr(module, "kernel_size", ())):
            layers[name] = layer
        elif other_input or (weight is None and is_of_image_branch(name)):
            left_out.append(name)
        else:
            misfits.append(f"{name} is {list(found)}, here {list(weight) if weight else 'there is none'}")
    for name, offset in lora.offsets.items():
        there = parameter_of(transformer, name)
        if there is not None and _same(tuple(there.shape), tuple(offset.shape), there, name):
            offsets[name] = offset
        elif (there is None and is_of_image_branch(name)) or name == "patch_embedding.weight":
            left_out.append(name)
        else:
            misfits.append(f"{name} is {list(offset.shape)}, here {list(there.shape) if there is not None else 'none'}")
    if misfits:
        total = len(lora.layers) + len(lora.offsets)
        raise CheckpointError(
            f"lora {lora.label}: made for another base: {len(misfits)} of its {total} changes do not fit "
            f"({'; '.join(misfits[:2])}). It looks made for {_base_of(lora)}; this model is "
            f"{_base_of_model(transformer)}"
        )
    if not layers and not offsets:
        raise CheckpointError(f"lora {lora.label}: nothing of it is left on this model, which has no image branch")
    return replace(lora, layers=layers, offsets=offsets), left_out


def base_module(transformer: nn.Module, name: str) -> nn.Module | None:
    """The module of a name, below the adapters that wrap it."""
    try:
        module = transformer.get_submodule(name)
    except AttributeError:
        return None
    while isinstance(inner := getattr(module, "base_layer", None), nn.Module):
        module = inner
    return module


def parameter_of(transformer: nn.Module, name: str) -> nn.Parameter | None:
    """The parameter of a name, below the adapters that wrap its module."""
    module, _, leaf = name.rpartition(".")
    owner = base_module(transformer, module) if module else transformer
    found = getattr(owner, leaf, None)
    return found if isinstance(found, nn.Parameter) else None


def refuse_fused(lora: Lora, transformer: nn.Module) -> None:
    """Fused projections do not call the modules that a LoRA wraps; it would be attached without any effect."""
    if any(getattr(module, "fused_projections", False) for module in transformer.modules()):
        raise CheckpointError(
            f"lora {lora.label}: the model's query, key and value projections are fused, where a LoRA has no effect; "
            "call unfuse_qkv_projections() first, and load LoRAs before fusing"
        )


def pair_warnings(high: Lora, low: Lora) -> list[str]:
    """What is odd about two files as the two halves of one LoRA.

    Raises:
        CheckpointError: the headers say that they are swapped.
    """
    label = f"loras {high.label} (high) and {low.label} (low)"
    if expert_in_header(high) == "low" and expert_in_header(low) == "high":
        raise CheckpointError(f"{label}: swapped, their headers say so; exchange :high and :low")
    odd = []
    if high.sha256 is not None and high.sha256 == low.sha256:
        return [f"{label}: the same file twice; trained pairs differ"]
    if expert_in_name(high.label) == "low" and expert_in_name(low.label) == "high":
        odd.append("their names say that they are swapped")
    facts = (
        ("rank", high.ranks, low.ranks),
        ("number of blocks", high.blocks, low.blocks),
        ("number type", str(high.dtype).removeprefix("torch."), str(low.dtype).removeprefix("torch.")),
    )
    odd += [f"{name} {one} and {other}" for name, one, other in facts if one != other]
    different = sorted(high.layers.keys() ^ low.layers.keys())
    if different and high.blocks == low.blocks:
        odd.append(f"{len(different)} modules are in one of them only, such as {different[0]}")
    return [f"{label}: do not look like a pair ({'; '.join(odd)})"] if odd else []


def _words(name: str) -> list[str]:
    stem = re.sub(r"\.(safetensors|pth|pt|bin|ckpt)$", "", name, flags=re.IGNORECASE)
    stem = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", stem)
    return [word.lower() for word in re.split(r"[^A-Za-z0-9]+", stem) if word]


def _weight_shape(module: nn.Module) -> tuple[int, int] | None:
    """(out, in) of a linear or convolution layer, also where the weight is packed."""
    for names in (("out_features", "in_features"), ("out_channels", "in_channels")):
        if all(isinstance(getattr(module, name, None), int) for name in names):
            return getattr(module, names[0]), getattr(module, names[1])
    return None


def _same(there: tuple[int, ...], found: tuple[int, ...], parameter: Tensor, name: str) -> bool:
    # A packed weight has another shape than it stands for; `attach` says that it cannot be changed.
    packed = name.endswith(".weight") and not parameter.dtype.is_floating_point
    return packed or there == found


def _base_of(lora: Lora) -> str:
    return _described(lora.width, lora.blocks, lora.has_image_branch)


def _base_of_model(transformer: nn.Module) -> str:
    blocks = len(getattr(transformer, "blocks", ()))
    query = base_module(transformer, "blocks.0.attn1.to_q")
    shape = None if query is None else _weight_shape(query)
    has_image = base_module(transformer, "blocks.0.attn2.add_k_proj") is not None
    return _described(shape[1] if shape else None, blocks, has_image)


def _described(width: int | None, blocks: int, has_image: bool) -> str:
    branch = ", with an image branch" if has_image else ""
    sizes = f"{blocks} block{'' if blocks == 1 else 's'} of width {width or 'unknown'}{branch}"
    known: Mapping[tuple[int, int, bool], str] = _KNOWN_BASES
    name = known.get((width or 0, blocks, has_image))
    return f"{name} ({sizes})" if name else sizes
