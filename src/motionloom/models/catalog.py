"""What models exist: what each is, where its files are, under what licence, and what it needs.

To add a model: its files in `catalog_files.py`, its card in `catalog_cards.py`, and what loads it in `loading.py` if
its files have a new layout.
"""

from __future__ import annotations

import difflib
from dataclasses import replace
from importlib import resources
from pathlib import Path

from motionloom.errors import InputError
from motionloom.models import catalog_cards, memory, store
from motionloom.models.card import ModelCard
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.nano.facts import default_steps, distilled_steps, guidance, takes_last_image


def list_models() -> list[ModelCard]:
    """All models of the catalogue, the ones that ship with the package first; looks at the disk, not at the network."""
    return [_warp(), _nano(), *(_with_state(card) for card in catalog_cards.published())]


def find_model(name: str) -> ModelCard:
    """The card of a catalogue name or one of its aliases, in any case.

    Raises:
        InputError: there is no such model; the message lists those there are, the likely one last.
    """
    wanted = name.strip().lower()
    cards = list_models()
    for card in cards:
        if wanted in (card.name, *card.aliases):
            return card
    spelled = {alias: card.name for card in cards for alias in (card.name, *card.aliases)}
    close = dict.fromkeys(spelled[match] for match in difflib.get_close_matches(wanted, spelled, n=3, cutoff=0.6))
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    names = ", ".join(card.name for card in cards)
    raise InputError(
        f'model: found {name!r}, expected one of {names}, or a folder, file or hub id ("owner/name") of a model{hint}'
    )


def _with_state(card: ModelCard) -> ModelCard:
    presets = memory.estimate(card)
    return replace(
        card,
        installed=store.is_installed(card),
        memory_by_preset=presets,
        memory=presets.get("balanced"),
    )


def _warp() -> ModelCard:
    return ModelCard(
        name="warp",
        title="Geometric warp",
        description="No network: cuts out what moves, moves it, fills the place. Any size, seconds on any CPU.",
        licence="Apache-2.0",
        commercial_use=True,
        methods=("warp",),
    )


def _nano() -> ModelCard:
    folder = Path(str(resources.files("motionloom.models.nano") / "weights"))
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    facts = read_json(folder / "training.json") if files else {}
    return ModelCard(
        name="nano",
        title="nano, the embedded diffusion model",
        description=(
            "A small Wan-architecture image-to-video model trained on procedural videos. It shows the methods at "
            "work and runs everywhere; pictures are small."
        ),
        licence="Apache-2.0",
        commercial_use=True,
        methods=("ati", "wan_move", "time_to_move"),
        native_size=(128, 128),
        num_frames=17,
        fps=8.0,
        default_steps=default_steps(facts),
        distilled_steps=distilled_steps(facts),
        guidance=guidance(facts, folder),
        takes_last_image=takes_last_image(facts),
        size_on_disk=sum(path.stat().st_size for path in files),
        memory=600_000_000,
        folder=folder,
        installed=bool(files),
    )


__all__ = ["ModelCard", "find_model", "list_models"]
