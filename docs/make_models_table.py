"""Write the table of models in models.md from the catalogue: `python docs/make_models_table.py`."""

from __future__ import annotations

from pathlib import Path

from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.store import bytes_text

PAGE = Path(__file__).with_name("models.md")
BEGIN, END = "<!-- table: docs/make_models_table.py -->\n", "<!-- end of table -->\n"
COLUMNS = ("model", "guided by", "clip", "steps", "disk", "GPU memory, GB", "licence", "commercial use")


def table() -> str:
    """All models, one row each; memory by preset from max-speed to minimal."""
    lines = [f"| {' | '.join(COLUMNS)} |", "|" + "---|" * len(COLUMNS)]
    lines += [f"| {' | '.join(_row(card))} |" for card in list_models()]
    return "\n".join(lines) + "\n"


def page_with(content: str, page: str) -> str:
    """The page with its table replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + content + END + after


def _row(card: ModelCard) -> tuple[str, ...]:
    size = "any" if card.native_size is None else f"{card.native_size[1]}x{card.native_size[0]}"
    clip = size if card.num_frames is None else f"{size}, {card.num_frames} at {card.fps:g} fps"
    memory = " / ".join(f"{needed / 1e9:.0f}" for needed in card.memory_by_preset.values())
    return (
        f"`{card.name}`",
        ", ".join(card.methods),
        clip,
        str(card.default_steps or "-"),
        bytes_text(card.size_on_disk) if card.size_on_disk else "-",
        memory or ("CPU" if card.files == () else "-"),
        card.licence,
        {True: "yes", False: "no", None: "unclear"}[card.commercial_use],
    )


if __name__ == "__main__":
    PAGE.write_text(page_with(table(), PAGE.read_text(encoding="utf-8")), encoding="utf-8")
