"""From files to a model: catalogue names, and folders in diffusers' layout."""

from __future__ import annotations

import hashlib
import importlib
import json
import re
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError, InputError
from motionloom.models.catalog import ModelCard, find_model
from motionloom.models.model import Model, WarpModel

# What a model_index.json may name. Anything else would let a downloaded folder choose what code runs.
_LIBRARIES = ("diffusers", "transformers", "motionloom.models.nano.codec")
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")
_HUB_FILES = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.model", "*/*.txt")
_PARTS = (
    "transformer",
    "transformer_2",
    "vae",
    "scheduler",
    "text_encoder",
    "tokenizer",
    "image_encoder",
    "image_processor",
)


def load(name: str | Path, *, method: str | None = None, dtype: Any | None = None, device: str | None = None) -> Model:
    """A model, ready to generate.

    Args:
        name: a name of ``motionloom models list``, a folder in diffusers' layout with a Wan image-to-video model, or
            the hub id ("owner/name") of such a folder, downloaded with progress unless it is in the hub's cache.
        method: how tracks guide it ("ati", "wan_move"); the catalogue's first when not given.
        dtype: torch dtype of the transformer; float32 on a CPU, bfloat16 elsewhere when not given.
        device: "cpu", "cuda", ...; a GPU if there is one when not given.

    Raises:
        InputError: no such model or method.
        CheckpointError: the files are missing, incomplete, or of another architecture.
    """
    folder = Path(name)
    if isinstance(name, str) and not folder.is_dir() and _HUB_ID.fullmatch(name):
        card = _card_of_folder(_fetch(name))
    elif isinstance(name, Path) or folder.is_dir() or folder.suffix or "/" in str(name):
        if not folder.is_dir():
            raise CheckpointError(f"{name}: no such folder, expected a model in diffusers' layout")
        card = _card_of_folder(folder)
    else:
        card = find_model(str(name))
    chosen = method or card.methods[0]
    if chosen not in card.methods:
        raise InputError(f"method: {card.name} knows {', '.join(card.methods)}, found {method!r}")
    if card.name == "warp":
        return WarpModel(card)
    if card.folder is None or not card.folder.is_dir():
        raise CheckpointError(f"{card.name}: the weights are not on this disk (expected in {card.folder})")
    from motionloom.models.wan import WanModel

    pipeline = load_pipeline(card.folder, dtype=dtype, device=device)
    return WanModel(pipeline, card, name=str(name), method=chosen, digest=digest_of(card.folder))


def load_pipeline(folder: Path, *, dtype: Any | None = None, device: str | None = None) -> Any:
    """The `WanImageToVideoPipeline` in a diffusers folder, every part checked for missing and unexpected weights.

    Raises:
        CheckpointError: see `load`.
    """
    import torch
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

    index = _read_json(folder / "model_index.json")
    if index.get("_class_name") != "WanImageToVideoPipeline":
        raise CheckpointError(
            f"{folder}: holds a {index.get('_class_name')}, expected a WanImageToVideoPipeline (image to video)"
        )
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    dtype = dtype or (torch.float32 if where.type == "cpu" else torch.bfloat16)
    parts: dict[str, Any] = {}
    for part in _PARTS:
        library, class_name = index.get(part) or (None, None)
        if library is None or class_name is None:
            continue
        if library not in _LIBRARIES:
            raise CheckpointError(
                f"{folder}: {part} wants code from {library!r}, allowed are {', '.join(_LIBRARIES)}; not loaded"
            )
        # The codec stays in float32: its errors would be seen in every frame.
        parts[part] = _load_part(folder / part, library, class_name, torch.float32 if part == "vae" else dtype)
    missing = [part for part in ("transformer", "vae", "scheduler") if part not in parts]
    if missing:
        raise CheckpointError(f"{folder}: model_index.json names no {', '.join(missing)}")
    pipeline = WanImageToVideoPipeline(
        **{"tokenizer": None, "text_encoder": None, **parts},
        boundary_ratio=index.get("boundary_ratio"),
        expand_timesteps=bool(index.get("expand_timesteps")),
    )
    return pipeline.to(where)


def digest_of(folder: Path) -> str:
    """Hex SHA-256 over the names and contents of all weights and configurations in a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json") and path.name != "training.json":
            digest.update(path.relative_to(folder).as_posix().encode())
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _fetch(hub_id: str) -> Path:
    """The local folder of a hub model: weights as safetensors, configurations, tokenizers; no code."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(hub_id, allow_patterns=list(_HUB_FILES)))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"{hub_id}: no such folder here, and it could not be fetched from the hub ({reason}); download it "
            "elsewhere and give its folder"
        ) from error


def _load_part(folder: Path, library: str, class_name: str, dtype: Any) -> Any:
    if not folder.is_dir():
        raise CheckpointError(f"{folder}: missing, although model_index.json names it")
    kind = getattr(importlib.import_module(library), class_name, None)
    if not isinstance(kind, type) or not hasattr(kind, "from_pretrained"):
        raise CheckpointError(f"{folder}: {library} has no component {class_name!r}")
    from diffusers.models.modeling_utils import ModelMixin

    loader: Any = kind
    if not issubclass(kind, ModelMixin):
        return loader.from_pretrained(folder)
    try:
        model, report = loader.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: does not load ({' '.join(str(error).split())[:300]})") from error
    misfit = [
        f"{len(report[kind])} {kind.replace('_keys', '')} ({', '.join(map(str, list(report[kind])[:5]))})"
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(kind)
    ]
    if misfit:
        raise CheckpointError(f"{folder}: the weights do not fit the configuration: {'; '.join(misfit)}")
    return model.eval()


def _card_of_folder(folder: Path) -> ModelCard:
    """What a folder says of itself; motionloom's own training leaves its native numbers in ``training.json``."""
    facts = folder / "training.json"
    native = _read_json(facts).get("native", {}) if facts.exists() else {}
    is_nano = bool(native)
    size = native.get("size", (480, 832))
    return ModelCard(
        name="nano" if is_nano else folder.name,
        title=str(folder),
        description="A local folder.",
        licence="unknown",
        commercial_use=None,
        methods=("ati", "wan_move"),
        native_size=(size[0], size[1]),
        num_frames=native.get("num_frames", 81),
        fps=native.get("fps", 16.0),
        default_steps=1 if is_nano else 40,
        folder=folder,
    )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected a model folder in diffusers' layout")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise CheckpointError(f"{path}: is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: holds a {type(value).__name__}, expected an object")
    return value
