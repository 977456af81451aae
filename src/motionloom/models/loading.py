"""From a name, a folder or a file to a model that is ready to generate."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import InputError
from motionloom.models.card import ModelCard, Part, Sampling
from motionloom.models.checkpoints.layouts import Place
from motionloom.models.families import find
from motionloom.models.installed import layout_of_card, layout_of_files
from motionloom.models.lookup import PathLike, listed, look_up, look_up_bases
from motionloom.models.model import Model
from motionloom.models.pipeline_parts import SETTLED
from motionloom.models.warp import WarpModel

if TYPE_CHECKING:
    import torch

    from motionloom.models.lora import LoraSpec
    from motionloom.models.memory_plans import Plan
    from motionloom.models.parameters import Settings


def load(
    name: PathLike,
    *,
    method: str | None = None,
    dtype: torch.dtype | None = None,
    device: str | None = None,
    base: PathLike | Sequence[PathLike] | None = None,
    transformer: PathLike | None = None,
    transformer_2: PathLike | None = None,
    loras: Iterable[str | LoraSpec] = (),
    few_step_loras: Iterable[str | LoraSpec] = (),
    memory: str = "auto",
    fast: bool = False,
    settings: Settings = "published",
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    num_videos: int = 1,
    any_base: bool = False,
    on_progress: Callable[[int, int], Any] | None = None,
) -> Model:
    """A model, ready to generate.

    Args:
        name: a name of ``motionloom models list``; a folder or file of any layout (diffusers, the original programs',
            ComfyUI's; safetensors, torch files, GGUF; what Tora adds to CogVideoX, with a CogVideoX model as ``base``;
            see `motionloom.models.checkpoints.layouts`); or the hub id
            ("owner/name") of a diffusers folder, downloaded with progress unless it is there already.
        method: how tracks guide it ("ati", "wan_move", "time_to_move", ...); the catalogue's first when not given.
        dtype: torch dtype of the transformers. When not given: bfloat16 for models of a billion parameters and more;
            for smaller ones float32 on a CPU, elsewhere bfloat16 unless they are stored in float32.
        device: "cpu", "cuda", ...; a GPU if there is one when not given.
        base: where to take the parts from that ``name`` lacks: a folder, a file or a name of the catalogue, or several,
            searched in this order. What was fetched for other models is searched anyway.
        transformer, transformer_2: a file or folder to take instead of the one in ``name``; the second is the
            low-noise expert of Wan 2.2 A14B.
        loras: ``FILE[:strength[:expert]]`` each, or `LoraSpec`.
        few_step_loras: the same, for LoRAs that distil the model to four steps: they come below the others, and the
            defaults become four steps of the Euler solver without text guidance.
        memory: "auto", "max-speed", "balanced", "low" or "minimal"; see docs/memory-and-speed.md. Weights stored in
            float8 stay so in memory, but for "max-speed".
        fast: switch on what makes it faster at some cost; see docs/memory-and-speed.md.
        settings: "published" runs as the published program does, "diffusers" as the stock pipeline does.
        size, num_frames, num_videos: of the clips to come, (height, width), and how many are made at once: what memory
            is planned for. By default one of the native size; larger ones are then refused where they do not fit.
        any_base: an add-on of Tora may be put on a base of the other task than its file name says (text to video, image
            to video), without a warning.
        on_progress: called with (bytes, bytes in all) of the weights as they are read; what it raises ends the loading.

    Raises:
        InputError: no such model or method, or too little memory.
        CheckpointError: the files are missing, incomplete, or of another architecture.
    """
    card, layout = look_up(name)
    specs, distilling = _specs(loras), _specs(few_step_loras)
    if card is not None and card.name == "warp":
        given = {"base": base, "transformer": transformer, "transformer_2": transformer_2}
        given |= {"loras": specs or None, "few_step_loras": distilling or None}
        wrong = [argument for argument, value in given.items() if value is not None]
        if wrong:
            raise InputError(f"{wrong[0]}: warp has no weights; leave it out, or choose another model")
        _check_method(card, method)
        return WarpModel(card)
    from motionloom.models.memory import PRESETS

    if memory not in PRESETS:  # before minutes of reading
        raise InputError(f"memory: found {memory!r}, expected one of {', '.join(PRESETS)}")
    for spec in (*distilling, *specs):
        from motionloom.models.lora.read import find_lora

        find_lora(spec.path)
    import torch

    where = str(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    alone = base is None and transformer is None and transformer_2 is None
    if card is not None:
        _check_method(card, method)
        if layout is None:
            layout = layout_of_card(card) if alone else layout_of_files(card)
    assert layout is not None
    orbit = _orbit_loras(card, distilled=bool(distilling)) if card is not None else {}
    found = find(
        card,
        layout,
        bases=look_up_bases(base),
        transformer=transformer,
        transformer_2=transformer_2,
        any_base=any_base,
    )
    card = found.card
    chosen = _check_method(card, method)
    few_steps = bool(distilling) or (card.sampling is not None and card.sampling.steps_are_fixed)
    run: dict[str, Any] = {
        "preset": memory,
        "size": size or card.native_size or (480, 832),
        "num_frames": num_frames or card.num_frames or 81,
        "batch": num_videos,
        "caching": fast and not few_steps,
    }
    plan = _plan_ahead(card, found.places, where, dtype=dtype, **run)
    pipeline, beside = found.build(
        dtype=dtype, device=where, keep_float8=memory != "max-speed", plan=plan, on_progress=on_progress
    )
    digest = found.digest()
    adapters: list[dict[str, Any]] = []
    if specs or distilling:
        from motionloom.models.lora import load_loras

        adapters = load_loras(pipeline, [*distilling, *specs])
        digest = hashlib.sha256("".join([digest, *(facts["sha256"] for facts in adapters)]).encode()).hexdigest()
    if distilling:
        card = replace(card, sampling=few_step_sampling(card.sampling))
    loaded_with = {
        "base": tuple(os.fspath(entry) for entry in listed(base)),
        "transformer": None if transformer is None else os.fspath(transformer),
        "transformer_2": None if transformer_2 is None else os.fspath(transformer_2),
        "loras": tuple(map(str, specs)),
        "few_step_loras": tuple(map(str, distilling)),
        "memory": memory,
        "fast": fast,
        "settings": settings,
    }
    model: Any = _model(
        pipeline,
        card,
        method=chosen,
        name=str(name),
        digest=digest,
        settings=settings,
        given=loaded_with,
        orbit=orbit,
        distilled=bool(distilling),
        **beside,
    )
    model.adapters = [*adapters, *getattr(model, "adapters", ())]
    if plan is None:
        from motionloom.models.memory import plan_for

        plan, settled = plan_for(model.pipeline, where, **run), ()
    else:
        settled = SETTLED
    _place(model, where, plan, fast=fast, placed=settled)
    return model


def _plan_ahead(
    card: ModelCard,
    places: Mapping[str, Place],
    device: str,
    *,
    dtype: torch.dtype | None,
    preset: str,
    **run: Any,
) -> Plan | None:
    place = places.get("transformer")
    if place is None or not place.files:
        return None
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.memory import plan_ahead

    source = open_source(place.files)
    return plan_ahead(
        card,
        source,
        device,
        preset=preset,
        keep_float8=preset != "max-speed",
        itemsize=2 if dtype is None else dtype.itemsize,
        **run,
    )


def _check_method(card: ModelCard, method: str | None) -> str:
    chosen = method or card.methods[0]
    if chosen not in card.methods:
        raise InputError(f"method: {card.name} knows {', '.join(card.methods)}, found {method!r}")
    return chosen


FEW_STEP_SHIFT = 5.0
"""``sample_shift`` in the four-step configurations of LightX2V, for Wan 2.1 and 2.2, whatever the base model's is."""


