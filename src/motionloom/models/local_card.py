"""What is known about a model of one's own: cards for local folders and files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout
from motionloom.models.nano.facts import default_steps, distilled_steps, guidance, takes_last_image


def card_of_folder(layout: Layout) -> ModelCard:
    """What a diffusers folder says of itself; motionloom's own training leaves its native numbers in training.json."""
    folder = layout.root
    facts = read_json(folder / "training.json") if (folder / "training.json").exists() else {}
    native = facts.get("native", {})
    place = layout.places.get("transformer")
    config = read_json(place.config) if place is not None and place.config is not None else {}
    architecture = _architecture(config, two=layout.index.get("transformer_2") not in (None, [None, None]))
    if not native and architecture is not None:
        return card_like(architecture, folder)
    is_nano = bool(native)
    size = native.get("size", (480, 832))
    return ModelCard(
        name="nano" if is_nano else folder.name,
        title=str(folder),
        description="A local folder.",
        licence="unknown",
        commercial_use=None,
        methods=("ati", "wan_move", "time_to_move"),
        native_size=(size[0], size[1]),
        num_frames=native.get("num_frames", 81),
        fps=native.get("fps", 16.0),
        default_steps=default_steps(facts) if is_nano else 40,
        distilled_steps=distilled_steps(facts) if is_nano else (),
        guidance=guidance(facts, folder) if is_nano else {},
        takes_last_image=is_nano and takes_last_image(facts),
        folder=folder,
    )


def _architecture(config: Mapping[str, Any], *, two: bool) -> str | None:
    """The published architecture with the channels of a diffusers configuration of a transformer."""
    if config.get("_class_name") == "CogVideoXTransformer3DModel":
        return "cogvideox-5b-i2v"
    channels = (config.get("in_channels"), config.get("out_channels"))
    if channels == (48, 48):
        return "wan2.2-ti2v-5b"
    if channels != (36, 16):
        return None
    return "wan2.1-i2v-14b" if config.get("image_dim") else "wan2.2-i2v-a14b" if two else None


def card_of_tora(architecture: str, path: Path) -> ModelCard:
    """The card of local Tora files: that of the catalogue's model of this architecture."""
    card = next(card for card in list_models() if "tora" in card.methods and card.architecture == architecture)
    return _local(card, path)


_NAMED = (
    ("wan-move-14b", re.compile(r"wan[-_. ]?move", re.IGNORECASE)),
    ("ati-14b", re.compile(r"(?<![A-Za-z])ATI(?![A-Za-z])", re.IGNORECASE)),
)


def card_like(architecture: str, path: Path) -> ModelCard:
    """The card of a local model: that of the catalogue's model of this architecture, of ATI or Wan-Move where the
    file's or folder's name says so, since nothing in the weights does."""
    others = ("circle_rotate", "tora")  # more than the transformer alone
    cards = [card for card in list_models() if card.architecture == architecture and card.methods[0] not in others]
    by_name = {card.name: card for card in cards}
    named = [by_name[name] for name, mark in _NAMED if name in by_name and mark.search(path.name)]
    plain = [card for card in cards if card.name.startswith(("wan2", "cogvideox"))] or cards
    if architecture == "wan2.1-i2v-14b" and re.search("720", path.name):
        plain = [card for card in plain if "720" in card.name] or plain
    return _local((named or plain)[0], path)


def _local(card: ModelCard, path: Path) -> ModelCard:
    return replace(
        card,
        name=path.stem if path.is_file() else path.name,
        title=str(path),
        description=f"Local files, run as {card.name}.",
        licence="unknown",
        commercial_use=None,
        aliases=(),
        files=(),
        size_on_disk=0,  # not that of the published files
        notes=(),
        folder=path if path.is_dir() else path.parent,
        installed=True,
    )
