"""From the places of the parts to a diffusers pipeline on the CPU, every part checked for missing and unexpected
weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout, Place
from motionloom.models.pipeline_parts import Report, dtype_of_all, library_class, load_part, refuse_code

if TYPE_CHECKING:
    import torch

    from motionloom.models.checkpoints.search import Parts
    from motionloom.models.checkpoints.tora import ToraParts
    from motionloom.models.memory_plans import Plan

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
        dtype = dtype_of_all(layout.places["transformer"], device)
    parts: dict[str, Any] = {}
    absent: dict[str, None] = {}
    for part, entry in _transformers_last(index):
        if not isinstance(entry, list) or len(entry) != 2:
            continue
        if None in entry:
            absent[part] = None
            continue
        refuse_code(layout.root, part, entry[0])
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
    dtype = dtype or dtype_of_all(parts.places["transformer"], device)
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


def _image_processor(size: int) -> Any:
    """What ViT-H/14 of OpenCLIP was trained with: short side to ``size``, bicubic, centre crop, CLIP's statistics."""
    return library_class("transformers", "CLIPImageProcessor")(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )
