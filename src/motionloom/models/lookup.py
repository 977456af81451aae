"""From what somebody calls a model to its card and where its files lie: a name of the catalogue, a path, a hub id."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

from motionloom.errors import CheckpointError, InputError
from motionloom.models.card import ModelCard
from motionloom.models.catalog import find_model, list_models
from motionloom.models.checkpoints.folders import read_json
from motionloom.models.checkpoints.layouts import Layout, find_layout
from motionloom.models.checkpoints.parts import WEIGHTS
from motionloom.models.installed import layout_of_files

PathLike = str | os.PathLike[str]

_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


def look_up(name: PathLike) -> tuple[ModelCard | None, Layout | None]:
    """The card of a catalogue name, the layout of a path, or both."""
    path = Path(name)
    text = os.fspath(name)
    if isinstance(name, str):
        # Before what lies in the working folder: "nano" may be where somebody's clips are. Its path is "./nano".
        named = [card for card in list_models() if text.strip().lower() in (card.name, *card.aliases)]
        if named:
            return named[0], None if named[0].folder is None else _in_folder(named[0])
    if path.exists():
        return None, find_layout(path)
    if isinstance(name, str):
        if _HUB_ID.fullmatch(text) and path.suffix not in WEIGHTS:
            card = _at_home_in(text)
            return card, None if card is not None else find_layout(_fetch(text))
        if not path.suffix and "/" not in text and "\\" not in text:
            find_model(text)  # raises, with the names there are
    raise CheckpointError(
        f"{text}: no such folder or file, expected a model: a folder in diffusers' or the original layout, or a file"
    )


def look_up_bases(base: PathLike | Sequence[PathLike] | None) -> list[Layout]:
    layouts: list[Layout] = []
    for entry in listed(base):
        try:
            card, layout = look_up(entry)
        except InputError as error:
            raise InputError(f"base: {str(error).removeprefix('model: ')}") from error
        if layout is None and card is not None:
            if not card.files:
                raise InputError(f"base: {card.name} has no parts that another model could use")
            layout = layout_of_files(card)
        assert layout is not None
        layouts.append(layout)
    return layouts


def listed(base: PathLike | Sequence[PathLike] | None) -> list[PathLike]:
    if base is None:
        return []
    return [base] if isinstance(base, (str, os.PathLike)) else list(base)


def _in_folder(card: ModelCard) -> Layout | None:
    if card.folder is None or not card.folder.is_dir():
        raise CheckpointError(f"{card.name}: the weights are not on this disk (expected in {card.folder})")
    return find_layout(card.folder)


def _at_home_in(repo: str) -> ModelCard | None:
    """The model of the catalogue that has its transformer from a repository, preferably everything else too."""
    cards = [card for card in list_models() if any(f.repo == repo and f.part == "transformer" for f in card.files)]
    return next((card for card in cards if all(file.repo == repo for file in card.files)), next(iter(cards), None))


def _fetch(hub_id: str) -> Path:
    """The local folder of a hub model: what the hub's own cache holds, else what is fetched now, with progress."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
    from tqdm.auto import tqdm

    from motionloom.models.fetch import fetch_repository

    try:
        cached = Path(snapshot_download(hub_id, local_files_only=True))
        if _is_complete(cached):
            return cached
    except (LocalEntryNotFoundError, HFValidationError, OSError):
        pass
    with tqdm(desc=hub_id, unit="B", unit_scale=True, delay=1.0) as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        return fetch_repository(hub_id, on_progress=show)


def _is_complete(folder: Path) -> bool:
    if not (folder / "model_index.json").is_file():
        return False
    index = read_json(folder / "model_index.json")
    parts = [name for name, entry in index.items() if isinstance(entry, list) and None not in entry]
    return all((folder / part).is_dir() for part in parts)
