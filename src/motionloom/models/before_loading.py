"""What is known of a model before its weights are read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError, MotionloomError
from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout, Place, find_layout
from motionloom.models.checkpoints.tora import IMAGE, TEXT, holds_tora, stock_cogvideox
from motionloom.models.local_card import card_of_folder, card_of_tora


def card_before_loading(name: str | os.PathLike[str]) -> ModelCard | None:
    """The card of a catalogue name, or of local files that say what they hold.

    Looks at the disk, not at the network, and at no weights. None: only loading tells what it is (loose files, add-ons,
    hub ids), or that there is no such model.
    """
    if isinstance(name, str):
        wanted = name.strip().lower()
        for card in list_models():
            if wanted in (card.name, *card.aliases):
                return card
    try:
        return card_of_layout(find_layout(Path(name))) if Path(name).exists() else None
    except MotionloomError:
        return None  # loading says what is wrong with it


def card_of_layout(layout: Layout) -> ModelCard | None:
    """The card of local files, where a configuration beside them or the shapes of their tensors say what they are.

    Raises:
        CheckpointError: a configuration that cannot be read, or a model that follows no tracks.
    """
    if (bare := stock_cogvideox(layout)) is not None:
        raise CheckpointError(bare)
    if not holds_tora(layout):
        return card_of_folder(layout) if layout.kind == "diffusers" else None
    place = layout.places.get("transformer")
    if place is None:
        return None
    config = _config_of(place)
    both = config["in_channels"] == 2 * config["out_channels"]  # noise and photograph
    card = card_of_tora(IMAGE if both else TEXT, layout.root)
    whole = layout.kind == "diffusers"  # else the text encoder is taken from elsewhere
    return replace(card, reads_text="text_encoder" in layout.places) if whole else card


def _config_of(place: Place) -> dict[str, Any]:
    config: dict[str, Any] = read_json(place.config) if place.config is not None else {}
    if "in_channels" in config and "out_channels" in config:
        return config
    from motionloom.models.checkpoints.source import open_source
    from motionloom.models.checkpoints.tora_modules import seen_config, shapes_of

    source = open_source(place.files)
    return seen_config(source, shapes_of(source))
