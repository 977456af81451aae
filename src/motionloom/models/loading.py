"""From a name, a folder or a file to a model that is ready to generate."""

from __future__ import annotations

import hashlib
import os
import re
import warnings
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from motionloom.errors import CheckpointError, InputError
from motionloom.models.card import ModelCard, Part, Sampling
from motionloom.models.catalog import find_model, list_models
from motionloom.models.checkpoints.layouts import Layout, Place, find_layout, read_json
from motionloom.models.checkpoints.parts import WEIGHTS
from motionloom.models.checkpoints.tora import find_tora_parts, holds_tora, stock_cogvideox
from motionloom.models.digest import digest_of, digest_of_parts
from motionloom.models.installed import fetch_command, fetched_layouts, layout_of_card, layout_of_files
from motionloom.models.local_card import card_like, card_of_folder, card_of_tora
from motionloom.models.model import Model
from motionloom.models.store import local_files
from motionloom.models.warp import WarpModel

if TYPE_CHECKING:
    import torch

    from motionloom.models.lora import LoraSpec
    from motionloom.models.memory_plans import Plan
    from motionloom.models.parameters import Settings

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")

PathLike = str | os.PathLike[str]


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
    card, layout = _resolve(name)
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
    whole = layout.kind == "diffusers" and alone
    bases = _bases(base)
    tora = holds_tora(layout)
    if card is not None and "tora" in card.methods and not tora:
        local_files(card)  # raises: what Tora adds is not on this disk
    options: dict[str, Any] = {
        "dtype": dtype,
        "device": where,
        "keep_float8": memory != "max-speed",
        "on_progress": on_progress,
    }
    from motionloom.models import pipelines

    def planned(card: ModelCard) -> dict[str, Any]:
        few_steps = bool(distilling) or (card.sampling is not None and card.sampling.steps_are_fixed)
        return {
            "preset": memory,
            "size": size or card.native_size or (480, 832),
            "num_frames": num_frames or card.num_frames or 81,
            "batch": num_videos,
            "caching": fast and not few_steps,
        }

    extra: dict[str, Any] = {}
    if tora:
        parts = find_tora_parts(
            layout,
            bases=bases,
            transformer=None if transformer is None else find_layout(Path(transformer)),
            fetched=fetched_layouts,
            remedy=fetch_command,
            any_base=any_base,
        )
        if transformer_2 is not None:
            raise InputError("transformer_2: CogVideoX has one transformer; leave it out")
        card = card or card_of_tora(parts.architecture, layout.root)
        chosen = _check_method(card, method)
        plan = _plan_ahead(card, parts.places, where, dtype=dtype, **planned(card))
        del options["keep_float8"]
        pipeline, extra["adapter"], extra["motion_vae"] = pipelines.tora_pipeline(parts, plan=plan, **options)
        digest = _digest_of_places(parts.places)
    elif (bare := stock_cogvideox(layout)) is not None:
        raise CheckpointError(bare)
    elif whole:
        card = card or card_of_folder(layout)
        chosen = _check_method(card, method)
        plan = _plan_ahead(card, layout.places, where, dtype=dtype, **planned(card))
        pipeline = pipelines.pipeline_of_folder(layout, plan=plan, **options)
        digest = digest_of(layout.root)
    else:
        from motionloom.models.checkpoints.search import find_parts

        parts = find_parts(
            layout,
            bases=bases,
            transformer=None if transformer is None else find_layout(Path(transformer)),
            transformer_2=None if transformer_2 is None else find_layout(Path(transformer_2)),
            fetched=fetched_layouts,
            remedy=fetch_command,
        )
        if card is not None and card.architecture not in (None, parts.architecture):
            raise CheckpointError(
                f"{card.name}: needs a transformer of the architecture {card.architecture}, "
                f"{parts.places['transformer'].path} is a {parts.architecture}"
            )
        card = card or card_like(parts.architecture, parts.places["transformer"].path)
        chosen = _check_method(card, method)
        plan = _plan_ahead(card, parts.places, where, dtype=dtype, **planned(card))
        shift = card.sampling.shift if card.sampling else None
        pipeline = pipelines.wan_pipeline(parts, shift=shift, plan=plan, **options)
        digest = _digest_of_places(parts.places)
    adapters: list[dict[str, Any]] = []
    if specs or distilling:
        from motionloom.models.lora import load_loras

        adapters = load_loras(pipeline, [*distilling, *specs])
        digest = hashlib.sha256("".join([digest, *(facts["sha256"] for facts in adapters)]).encode()).hexdigest()
    if distilling:
        card = replace(card, sampling=few_step_sampling(card.sampling))
    loaded_with = {
        "base": tuple(os.fspath(entry) for entry in _listed(base)),
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
        **extra,
    )
    model.adapters = [*adapters, *getattr(model, "adapters", ())]
    if plan is None:
        from motionloom.models.memory import plan_for

        plan, settled = plan_for(model.pipeline, where, **planned(card)), ()
    else:
        settled = pipelines.SETTLED
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


