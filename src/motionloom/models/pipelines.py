"""From the places of the parts to a diffusers pipeline on the CPU, every part checked for missing and unexpected
weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.layouts import WITHOUT_WEIGHTS, Layout, Place, read_json

if TYPE_CHECKING:
    import torch

    from motionloom.models.checkpoints.search import Parts
    from motionloom.models.checkpoints.tora import ToraParts
    from motionloom.models.memory_plans import Plan

# What a model_index.json may name. Anything else would let a downloaded folder choose what code runs.
LIBRARIES = ("diffusers", "transformers", "motionloom.models.nano.codec")

Report = Callable[[int, int], Any]
"""Called with (done, in all)."""

SETTLED = ("text_encoder", "image_encoder", "vae")
"""The parts that a plan known in advance puts in place as they are loaded; transformers wait for their LoRAs."""

_REQUIRED = ("transformer", "vae", "scheduler")
_DEFAULT_SHIFT = 5.0


def pipeline_of_folder(
    layout: Layout,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    keep_float8: bool = True,
    plan: Plan | None = None,
    on_progress: Report | None = None,
) -> Any:
    """The pipeline of a diffusers folder, `WanImageToVideoPipeline` or `CogVideoXImageToVideoPipeline`, on the CPU.

    Args:
        dtype, device, keep_float8, plan, on_progress: see `wan_pipeline`; of CogVideoX the type is that of all parts.

    Raises:
        CheckpointError: parts are missing, do not fit, or want code from elsewhere.
    """
    index = layout.index or read_json(layout.root / "model_index.json")
    name = str(index["_class_name"])
    shares = _shares(layout.places, on_progress)
    if name.startswith("CogVideoX") and dtype is None and "transformer" in layout.places:
        dtype = _dtype_of_all(layout.places["transformer"], device)
    parts: dict[str, Any] = {}
    absent: dict[str, None] = {}
    for part, entry in _transformers_last(index):
        if not isinstance(entry, list) or len(entry) != 2:
            continue
        if None in entry:
            absent[part] = None
            continue
        _refuse_code(layout.root, part, entry[0])
        if part not in layout.places:
            raise CheckpointError(
                f"{layout.root / part}: missing, although model_index.json names it; fetch it, or take it from "
                "another model with base="
            )
        parts[part] = load_part(
            layout.places[part],
            dtype=dtype,
            device=device,
            keep_float8=keep_float8,
            plan=plan,
            on_progress=shares.get(part),
        )
    missing = [part for part in _REQUIRED if part not in parts]
    if missing:
        raise CheckpointError(f"{layout.root}: model_index.json names no {', '.join(missing)}")
    if name == "WanImageToVideoPipeline":
        return _wan(parts, boundary_ratio=index.get("boundary_ratio"), expand_timesteps=index.get("expand_timesteps"))
    import diffusers

    return getattr(diffusers, name)(**absent, **parts)


def wan_pipeline(
    parts: Parts,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    keep_float8: bool = True,
    plan: Plan | None = None,
    shift: float | None = None,
    on_progress: Report | None = None,
) -> Any:
    """The `WanImageToVideoPipeline` of parts that lie in any layouts, on the CPU.

    Args:
        dtype: of the transformers; None: see `dtype_for`.
        device: where it will run, which the types depend on.
        keep_float8: transformers stored in float8 stay so in memory.
        plan: known before anything is loaded: the transformers are read as it stores them, and straight onto the device
            where they stay there; all other parts are put in place as they come (`SETTLED`).
        shift: of the noise levels; 5 when not given. Only used where no folder has a scheduler of its own.
        on_progress: called with (bytes, bytes in all) of the weights.

    Raises:
        CheckpointError: parts do not fit their configuration.
    """
    from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler

    shares = _shares(parts.places, on_progress)
    loaded = {
        name: load_part(
            place,
            dtype=dtype,
            device=device,
            keep_float8=keep_float8,
            plan=plan,
            config=parts.config if name.startswith("transformer") else None,
            on_progress=shares.get(name),
        )
        for name, place in _transformers_last(parts.places)
    }
    encoder = loaded.get("image_encoder")
    if encoder is not None and "image_processor" not in loaded:
        loaded["image_processor"] = _image_processor(encoder.config.image_size)
    if "scheduler" not in loaded:
        loaded["scheduler"] = UniPCMultistepScheduler(
            prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift or _DEFAULT_SHIFT
        )
    return _wan(loaded, boundary_ratio=parts.boundary_ratio, expand_timesteps=parts.expand_timesteps)


def tora_pipeline(
    parts: ToraParts,
    *,
    dtype: torch.dtype | None = None,
    device: str = "cpu",
    plan: Plan | None = None,
    on_progress: Report | None = None,
) -> tuple[Any, Any, Any]:
    """The stock `CogVideoXPipeline` or `CogVideoXImageToVideoPipeline` of a Tora model, what Tora adds to its
    transformer, and the motion VAE if it has one of its own (else None); on the CPU.

    Args:
        dtype: of all parts; None: see `dtype_for`.
        device, plan, on_progress: see `wan_pipeline`.

    Raises:
        CheckpointError: parts do not fit their configuration.
    """
    import diffusers

    from motionloom.models.checkpoints.configs import published_config
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.tora_modules import load_adapter, load_transformer

    shares = _shares(parts.places, on_progress)
    dtype = dtype or _dtype_of_all(parts.places["transformer"], device)
    loaded: dict[str, Any] = {
        name: load_part(place, dtype=dtype, device=device, plan=plan, on_progress=shares.get(name))
        for name, place in parts.places.items()
        if name not in ("transformer", "adapter")
    }
    published = published_config(parts.architecture, "model_index")
    if "scheduler" not in loaded:
        kind = getattr(diffusers, published["scheduler"][1])
        loaded["scheduler"] = kind.from_config(published_config(parts.architecture, "scheduler"))
    there = device if plan is not None and plan.offload is None else "cpu"
    transformer, adapter = load_transformer(
        open_source(parts.places["transformer"].files),
        parts.config,
        dtype=dtype,
        with_adapter=parts.inside,
        device=there,
        fp8_storage=plan is not None and plan.transformer_storage == "fp8",
        on_progress=shares.get("transformer"),
    )
    if not parts.inside:
        place = parts.places["adapter"]
        adapter = load_adapter(
            open_source(place.files),
            parts.config,
            config=None if place.config is None else read_json(place.config),
            dtype=dtype,
            device=there,
            on_progress=shares.get("adapter"),
        )
    adapter.check_fits(transformer)
    motion_vae = loaded.pop("motion_vae", None)
    kind = getattr(diffusers, published["_class_name"])
    return kind(**{"tokenizer": None, "text_encoder": None, **loaded}, transformer=transformer), adapter, motion_vae


def _transformers_last(parts: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """What a plan puts elsewhere when it is loaded (`SETTLED`) has left RAM before the largest parts come."""
    return sorted(parts.items(), key=lambda item: item[0] in ("transformer", "transformer_2"))


def _shares(places: Mapping[str, Place], on_progress: Report | None) -> dict[str, Report]:
    """For every part with weights, what reports its share of all bytes."""
    if on_progress is None:
        return {}
    from motionloom.models.checkpoints.source import open_source

    sizes = {name: open_source(place.files).nbytes for name, place in places.items() if place.files}
    done = dict.fromkeys(sizes, 0)

    def share(name: str) -> Report:
        def report(count: int, total: int) -> None:
            done[name] = sizes[name] * count // max(total, 1)
            on_progress(sum(done.values()), sum(sizes.values()))

        return report

    return {name: share(name) for name in sizes}


def _wan(parts: Mapping[str, Any], *, boundary_ratio: Any, expand_timesteps: Any) -> Any:
    from diffusers.pipelines.wan.pipeline_wan_i2v import WanImageToVideoPipeline

    _check_widths(parts)
    return WanImageToVideoPipeline(
        **{"tokenizer": None, "text_encoder": None, **parts},
        boundary_ratio=boundary_ratio,
        expand_timesteps=bool(expand_timesteps),
    )


def _check_widths(parts: Mapping[str, Any]) -> None:
    """That the parts were made for each other, as far as their numbers say.

    Raises:
        CheckpointError: one makes what another does not take.
    """
    for name in ("transformer", "transformer_2"):
        model = parts.get(name)
        if model is None:
            continue
        made = (
            ("text_encoder", "d_model", "text_dim"),
            ("image_encoder", "hidden_size", "image_dim"),
            ("vae", "z_dim", "out_channels"),
        )
        for part, makes, takes in made:
            found = getattr(getattr(parts.get(part), "config", None), makes, None)
            wanted = model.config.get(takes)
            if found is not None and wanted is not None and found != wanted:
                raise CheckpointError(
                    f"{name}: takes {wanted} numbers from the {part} ({takes}), the one given makes {found} ({makes}); "
                    "they belong to different models, take both from one"
                )


def _describes(name: str, config: Path) -> bool:
    """Whether a config.json beside a file is that of the part, and not of the transformer in the same folder."""
    kind = read_json(config)
    stated = str(kind.get("_class_name") or kind.get("model_type") or "")
    return {"vae": "Autoencoder", "image_encoder": "clip", "text_encoder": "t5"}.get(name, "?") in stated


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
        plan: see `wan_pipeline`.
        config: in place of the config.json beside it.
        on_progress: called with (tensors, tensors in all).

    Raises:
        CheckpointError: missing, incomplete, or of another kind.
    """
    part = place.part
    library, class_name = place.component or _OWN.get(part, ("", ""))
    _refuse_code(place.path, part, library)
    if not place.path.exists():
        raise CheckpointError(f"{place.path}: missing, although model_index.json names it")
    if config is None and place.config is not None and (place.component or _describes(part, place.config)):
        config = read_json(place.config)
    if not place.files and part not in WITHOUT_WEIGHTS:
        raise CheckpointError(f"{place.path}: holds no weights; the download is incomplete, fetch the folder again")
    if class_name == "WanTransformer3DModel":
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


