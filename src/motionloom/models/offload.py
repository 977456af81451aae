"""Carrying out a memory plan with the features of diffusers.

The order matters: LoRAs are attached before (one that comes after fp8 storage is stored in fp8 itself, and nothing
computes in that), then fp8 storage, then offloading (which keeps a copy of the weights as it finds them), and last
whatever `models.speed` switches on.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from motionloom.errors import InputError
from motionloom.models.footprint import castable_layers
from motionloom.models.memory_plans import PINNED_PIECE

if TYPE_CHECKING:
    from motionloom.models.memory_plans import Plan

_ENCODERS = ("text_encoder", "image_encoder")
_TRANSFORMERS = ("transformer", "transformer_2")


def apply(plan: Plan, pipeline: Any, device: Any, *, placed: Collection[str] = ()) -> None:
    """Put a loaded pipeline in place as a plan says. Once for a pipeline, after its LoRAs are attached.

    Args:
        pipeline: its parts on the CPU, as loaded.
        placed: parts that `place` has seen to already.
        device: where it will run; may be the CPU, where every plan but "model" works and gives the same clip.

    Raises:
        InputError: the pipeline was put in place before.
    """
    where = torch.device(device)
    if not placed and is_offloaded(pipeline):
        raise InputError("memory: a plan is in force for this pipeline already; load the model again for another")
    for name, part in _parts(pipeline).items():
        if name not in placed:
            place(plan, name, part, where)
    if plan.offload == "model" and where.type != "cpu":
        pipeline.enable_model_cpu_offload(device=where)
    vae = getattr(pipeline, "vae", None)
    for wanted, switch in ((plan.vae_tiling, "enable_tiling"), (plan.vae_slicing, "enable_slicing")):
        if wanted and hasattr(vae, switch):
            getattr(vae, switch)()


def place(plan: Plan, name: str, part: nn.Module, device: torch.device) -> None:
    """What `apply` does to one part, by its name in the pipeline. A loader may call it as soon as the part is there, so
    that RAM never holds two."""
    if name in _TRANSFORMERS and plan.transformer_storage == "fp8":
        store_in_fp8(part)
    if plan.offload == "model":
        if device.type == "cpu":
            part.to(device)
    elif name in _TRANSFORMERS and plan.offload in ("group", "group+disk"):
        _offload_blocks(part, device, _disk_folder(part) if plan.offload == "group+disk" else None)
    elif name in _ENCODERS and (plan.offload is not None or plan.unload_text_encoder):
        _offload_layers(part, device, _disk_folder(part) if plan.offload == "group+disk" else None)
    elif name == "adapter" and plan.offload is not None:
        # The extractor works once, each fuser inside a block of the transformer: which layer comes next, and is to be
        # brought in meanwhile, is learnt from a call of the whole, so each is a whole by itself.
        for piece in part.children():
            for whole in piece if isinstance(piece, nn.ModuleList) else [piece]:
                _offload_layers(whole, device, _disk_folder(whole) if plan.offload == "group+disk" else None)
    else:
        part.to(device)


def store_in_fp8(transformer: Any) -> int:
    """Keep the weights of a transformer's blocks in 8 bits and bring each layer back to the present type when it works.

    Norms, embeddings, adapters and layers that are quantised already are left alone. Rounding to e4m3 changes a weight
    by up to 1/16 of itself.

    Returns:
        How many layers are stored so; 0 where there was nothing to do.
    """
    layers = castable_layers(transformer)
    if layers:
        compute_from_fp8(transformer, transformer.dtype)
    return len(layers)


def compute_from_fp8(transformer: Any, compute_dtype: torch.dtype) -> None:
    """Round the layers that can be to 8 bits, where they are not yet, and bring each to ``compute_dtype`` when it
    works."""
    # By kind, layers that must not be touched: whatever is computed with in its own way.
    others = {
        type(layer)
        for layer in transformer.modules()
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d | nn.Embedding)
    } - {nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Embedding}
    transformer.enable_layerwise_casting(
        storage_dtype=torch.float8_e4m3fn, compute_dtype=compute_dtype, skip_modules_classes=tuple(others)
    )


def is_offloaded(pipeline: Any) -> bool:
    """Whether parts of a pipeline are moved about by hooks."""
    if getattr(pipeline, "_all_hooks", None):
        return True
    return any(_has_group_hook(part) for part in _parts(pipeline).values())


@contextmanager
def present(pipeline: Any, name: str, device: Any) -> Iterator[None]:
    """A part on ``device`` while inside and back in RAM after, where no hook looks after it.

    For pipelines put together by hand; a part that a plan offloads, or that is None, is left alone.
    """
    part = getattr(pipeline, name, None)
    if part is None or _has_hook(part):
        yield
        return
    part.to(torch.device(device))
    try:
        yield
    finally:
        release(pipeline, name)


def release(pipeline: Any, *names: str) -> None:
    """Move parts to RAM and give their GPU memory back, where no hook looks after them.

    A pipeline with parts on several devices runs on that of whichever part it looks at first: move them back, or hand
    in what they would have computed, before the next call.
    """
    for name in names:
        part = getattr(pipeline, name, None)
        if part is not None and not _has_hook(part):
            part.to("cpu")
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def pin(part: nn.Module, empty: Callable[[int], torch.Tensor] | None = None) -> int:
    """Move the weights of a part into page-locked memory, from which a GPU copies while it computes.

    They are packed into a few large pieces, tensor by tensor. diffusers would pin every tensor by itself, which holds
    all weights twice meanwhile, and torch rounds each up to a power of two: half as much again for the 14B models.

    Args:
        empty: gives so many bytes, uint8; page-locked ones when not given.

    Returns:
        How many bytes were moved. Weights of other kinds than plain tensors (GGUF), and what comes after the system has
        refused to lock more, stay where they are, and are pinned one block at a time when they are needed.
    """
    make = empty or (lambda count: torch.empty(count, dtype=torch.uint8, pin_memory=True))
    plain = (torch.Tensor, nn.Parameter)
    tensors = (*part.parameters(), *part.buffers())
    found = {id(tensor): tensor for tensor in tensors if type(tensor) in plain and tensor.numel()}
    left = sum(map(_room, found.values()))
    pieces: list[tuple[torch.Tensor, int]] = []
    moved = 0
    # The largest first: the small ones fill what they leave.
    for tensor in sorted(found.values(), key=_room, reverse=True):
        count = tensor.nbytes
        place = next((index for index, (piece, used) in enumerate(pieces) if used + count <= len(piece)), None)
        if place is None:
            size = max(count, min(PINNED_PIECE, 1 << (left - 1).bit_length()))
            try:
                pieces.append((make(size), 0))
            except RuntimeError:  # some systems let a program lock half of their memory only
                return moved
            place = len(pieces) - 1
        piece, used = pieces[place]
        kept = piece[used : used + count].view(tensor.dtype).view(tensor.shape)
        kept.copy_(tensor.data)
        tensor.data = kept
        pieces[place] = piece, used + _room(tensor)
        left -= _room(tensor)
        moved += count
    return moved


def _room(tensor: torch.Tensor) -> int:
    """Bytes of a tensor with those up to the next place where one may begin."""
    return -(-tensor.nbytes // 512) * 512


def _offload_blocks(transformer: Any, device: torch.device, folder: str | None) -> None:
    if device.type == "cuda" and folder is None:
        pin(transformer)
    transformer.enable_group_offload(
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
        # A second stream brings the next block in while this one works.
        use_stream=device.type == "cuda",
        offload_to_disk_path=folder,
        # What is pinned already stays so; anything else diffusers would copy, all at once.
        low_cpu_mem_usage=device.type == "cuda",
    )


def _offload_layers(encoder: nn.Module, device: torch.device, folder: str | None) -> None:
    from diffusers.hooks.group_offloading import apply_group_offloading

    _merge_tied(encoder)
    apply_group_offloading(
        encoder,
        onload_device=device,
        offload_device=torch.device("cpu"),
        offload_type="leaf_level",
        use_stream=device.type == "cuda",
        offload_to_disk_path=folder,
        # Pinning 11 GB for one prompt would cost more than it wins.
        low_cpu_mem_usage=device.type == "cuda",
    )


def _merge_tied(encoder: nn.Module) -> None:
    """Make layers that share their weights one layer. As two they would be written to disk one after the other, the
    second when its weights are gone already (umT5 then reads noise for every word), and one of them never runs, which
    bringing layers in ahead of time relies on."""
    first: dict[tuple[type, tuple[int, ...]], nn.Module] = {}
    for parent in list(encoder.modules()):
        for name, child in list(parent.named_children()):
            own = tuple(id(parameter) for parameter in child.parameters(recurse=False))
            if own and not any(child.children()):
                setattr(parent, name, first.setdefault((type(child), own), child))


def _disk_folder(part: nn.Module) -> str:
    """A new folder for one part, gone with it: files in it are named by their place in a part, and one that exists is
    taken for the right one, so two parts in one folder would share their weights."""
    folder = tempfile.mkdtemp(prefix="motionloom-weights-")
    weakref.finalize(part, shutil.rmtree, folder, ignore_errors=True)
    return str(Path(folder))


def _parts(pipeline: Any) -> dict[str, nn.Module]:
    return {name: part for name, part in pipeline.components.items() if isinstance(part, nn.Module)}


def _has_group_hook(part: nn.Module) -> bool:
    from diffusers.hooks.group_offloading import _is_group_offload_enabled

    return _is_group_offload_enabled(part)


def _has_hook(part: nn.Module) -> bool:
    return _has_group_hook(part) or hasattr(part, "_hf_hook")
