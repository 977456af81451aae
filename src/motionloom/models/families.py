"""The families of models that are loaded, each with all its parts before any weight is read: Tora on CogVideoX, whole
diffusers folders, Wan in any layout."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError, InputError
from motionloom.models import pipelines
from motionloom.models.card import ModelCard
from motionloom.models.checkpoints.layouts import Layout, Place, find_layout
from motionloom.models.checkpoints.search import find_parts
from motionloom.models.checkpoints.tora import find_tora_parts, holds_tora, stock_cogvideox
from motionloom.models.digest import digest_of, digest_of_parts
from motionloom.models.installed import fetch_command, fetched_layouts
from motionloom.models.local_card import card_like, card_of_folder, card_of_tora
from motionloom.models.lookup import PathLike
from motionloom.models.store import local_files


@dataclass(frozen=True)
class Found:
    """A model all of whose parts are there.

    Attributes:
        card: of the catalogue, or made for local files.
        places: of its parts.
        build: takes what `pipelines.wan_pipeline` takes beside the parts; returns the pipeline and what its method has
            beside it, by name.
        digest: hex SHA-256 of the weights; reads them all.
    """

    card: ModelCard
    places: Mapping[str, Place]
    build: Callable[..., tuple[Any, Mapping[str, Any]]]
    digest: Callable[[], str]


def find(
    card: ModelCard | None,
    layout: Layout,
    *,
    bases: Sequence[Layout] = (),
    transformer: PathLike | None = None,
    transformer_2: PathLike | None = None,
    any_base: bool = False,
) -> Found:
    """All parts of the model in a layout, whatever family it is of; arguments as of `motionloom.load`.

    Args:
        card: of the catalogue; None: the layout is of local files.

    Raises:
        CheckpointError: parts are missing or do not fit, or it is no model that tracks can guide.
        InputError: an argument that means nothing for this family.
    """
    given = [None if path is None else find_layout(Path(path)) for path in (transformer, transformer_2)]
    if holds_tora(layout):
        if transformer_2 is not None:
            raise InputError("transformer_2: CogVideoX has one transformer; leave it out")
        return _tora(card, layout, bases, given[0], any_base=any_base)
    if card is not None and "tora" in card.methods:
        local_files(card)  # raises: what Tora adds is not on this disk
    if (bare := stock_cogvideox(layout)) is not None:
        raise CheckpointError(bare)
    if layout.kind == "diffusers" and not bases and given == [None, None]:
        return _whole_folder(card, layout)
    return _wan(card, layout, bases, *given)


def _tora(
    card: ModelCard | None, layout: Layout, bases: Sequence[Layout], transformer: Layout | None, *, any_base: bool
) -> Found:
    parts = find_tora_parts(
        layout,
        bases=bases,
        transformer=transformer,
        fetched=fetched_layouts,
        remedy=fetch_command,
        any_base=any_base or card is not None,  # the catalogue says which base each of its add-ons is for
    )
    _check_architecture(card, parts.architecture, parts.places["transformer"])

    def build(*, keep_float8: bool, **options: Any) -> tuple[Any, Mapping[str, Any]]:
        pipeline, adapter, motion_vae = pipelines.tora_pipeline(parts, **options)
        return pipeline, {"adapter": adapter, "motion_vae": motion_vae}

    return Found(
        card or card_of_tora(parts.architecture, layout.root), parts.places, build, partial(_digest, parts.places)
    )


def _whole_folder(card: ModelCard | None, layout: Layout) -> Found:
    def build(**options: Any) -> tuple[Any, Mapping[str, Any]]:
        return pipelines.pipeline_of_folder(layout, **options), {}

    return Found(card or card_of_folder(layout), layout.places, build, partial(digest_of, layout.root))


def _wan(
    card: ModelCard | None,
    layout: Layout,
    bases: Sequence[Layout],
    transformer: Layout | None,
    transformer_2: Layout | None,
) -> Found:
    parts = find_parts(
        layout,
        bases=bases,
        transformer=transformer,
        transformer_2=transformer_2,
        fetched=fetched_layouts,
        remedy=fetch_command,
    )
    place = parts.places["transformer"]
    _check_architecture(card, parts.architecture, place)
    known = card or card_like(parts.architecture, place.path)
    shift = known.sampling.shift if known.sampling else None

    def build(**options: Any) -> tuple[Any, Mapping[str, Any]]:
        return pipelines.wan_pipeline(parts, shift=shift, **options), {}

    return Found(known, parts.places, build, partial(_digest, parts.places))


def _check_architecture(card: ModelCard | None, architecture: str, transformer: Place) -> None:
    if card is not None and card.architecture not in (None, architecture):
        raise CheckpointError(
            f"{card.name}: needs a transformer of the architecture {card.architecture}, {transformer.path} is a "
            f"{architecture}"
        )


def _digest(places: Mapping[str, Place]) -> str:
    from motionloom.models.checkpoints.source import open_source

    return digest_of_parts(
        (name, file) for name, place in places.items() if place.files for file in open_source(place.files).files
    )
