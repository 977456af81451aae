"""One part of a pipeline, from its place to a module, every weight of it accounted for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import WITHOUT_WEIGHTS, Place

if TYPE_CHECKING:
    import torch

    from motionloom.models.memory_plans import Plan

# What a model_index.json may name. Anything else would let a downloaded folder choose what code runs.
LIBRARIES = ("diffusers", "transformers", "motionloom.models.nano.codec", "motionloom.models.nano.transformer")

Report = Callable[[int, int], Any]
"""Called with (done, in all)."""

SETTLED = ("text_encoder", "image_encoder", "vae")
"""The parts that a plan known in advance puts in place as they are loaded; transformers wait for their LoRAs."""


def load_part(
    place: Place,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    keep_float8: bool = True,
    plan: Plan | None = None,
    config: Mapping[str, Any] | None = None,
    on_progress: Report | None = None,
) -> Any:
    """One part of a pipeline, on the CPU or where a plan has it.

    Args:
        dtype: of transformers; None: see `dtype_for`.
        device: where it will run.
        plan: see `pipelines.wan_pipeline`.
        config: in place of the config.json beside it.
        on_progress: called with (tensors, tensors in all).

    Raises:
        CheckpointError: missing, incomplete, or of another kind.
    """
    part = place.part
    library, class_name = place.component or _CLASSES.get(part, ("", ""))
    refuse_code(place.path, part, library)
    if not place.path.exists():
        raise CheckpointError(f"{place.path}: missing, although model_index.json names it")
    if config is None and place.config is not None and (place.component or _describes(part, place.config)):
        config = read_json(place.config)
    if not place.files and part not in WITHOUT_WEIGHTS:
        raise CheckpointError(f"{place.path}: holds no weights; the download is incomplete, fetch the folder again")
    if class_name in ("WanTransformer3DModel", "NanoTransformer"):
        from motionloom.models.checkpoints.source import open_source
        from motionloom.models.checkpoints.wan_transformer import load_transformer

        source = open_source(place.files)
        return load_transformer(
            source,
            config,
            dtype=dtype or dtype_for(source, device),
            keep_float8=keep_float8,
            fp8_storage=plan is not None and plan.transformer_storage == "fp8",
            device=device if plan is not None and plan.offload is None else "cpu",
            build=_nano_builder(place.path, config) if class_name == "NanoTransformer" else None,
            on_progress=on_progress,
        )
    if part == "tokenizer":
        return load_tokenizer(place.path)
    if class_name == "AutoencoderKLWan":
        from motionloom.models.checkpoints.vae import load_vae

        model = load_vae(place.files, config=config, on_progress=on_progress)
    elif class_name == "UMT5EncoderModel":
        from motionloom.models.checkpoints.text_encoder import load_text_encoder

        model = load_text_encoder(place.files, on_progress=on_progress)
    elif class_name == "CLIPVisionModel":
        from motionloom.models.checkpoints.image_encoder import load_image_encoder

        model = load_image_encoder(place.files, config=config, on_progress=on_progress)
    else:
        model = _from_pretrained(place, library, class_name, dtype=dtype, device=device)
        if on_progress is not None:
            on_progress(1, 1)
    if plan is not None and part in SETTLED:
        import torch

        from motionloom.models.offload import place as put

        put(plan, part, model, torch.device(device))
    return model


def _nano_builder(where: Path, config: Mapping[str, Any] | None) -> Callable[[Mapping[str, Any]], Any]:
    """nano's transformer is a Wan transformer that knows the wavelengths of its latents too."""
    from motionloom.models.nano.transformer import NanoTransformer

    told = (config or {}).get("wavelengths")
    if not isinstance(told, list) or not all(type(length) in (int, float) and length > 0 for length in told):
        raise CheckpointError(
            f"{where}: found wavelengths {told!r} in its config.json, expected a list of lengths in pixels; fetch the "
            "folder again"
        )
    return lambda found: NanoTransformer(**found, wavelengths=tuple(told))


_CLASSES = {
    "transformer": ("diffusers", "WanTransformer3DModel"),
    "transformer_2": ("diffusers", "WanTransformer3DModel"),
    "vae": ("diffusers", "AutoencoderKLWan"),
    "text_encoder": ("transformers", "UMT5EncoderModel"),
    "image_encoder": ("transformers", "CLIPVisionModel"),
    "tokenizer": ("transformers", "AutoTokenizer"),
}


def _describes(name: str, config: Path) -> bool:
    """Whether a config.json beside a file is that of the part, and not of the transformer in the same folder."""
    kind = read_json(config)
    stated = str(kind.get("_class_name") or kind.get("model_type") or "")
    return {"vae": "Autoencoder", "image_encoder": "clip", "text_encoder": "t5"}.get(name, "?") in stated


