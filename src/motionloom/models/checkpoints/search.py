"""Finding every part of a model: in what was given, in what was given as its base, among what was fetched before.

Repositories often hold the transformer alone (ATI, fp8 files). Nothing has to be copied together: the other parts are
taken from where they lie, if they fit the transformer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout, Place, neighbours, place_of_file
from motionloom.models.checkpoints.parts import CALLED, Contents, contents

BOUNDARIES: Mapping[str, float] = {"wan2.2-i2v-a14b": 0.9}
"""Part of the noise levels that the first expert denoises, as the published program has it."""

PER_TOKEN_TIMES = ("wan2.2-ti2v-5b",)
"""Architectures in which the photograph replaces the first latent frame, at time 0 of its own."""

_FILES = {
    "transformer": "the folder of a Wan image-to-video transformer, or its file",
    "transformer_2": "low_noise_model/, or the low-noise file",
    "vae": "Wan2.1_VAE.pth, wan_2.1_vae.safetensors, or a vae folder of diffusers",
    "text_encoder": "models_t5_umt5-xxl-enc-bf16.pth, a umt5_xxl file of ComfyUI, or a text_encoder folder of "
    "diffusers",
    "tokenizer": "google/umt5-xxl/, a tokenizer folder of diffusers, or a umt5_xxl file of ComfyUI with a spiece_model",
    "image_encoder": "models_clip_open-clip-xlm-roberta-large-vit-huge-14.pth, clip_vision_h.safetensors, or an "
    "image_encoder folder of diffusers",
}
_FILES_5B = {**_FILES, "vae": "the vae folder of Wan-AI/Wan2.2-TI2V-5B-Diffusers"}


@dataclass(frozen=True)
class Parts:
    """All parts of a Wan pipeline, each with its place.

    Attributes:
        architecture: as in ``models/configs``.
        config: of the transformer, diffusers' names.
        boundary_ratio: of the noise levels, where the second expert begins; None where there is one expert.
    """

    architecture: str
    config: Mapping[str, Any]
    places: Mapping[str, Place]
    boundary_ratio: float | None = None

    @property
    def expand_timesteps(self) -> bool:
        return self.architecture in PER_TOKEN_TIMES


def find_parts(
    given: Layout,
    *,
    bases: Sequence[Layout] = (),
    transformer: Layout | None = None,
    transformer_2: Layout | None = None,
    fetched: Callable[[str], Iterable[Layout]] = lambda architecture: (),
    remedy: Callable[[str, Sequence[str]], str] = lambda architecture, parts: "",
) -> Parts:
    """All parts of the model in a layout.

    Args:
        given: what was asked for; bases: where to look for what it lacks, in this order.
        transformer, transformer_2: taken instead of those of ``given``.
        fetched: where else to look, by architecture: the files fetched for models of the catalogue.
        remedy: by architecture and missing parts, what would fetch them.

    Raises:
        CheckpointError: another architecture, one expert of two, or parts that are in none of the places; the message
            lists them, where they were looked for and what was found wrong, and what would do.
    """
    first, second = _transformers(transformer or given, transformer_2)
    if first is None:
        first, second = _first_of(bases, transformer_2, given)
    architecture, config = _known(first)
    places = {"transformer": first}
    if architecture == "wan2.2-i2v-a14b":
        second = second or _other_expert(first)
        if second is None:
            raise CheckpointError(
                f"{first.path}: is one of the two experts of Wan 2.2 A14B, which denoise one after the other, and the "
                "other is not beside it under the same name with high and low exchanged; give the low-noise one with "
                "transformer_2="
            )
        if _known(second)[0] != architecture:
            raise CheckpointError(f"{second.path}: is a {_known(second)[0]}, expected the low-noise expert")
        places["transformer_2"] = second
    elif second is not None:
        raise CheckpointError(f"{first.path}: is a {architecture}, which has one transformer; leave transformer_2 out")
    wanted = ["vae", "text_encoder", "tokenizer", *(["image_encoder"] if config.get("image_dim") else [])]
    around = [near for layout in (given, transformer) if layout is not None for near in neighbours(layout)]
    layouts = [given, *bases, *around, *fetched(architecture)]
    absent: dict[str, str] = {}
    for part in wanted:
        notes: list[str] = []
        place = _first_place(layouts, part, _misfit(part, config), notes)
        if part == "tokenizer" and place is None:
            place = _inside(places.get("text_encoder"))
        if place is not None:
            places[part] = place
            continue
        expected = (_FILES_5B if architecture in PER_TOKEN_TIMES else _FILES)[part]
        seen = f" (found, but not taken: {_some(list(dict.fromkeys(notes)))})" if notes else ""
        absent[part] = f"{CALLED[part]}: expected {expected}{seen}"
    for part in ("scheduler", "image_processor"):  # others than the published ones, where a folder has them
        found = next((layout.places[part] for layout in layouts if part in layout.places), None)
        if found is not None and (part == "scheduler" or "image_encoder" in places):
            places[part] = found
    if absent:
        fetch = remedy(architecture, list(absent))
        raise CheckpointError(without_parts(f"{first.path}: a {architecture}", layouts, absent, fetch))
    boundary = given.index.get("boundary_ratio") or BOUNDARIES.get(architecture)
    return Parts(architecture, config, places, boundary if "transformer_2" in places else None)


def without_parts(model: str, layouts: Iterable[Layout], absent: Mapping[str, str], fetch: str) -> str:
    """The message about a model some of whose parts are in none of the places.

    Args:
        absent: by part, what was expected.
        fetch: what would fetch them, as a clause; empty: nothing.
    """
    looked = ", ".join(dict.fromkeys(str(layout.root) for layout in layouts))
    missing = "\n  ".join(absent.values())
    return (
        f"{model} without all of its parts. Looked in {looked}, and missing are\n  {missing}\n"
        f"Give a folder or files that hold them with --base (base= in Python){f', or {fetch}' if fetch else ''}"
    )


def _first_place(
    layouts: Iterable[Layout], part: str, refuse: Callable[[Contents], str | None], notes: list[str]
) -> Place | None:
    for layout in layouts:
        place = layout.find(part, refuse, notes)
        if place is not None:
            return place
    return None


def _some(notes: list[str], count: int = 4) -> str:
    return "; ".join(notes[:count]) + (f"; and {len(notes) - count} more" if len(notes) > count else "")


def _inside(text_encoder: Place | None) -> Place | None:
    """The tokenizer that ComfyUI's text encoder files carry."""
    if text_encoder is None or "spiece_model" not in contents(text_encoder.files).shapes:
        return None
    return Place("tokenizer", text_encoder.files[0])


