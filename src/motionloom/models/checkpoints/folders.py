"""What lies in a folder of weights: files that hold them, their index, their configuration."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.parts import WEIGHTS


def weights_in(folder: Path) -> tuple[Path, ...]:
    """What `source.open_source` is to open for the one model in a folder: its index, its files, or none there are.

    Of several sets that lie side by side (types, variants) the one with the plain name is taken.
    """
    if not folder.is_dir():
        return ()
    plainest = sorted(folder.glob("*.index.json"), key=lambda path: (path.name.count("."), len(path.name)))
    if plainest:
        return (plainest[0],)
    named = sorted(folder.glob("diffusion_pytorch_model*.safetensors"))
    if named:  # any one shard stands for its set
        return (min(named, key=lambda path: (not is_shard(path), len(path.name), path.name)),)
    return (folder,) if any(is_weights(path) for path in folder.iterdir()) else ()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        CheckpointError: no such file, not JSON, or not an object.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected a model folder in diffusers' layout")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds a {type(value).__name__}, expected an object")
    return value


def is_searched(path: Path) -> bool:
    """Whether to look into a file in a folder of many. Old torch files would have to be read as a whole."""
    return is_weights(path) and path.suffix in (".safetensors", ".sft", ".gguf", ".pth")


def is_weights(path: Path) -> bool:
    """Whether a path is a file with weights in it, by its name."""
    return path.suffix in WEIGHTS and not path.name.startswith(".") and path.is_file()


def is_shard(path: Path) -> bool:
    """Whether a file is one of several that hold a model, by its name."""
    return re.search(r"-\d{5}-of-\d{5}\.", path.name) is not None


def config_beside(path: Path) -> Path | None:
    """The config.json in the folder of a file."""
    config = path.parent / "config.json"
    return config if config.is_file() else None
