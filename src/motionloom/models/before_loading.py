"""What is known of a model before its weights are read."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from motionloom.errors import MotionloomError
from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.checkpoints.layouts import Layout, find_layout, read_json
from motionloom.models.checkpoints.tora import IMAGE, TEXT, holds_tora
from motionloom.models.local_card import card_of_folder, card_of_tora


def card_before_loading(name: str | os.PathLike[str]) -> ModelCard | None:
    """The card of a catalogue name, or of a local folder that says what it holds.

    Looks at the disk, not at the network, and at no weights. None: only loading tells what it is (loose files, hub
    ids), or that there is no such model.
    """
    if isinstance(name, str):
        wanted = name.strip().lower()
        for card in list_models():
            if wanted in (card.name, *card.aliases):
                return card
    try:
        return card_of_layout(find_layout(Path(name))) if Path(name).is_dir() else None
    except MotionloomError:
        return None  # loading says what is wrong with it


def card_of_layout(layout: Layout) -> ModelCard | None:
    """The card of local files, where a configuration beside them says what they are.

    Raises:
        CheckpointError: a configuration that cannot be read.
    """
    place = layout.places.get("transformer")
    config: dict[str, Any] = read_json(place.config) if place is not None and place.config is not None else {}
    if holds_tora(layout):
        taken, made = config.get("in_channels"), config.get("out_channels")
        if taken is None or made is None:
            return None
        both = taken == 2 * made  # noise and photograph
        card = card_of_tora(IMAGE if both else TEXT, layout.root)
        whole = layout.kind == "diffusers"  # else the text encoder is taken from elsewhere
        return replace(card, reads_text="text_encoder" in layout.places) if whole else card
    return card_of_folder(layout) if layout.kind == "diffusers" else None