def _misfit(part: str, config: Mapping[str, Any]) -> Callable[[Contents], str | None]:
    needed = {
        "vae": ("latent channels", config.get("out_channels")),
        "text_encoder": ("channels", config.get("text_dim")),
        "image_encoder": ("channels", config.get("image_dim")),
    }

    def refuse(found: Contents) -> str | None:
        if found.kind != part:
            return f"holds {CALLED[found.kind]}"
        name, width = needed[part]
        return None if found.width == width else f"has {found.width} {name}, the transformer needs {width}"

    return refuse


def _transformers(layout: Layout, transformer_2: Layout | None) -> tuple[Place | None, Place | None]:
    """The transformer of a layout, and the second expert's where there is one."""
    second = None if transformer_2 is None else _only(transformer_2)
    if "transformer" in layout.places:
        return layout.places["transformer"], second or layout.places.get("transformer_2")
    found, notes = [], []
    for path in layout.unsorted.get("transformer", ()):
        try:
            if contents(path).kind == "transformer":
                found.append(place_of_file("transformer", path))
        except CheckpointError as error:
            notes.append(str(error))
    if not found:
        if notes and layout.kind in ("comfyui", "loose"):
            raise CheckpointError(f"{layout.root}: no transformer in it that makes videos of images: {_some(notes)}")
        return None, second
    if len(found) == 1:
        return found[0], second
    if len(found) == 2 and second is None:
        pair = sorted(found, key=lambda place: _noise(place.path) or "?")
        if [_noise(place.path) for place in pair] == ["high", "low"]:
            return pair[0], replace(pair[1], part="transformer_2")
    raise CheckpointError(
        f"{layout.root}: holds {len(found)} video transformers ({', '.join(place.path.name for place in found)}); give "
        "the file of the one that is meant, and this folder with base="
    )


def _first_of(bases: Sequence[Layout], transformer_2: Layout | None, given: Layout) -> tuple[Place, Place | None]:
    for base in bases:
        first, second = _transformers(base, transformer_2)
        if first is not None:
            return first, second
    raise CheckpointError(
        f"{given.root}: holds no video transformer, only {', '.join(given.places) or 'other files'}; give the "
        "transformer's file or folder, and this one with base="
    )


def _only(layout: Layout) -> Place:
    place, _ = _transformers(layout, None)
    if place is None:
        raise CheckpointError(f"{layout.root}: holds no video transformer, expected the low-noise expert")
    return replace(place, part="transformer_2")


def _known(place: Place) -> tuple[str, Mapping[str, Any]]:
    """(architecture, diffusers configuration) of a transformer."""
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.wan_transformer import architecture_of, config_of

    source = open_source(list(place.files))
    given = read_json(place.config) if place.config else None
    return architecture_of(source), config_of(source, given)


def _other_expert(first: Place) -> Place | None:
    """The low-noise file beside a high-noise one, by its name."""
    if len(first.files) != 1 or _noise(first.path) != "high":
        return None

    def swap(found: re.Match[str]) -> str:
        word = found[0]
        return "LOW" if word.isupper() else "Low" if word[0].isupper() else "low"

    for path in (first.files[0].with_name(re.sub("high", swap, first.files[0].name, flags=re.IGNORECASE)),):
        if path.is_file() and path != first.files[0]:
            return place_of_file("transformer_2", path)
    return None


def _noise(path: Path) -> str | None:
    """ "high" or "low", as a file's name says which expert it is."""
    found = re.findall(r"high|low(?!\w*vram)", path.name, flags=re.IGNORECASE)
    words = {word.lower() for word in found}
    return words.pop() if len(words) == 1 else None
