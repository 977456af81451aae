"""What models exist: what each is, where its files are, under what licence, and what it needs.

To add a model: one entry here, and what loads it in `loading.py` if its files have a new layout.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from motionloom.errors import InputError
from motionloom.models.card import ModelCard


def list_models() -> list[ModelCard]:
    """All models of the catalogue, the ones that ship with the package first."""
    nano = Path(str(resources.files("motionloom.models.nano") / "weights"))
    files = [path for path in nano.rglob("*") if path.is_file()] if nano.is_dir() else []
    return [
        ModelCard(
            name="warp",
            title="Geometric warp",
            description="No network: cuts out what moves, moves it, fills the place. Any size, seconds on any CPU.",
            licence="Apache-2.0",
            commercial_use=True,
            methods=("warp",),
        ),
        ModelCard(
            name="nano",
            title="nano, the embedded diffusion model",
            description=(
                "A small Wan-architecture image-to-video model trained on procedural videos. It shows the methods at "
                "work and runs everywhere; pictures are small and soft."
            ),
            licence="Apache-2.0",
            commercial_use=True,
            methods=("ati", "wan_move"),
            native_size=(128, 128),
            num_frames=17,
            fps=8.0,
            default_steps=1,
            size_on_disk=sum(path.stat().st_size for path in files),
            memory=900_000_000,
            folder=nano,
            installed=bool(files),
        ),
    ]


def find_model(name: str) -> ModelCard:
    """The card of a catalogue name.

    Raises:
        InputError: there is no such model; the message lists those there are.
    """
    cards = {card.name: card for card in list_models()}
    if name not in cards:
        raise InputError(f"model: found {name!r}, expected one of {', '.join(cards)}, or a folder with a model")
    return cards[name]


__all__ = ["ModelCard", "find_model", "list_models"]
