"""What is known of a model before its weights are read."""

from __future__ import annotations

import os
from pathlib import Path

from motionloom.errors import MotionloomError
from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.checkpoints.layouts import find_layout
from motionloom.models.local_card import card_of_folder


def card_before_loading(name: str | os.PathLike[str]) -> ModelCard | None:
    """The card of a catalogue name, of a hub id the catalogue knows, or of a local diffusers folder.

    Looks at the disk, not at the network. None: only loading tells what it is (loose files, other hub ids), or that
    there is no such model.
    """
    text, cards = os.fspath(name).strip(), list_models()
    if isinstance(name, str):
        for card in cards:
            if text.lower() in (card.name, *card.aliases):
                return card
    path = Path(name)
    if path.is_dir():
        try:
            layout = find_layout(path)
            return card_of_folder(layout) if layout.kind == "diffusers" else None
        except MotionloomError:
            return None  # loading says what is wrong with it
    return next((card for card in cards if _is_home_of(text, card)), None)


def _is_home_of(repo: str, card: ModelCard) -> bool:
    return any(file.repo == repo and file.part == "transformer" for file in card.files)