def refuse_code(where: Path, part: str, library: Any) -> None:
    if library not in LIBRARIES:
        raise CheckpointError(
            f"{where}: {part} wants code from {library!r}, allowed are {', '.join(LIBRARIES)}; not loaded"
        )


def dtype_for(source: Any, device: str) -> torch.dtype:
    """The type a transformer is computed in.

    A billion parameters and more: bfloat16, as the published programs compute whatever the file holds. Smaller ones:
    float32 on a CPU; elsewhere float32 if stored so, else bfloat16.

    Args:
        source: a `TensorSource`.
    """
    import math

    import torch

    from motionloom.models.checkpoints.fill import LARGE
    from motionloom.models.checkpoints.wan_transformer import dtype_of

    if sum(math.prod(info.shape) for info in source.tensors.values()) >= LARGE:
        return torch.bfloat16
    if device == "cpu" or dtype_of(source) == torch.float32:
        return torch.float32
    return torch.bfloat16


def dtype_of_all(transformer: Place, device: str) -> torch.dtype:
    """The one type of all parts of a CogVideoX pipeline, which hands values from one to the next as they are."""
    from motionloom.models.checkpoints.source import open_source

    return dtype_for(open_source(transformer.files), device)


def load_tokenizer(path: Path) -> Any:
    """The tokenizer in a folder with tokenizer.json or spiece.model, or inside a text encoder of ComfyUI; nothing is
    fetched.

    Raises:
        CheckpointError: its files are missing or damaged.
    """
    from transformers import AutoTokenizer

    from motionloom.models.checkpoints.word_pieces import EXTRA_IDS, tokenizer_of_pieces

    if path.is_file():
        from motionloom.models.checkpoints.source import open_source

        return tokenizer_of_pieces(bytes(open_source(path).read("spiece_model").flatten().tolist()), str(path))
    pieces = path / "spiece.model"
    if pieces.is_file() and not (path / "tokenizer.json").is_file():
        # transformers would ask for the sentencepiece package here.
        config = path / "tokenizer_config.json"
        extra = read_json(config).get("extra_ids", EXTRA_IDS) if config.is_file() else EXTRA_IDS
        return tokenizer_of_pieces(pieces.read_bytes(), str(pieces), extra_ids=extra)
    try:
        # Else a tokenizer_config.json could have the person asked whether its code may run.
        return AutoTokenizer.from_pretrained(path, local_files_only=True, trust_remote_code=False)
    except (OSError, ValueError, ImportError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{path}: is no tokenizer that loads ({' '.join(str(error).split())[:200]}); expected tokenizer.json, "
            "tokenizer_config.json and special_tokens_map.json of google/umt5-xxl"
        ) from error


def _from_pretrained(place: Place, library: str, class_name: str, *, dtype: torch.dtype | None, device: str) -> Any:
    """A part by the loader of its own class: schedulers, processors, and models of other families."""
    folder = place.path
    kind = library_class(library, class_name)
    if not isinstance(kind, type) or not hasattr(kind, "from_pretrained"):
        raise CheckpointError(f"{folder}: {library} has no component {class_name!r}")
    import torch
    from diffusers.models.modeling_utils import ModelMixin
    from transformers import PreTrainedModel

    loader: Any = kind
    options: dict[str, Any] = {"local_files_only": True}
    is_model = issubclass(kind, (ModelMixin, PreTrainedModel))
    if class_name.startswith("Auto") and library == "transformers":
        options["trust_remote_code"] = False
    if is_model:
        options |= {"output_loading_info": True, "use_safetensors": True}
        if class_name == "AutoencoderKLCogVideoX":
            # The stock pipelines give it the transformer's latents as they are, as the published programs do.
            options["dtype"] = dtype or torch.float32
        elif place.part == "vae":
            options["dtype"] = torch.float32  # the codec's errors would be seen in every frame
        else:
            from motionloom.models.checkpoints.source import open_source

            options["dtype"] = dtype or dtype_for(open_source(place.files), device)
    try:
        loaded = loader.from_pretrained(folder, **options)
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{folder}: does not load ({' '.join(str(error).split())[:300]})") from error
    if not is_model:
        return loaded
    model, report = loaded
    misfit = [
        f"{len(report[kind])} {kind.replace('_keys', '')} ({', '.join(map(str, list(report[kind])[:5]))})"
        for kind in ("missing_keys", "unexpected_keys", "mismatched_keys")
        if report.get(kind)
    ]
    if misfit:
        raise CheckpointError(f"{folder}: the weights do not fit the configuration: {'; '.join(misfit)}")
    return model.eval()


def library_class(library: str, name: str) -> Any:
    module = importlib.import_module(library)
    # What transformers falls back to without torchvision, which is not needed here; by the plain name it says so aloud.
    return getattr(module, f"{name}Pil", None) or getattr(module, name, None)
