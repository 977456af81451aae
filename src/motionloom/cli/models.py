"""motionloom models list, show."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from motionloom.cli.console import say, show_table
from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.models.catalog import ModelCard

app = typer.Typer(no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="For programs: one JSON document.")]


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """What models exist, which are on this disk, under what licence."""
    from motionloom.models.catalog import list_models

    cards = list_models()
    if as_json:
        say(json.dumps([asdict(card) for card in cards], default=str, indent=2))
        return
    from rich.table import Table

    table = Table("model", "here", "methods", "clip", "disk", "licence", "commercial use", box=None, pad_edge=False)
    for card in cards:
        table.add_row(
            card.name, "yes" if card.installed else "", ", ".join(card.methods), _clip(card), _bytes(card.size_on_disk),
            card.licence, _yes_no(card.commercial_use),
        )  # fmt: skip
    show_table(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name from motionloom models list.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """All that is known about one model."""
    from motionloom.models.catalog import list_models

    cards = {card.name: card for card in list_models()}
    if name not in cards:
        raise InputError(f"model: found {name!r}, expected one of {', '.join(cards)}")
    card = cards[name]
    if as_json:
        say(json.dumps(asdict(card), default=str, indent=2))
        return
    facts = {
        "title": card.title,
        "description": card.description,
        "licence": card.licence,
        "commercial use": _yes_no(card.commercial_use),
        "methods": ", ".join(card.methods),
        "clip": _clip(card),
        "default steps": card.default_steps,
        "on disk": _bytes(card.size_on_disk),
        "memory": _bytes(card.memory) if isinstance(card.memory, int) else card.memory,
        "installed": "yes" if card.installed else "no",
    }
    for key, value in facts.items():
        say(f"{key:15} {value if value is not None else '-'}")


def _clip(card: ModelCard) -> str:
    size = "any size" if card.native_size is None else f"{card.native_size[1]}x{card.native_size[0]}"
    frames = "any length" if card.num_frames is None else f"{card.num_frames} frames"
    return f"{size}, {frames}" + (f" at {card.fps:g} fps" if card.fps else "")


def _yes_no(value: bool | None) -> str:
    return "unclear" if value is None else "yes" if value else "no"


def _bytes(value: int | None) -> str:
    if not value:
        return "-"
    amount = float(value)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"