def few_step_sampling(sampling: Sampling | None) -> Sampling:
    """How a model runs with LoRAs that distil it: four Euler steps at the shift they were distilled with, no text
    guidance. A card that is of a distilled model already (Circle-Rotate: shift 8, guidance 1.6) knows better.
    """
    from motionloom.models.speed import FEW_STEPS

    if sampling is not None and sampling.steps_are_fixed:
        return sampling
    return replace(
        sampling or Sampling(),
        num_inference_steps=FEW_STEPS,
        solver="euler",
        shift=FEW_STEP_SHIFT,
        known_shifts=(),
        guidance_scale=1.0,
        guidance_scale_2=None,
        steps_are_fixed=True,
    )


def _specs(loras: Iterable[str | LoraSpec]) -> list[LoraSpec]:
    given = [loras] if isinstance(loras, str) else list(loras)
    if not given:
        return []
    from motionloom.models.lora import LoraSpec

    return [LoraSpec.parse(entry) if isinstance(entry, str) else entry for entry in given]


def _model(
    pipeline: Any,
    card: ModelCard,
    *,
    method: str,
    name: str,
    digest: str,
    settings: Settings,
    given: Mapping[str, Any],
    orbit: Mapping[Part, Path],
    distilled: bool,
    adapter: Any = None,
    motion_vae: Any = None,
) -> Model:
    """The `Model` for a pipeline and a method; ``distilled`` if LoRAs on it have made four steps enough."""
    arguments: dict[str, Any] = {"name": name, "digest": digest, "settings": settings, "loaded_with": given}
    if adapter is not None:
        from motionloom.models.tora import ToraModel

        return ToraModel(pipeline, adapter, card, motion_vae=motion_vae, **arguments)
    if type(pipeline).__name__ == "CogVideoXImageToVideoPipeline":
        from motionloom.models.cogvideox import CogVideoXModel

        return CogVideoXModel(pipeline, card, method=method, **arguments)
    if method == "circle_rotate":
        from motionloom.models.circle_rotate import CircleRotateModel

        return CircleRotateModel(pipeline, card, loras=orbit, method=method, distilled=distilled, **arguments)
    from motionloom.models.wan import WanModel

    return WanModel(pipeline, card, method=method, **arguments)


def _orbit_loras(card: ModelCard, *, distilled: bool) -> dict[Part, Path]:
    """The LoRAs a card brings with it; a word where it has to do without its four-step ones."""
    from motionloom.models.store import loras_of

    found = loras_of(card)
    if distilled:
        return {part: path for part, path in found.items() if not part.startswith("lora_fast")}
    if found and "lora_fast" not in found:
        warnings.warn(
            f"{card.name}: its four-step LoRAs are not on this disk: it runs 40 steps as its base does; "
            f"motionloom models fetch {card.name} brings them",
            stacklevel=3,
        )
    return found


def _place(model: Any, device: str, plan: Plan, *, fast: bool, placed: Collection[str]) -> None:
    """Put the parts of a model where they run, but those that were placed on their way in. After the LoRAs, so that
    what moves the weights about moves the adapters too."""
    pipeline = model.pipeline
    from motionloom.models.memory import apply

    apply(plan, pipeline, device, placed=placed)
    notes = [f"memory: {plan.reason}"]
    if fast:
        from motionloom.models.speed import FastOptions, apply_fast

        sampling = getattr(model, "sampling", None)
        few_steps = sampling is not None and sampling.steps_are_fixed
        notes += apply_fast(pipeline, FastOptions(few_steps=few_steps))
    model.plan, model.notes = plan, tuple(notes)
