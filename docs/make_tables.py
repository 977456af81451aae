"""Write the tables of the pages that are made from the package itself: `python docs/make_tables.py`.

A table stands between two comments of its page, the first of which names it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from motionloom.evaluate.published_weights import WEIGHTS
from motionloom.evaluate.suite import METRICS
from motionloom.models.card import ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.store import bytes_text

END = "<!-- end of table -->\n"
_YES_NO = {True: "yes", False: "no", None: "unclear"}


def models() -> str:
    """All models, one row each; memory by preset from max-speed to minimal."""
    columns = ("model", "guided by", "clip", "steps", "disk", "GPU memory, GB", "licence", "commercial use")
    return _table(columns, (_model(card) for card in list_models()))


def metrics() -> str:
    """All metrics of `motionloom evaluate`."""
    columns = ("metric", "what", "better", "needs", "networks")
    rows = (
        (
            f"`{metric.name}`",
            metric.title,
            metric.better or "-",
            ", ".join(need.replace("_", " ") for need in metric.needs) or "-",
            ", ".join(metric.weights) or "-",
        )
        for metric in METRICS.values()
    )
    return _table(columns, rows)


def networks() -> str:
    """The files of the networks that metrics look through."""
    columns = ("network", "what for", "file", "from", "licence")
    rows = (
        (
            f"`{each.name}`",
            each.title,
            f"`{each.file}`" if not each.is_folder else "folder",
            each.repo or each.page or "-",
            each.licence,
        )
        for each in WEIGHTS.values()
    )
    return _table(columns, rows)


def methods() -> str:
    """The tables that `benchmarks/methods.py` has left."""
    found = json.loads((Path(__file__).parents[1] / "benchmarks" / "results" / "methods.json").read_text())["tables"]
    return "\n".join(f"**{title[0].upper()}{title[1:]}**\n\n{table}\n" for title, table in found.items())


TABLES: dict[str, Sequence[Callable[[], str]]] = {"models.md": (models,), "evaluation.md": (metrics, networks, methods)}
"""By page."""


def page_with_tables(page: str, makers: Sequence[Callable[[], str]]) -> str:
    """The text of a page with its tables made anew."""
    for maker in makers:
        begin = f"<!-- table: docs/make_tables.py {maker.__name__} -->\n"
        before, found, rest = page.partition(begin)
        if not found:
            raise SystemExit(f"no place for the table {maker.__name__}: the page lacks {begin.strip()}")
        _, _, after = rest.partition(END)
        page = before + begin + maker() + END + after
    return page


def _model(card: ModelCard) -> tuple[str, ...]:
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
        _YES_NO[card.commercial_use],
    )


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(columns)} |", "|" + "---|" * len(columns)]
    lines += [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for name, makers in TABLES.items():
        path = Path(__file__).with_name(name)
        path.write_text(page_with_tables(path.read_text(encoding="utf-8"), makers), encoding="utf-8")