def _resolve(name: PathLike) -> tuple[ModelCard | None, Layout | None]:
    """The card of a catalogue name, the layout of a path, or both."""
    path = Path(name)
    text = os.fspath(name)
    if isinstance(name, str):
        # Before what lies in the working folder: "nano" may be where somebody's clips are. Its path is "./nano".
        named = [card for card in list_models() if text.strip().lower() in (card.name, *card.aliases)]
        if named:
            return named[0], None if named[0].folder is None else _layout_of_folder(named[0])
    if path.exists():
        return None, find_layout(path)
    if isinstance(name, str):
        if _HUB_ID.fullmatch(text) and path.suffix not in WEIGHTS:
            card = _at_home_in(text)
            return card, None if card is not None else find_layout(_fetch(text))
        if not path.suffix and "/" not in text and "\\" not in text:
            find_model(text)  # raises, with the names there are
    raise CheckpointError(
        f"{text}: no such folder or file, expected a model: a folder in diffusers' or the original layout, or a file"
    )


def _layout_of_folder(card: ModelCard) -> Layout | None:
    if card.folder is None or not card.folder.is_dir():
        raise CheckpointError(f"{card.name}: the weights are not on this disk (expected in {card.folder})")
    return find_layout(card.folder)


def _check_method(card: ModelCard, method: str | None) -> str:
    chosen = method or card.methods[0]
    if chosen not in card.methods:
        raise InputError(f"method: {card.name} knows {', '.join(card.methods)}, found {method!r}")
    return chosen


def _bases(base: PathLike | Sequence[PathLike] | None) -> list[Layout]:
    layouts: list[Layout] = []
    for entry in _listed(base):
        try:
            card, layout = _resolve(entry)
        except InputError as error:
            raise InputError(f"base: {str(error).removeprefix('model: ')}") from error
        if layout is None and card is not None:
            if not card.files:
                raise InputError(f"base: {card.name} has no parts that another model could use")
            layout = layout_of_files(card)
        assert layout is not None
        layouts.append(layout)
    return layouts


def _listed(base: PathLike | Sequence[PathLike] | None) -> list[PathLike]:
    if base is None:
        return []
    return [base] if isinstance(base, (str, os.PathLike)) else list(base)


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


def _digest_of_places(places: Mapping[str, Place]) -> str:
    from motionloom.models.checkpoints.source import open_source

    return digest_of_parts(
        (name, file) for name, place in places.items() if place.files for file in open_source(place.files).files
    )


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


def _at_home_in(repo: str) -> ModelCard | None:
    """The model of the catalogue that has its transformer from a repository, preferably everything else too."""
    cards = [card for card in list_models() if any(f.repo == repo and f.part == "transformer" for f in card.files)]
    return next((card for card in cards if all(file.repo == repo for file in card.files)), next(iter(cards), None))


def _fetch(hub_id: str) -> Path:
    """The local folder of a hub model: what the hub's own cache holds, else what is fetched now, with progress."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from tqdm.auto import tqdm

    from motionloom.models.fetch import fetch_repository

    try:
        cached = Path(snapshot_download(hub_id, local_files_only=True))
        if _is_complete(cached):
            return cached
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        pass
    with tqdm(desc=hub_id, unit="B", unit_scale=True, delay=1.0) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return fetch_repository(hub_id, on_progress=show)


def _is_complete(folder: Path) -> bool:
    if not (folder / "model_index.json").is_file():
        return False
    index = read_json(folder / "model_index.json")
    parts = [name for name, entry in index.items() if isinstance(entry, list) and None not in entry]
    return all((folder / part).is_dir() for part in parts)
