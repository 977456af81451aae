"""The parts of catalogue models that were fetched to this disk, wherever their repositories put them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from motionloom.models.card import HubFile, ModelCard
from motionloom.models.catalog import list_models
from motionloom.models.checkpoints.layouts import Layout, Place, find_layout
from motionloom.models.checkpoints.parts import WEIGHTS
from motionloom.models.store import diffusers_folder, local_files, missing_files, models_folder, present


def layout_of_card(card: ModelCard) -> Layout:
    """Where the files of a model of the catalogue lie; parts that are not there are left open.

    Raises:
        CheckpointError: its transformer is not on this disk.
    """
    folder = diffusers_folder(card)
    if folder is not None:
        if missing_files(card):
            local_files(card)  # raises, with the list and what to do
        return find_layout(folder)
    layout = layout_of_files(card)
    needed = {"transformer", *(("adapter",) if any(file.part == "fuser" for file in card.files) else ())}
    if needed - layout.places.keys():
        local_files(card)
    return layout


def layout_of_files(card: ModelCard) -> Layout:
    grouped: dict[str, list[HubFile]] = {}
    for file in card.files:
        grouped.setdefault(file.part, []).append(file)
    layout = Layout("fetched", models_folder())
    for part, files in grouped.items():
        paths = [path for file in files for path in present(file)]
        weights = tuple(path for path in paths if path.suffix in WEIGHTS)
        complete = all(present(file) for file in files if not file.path.endswith(".json"))
        if not paths or not complete:
            continue
        config = next((path for path in paths if path.name == "config.json"), None)
        if part == "tokenizer":
            layout.places[part] = Place(part, paths[0].parent)
        elif weights:
            layout.places[part] = Place(part, weights[0].parent, weights, config)
    halves = [layout.places.pop(part, None) for part in ("fuser", "traj_extractor")]
    if halves[0] is not None and halves[1] is not None:
        layout.places["adapter"] = Place("adapter", halves[0].path, (*halves[0].files, *halves[1].files))
    return layout


def fetched_layouts(architecture: str) -> Iterable[Layout]:
    """The files that were fetched for models of an architecture."""
    for card in list_models():
        if card.files and card.architecture == architecture:
            yield layout_of_files(card)


def fetch_command(architecture: str, parts: Sequence[str]) -> str:
    """What would fetch parts of an architecture, as a clause of a message; empty where no model has them."""
    names = [card.name for card in list_models() if card.files and card.architecture == architecture]
    plain = [name for name in names if name.startswith(("wan2", "cogvideox"))] or names  # whose parts others use
    return f"fetch them with: motionloom models fetch {plain[0]} --only {','.join(parts)}" if plain else ""
