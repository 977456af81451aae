"""What a weight file holds: a transformer, a text encoder, an image encoder or a codec, told by its keys and shapes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from motionloom.errors import CheckpointError
from motionloom.methods.tora.checkpoint import kind_of
from motionloom.models.checkpoints.image_encoder import image_width, is_image_encoder
from motionloom.models.checkpoints.text_encoder import is_text_encoder, text_encoder_config
from motionloom.models.checkpoints.vae import is_vae, latent_channels

Kind = Literal["transformer", "text_encoder", "image_encoder", "vae", "tora", "adapter", "fuser", "traj_extractor"]

WEIGHTS = (".safetensors", ".sft", ".gguf", ".pth", ".pt", ".ckpt", ".bin")
"""Suffixes of files that may hold weights; torch files are read as tensors only."""

CALLED: Mapping[str, str] = {
    "transformer": "the video transformer",
    "transformer_2": "the video transformer of the low-noise expert",
    "vae": "the video codec (VAE)",
    "text_encoder": "the umT5-xxl text encoder",
    "tokenizer": "the umT5-xxl tokenizer",
    "image_encoder": "the CLIP ViT-H/14 image encoder",
    "tora": "a CogVideoX transformer with Tora inside",
    "adapter": "an add-on of Tora",
    "fuser": "the fusers of Tora",
    "traj_extractor": "the trajectory extractor of Tora",
}


@dataclass(frozen=True)
class Contents:
    """What a weight file holds.

    Attributes:
        kind: which part of a pipeline; "tora": a CogVideoX transformer with what Tora adds inside; "adapter": what
            Tora adds, of which "fuser" and "traj_extractor" are the halves.
        width: what has to fit the transformer: channels of the text or image features, or of the latents; 0 elsewhere.
        shapes: by key, as stored.
        size: bytes of the files.
    """

    kind: Kind
    width: int
    shapes: Mapping[str, tuple[int, ...]]
    size: int


def contents(paths: Path | Iterable[Path]) -> Contents:
    """What one file, some shards, or a folder of shards holds. Only headers are read.

    Raises:
        CheckpointError: not readable, or none of the parts of a Wan pipeline; the message says what it looks like.
    """
    files = (paths,) if isinstance(paths, Path) else tuple(paths)
    stamps = tuple((path.stat().st_mtime_ns, path.stat().st_size) if path.exists() else (0, 0) for path in files)
    return _contents(files, stamps)


@lru_cache(maxsize=256)
def _contents(files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> Contents:
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.wan_transformer import architecture_of, describe

    where = files[0]
    source = open_source(files)
    shapes = source.shapes
    size = source.nbytes
    tora = kind_of(shapes)
    if tora is not None:
        return Contents(tora, 0, shapes, size)
    if is_vae(shapes):
        return Contents("vae", latent_channels(shapes) or 0, shapes, size)
    if is_image_encoder(shapes):
        return Contents("image_encoder", image_width(shapes), shapes, size)
    if is_text_encoder(shapes):
        return Contents("text_encoder", text_encoder_config(shapes, where)["d_model"], shapes, size)
    if _looks_like_lora(shapes):
        raise CheckpointError(
            f"{where}: holds a LoRA, not a model; give the model it was made for and add the file with --lora {where} "
            "(loras=[...] in Python)"
        )
    if is_transformer(shapes):
        architecture_of(source)
        return Contents("transformer", 0, shapes, size)
    raise CheckpointError(f"{where}: seems to be {describe(source)}; expected a part of a Wan image-to-video model")


def is_transformer(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether these are the tensors of a video transformer that embeds patches as those of Wan do."""
    return any(key.endswith("patch_embedding.weight") and len(shape) >= 4 for key, shape in shapes.items())


def _looks_like_lora(shapes: Mapping[str, tuple[int, ...]]) -> bool:
    marks = ("lora_down", "lora_up", "lora_A", "lora_B", "lora.down", "lora.up", "hada_w1", "lokr_w1")
    return any(mark in key for key in list(shapes)[:2000] for mark in marks)