_OWN = {
    "transformer": ("diffusers", "WanTransformer3DModel"),
    "transformer_2": ("diffusers", "WanTransformer3DModel"),
    "vae": ("diffusers", "AutoencoderKLWan"),
    "text_encoder": ("transformers", "UMT5EncoderModel"),
    "image_encoder": ("transformers", "CLIPVisionModel"),
    "tokenizer": ("transformers", "AutoTokenizer"),
}


def _refuse_code(where: Path, part: str, library: Any) -> None:
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


def _dtype_of_all(transformer: Place, device: str) -> torch.dtype:
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


def _image_processor(size: int) -> Any:
    """What ViT-H/14 of OpenCLIP was trained with: short side to ``size``, bicubic, centre crop, CLIP's statistics."""
    return _class("transformers", "CLIPImageProcessor")(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def _from_pretrained(place: Place, library: str, class_name: str, *, dtype: torch.dtype | None, device: str) -> Any:
    """A part by the loader of its own class: schedulers, processors, and models of other families."""
    folder = place.path
    kind = _class(library, class_name)
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


def _class(library: str, name: str) -> Any:
    module = importlib.import_module(library)
    # What transformers falls back to without torchvision, which is not needed here; by the plain name it says so aloud.
    return getattr(module, f"{name}Pil", None) or getattr(module, name, None)
