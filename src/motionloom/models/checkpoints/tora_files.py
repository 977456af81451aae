"""Tora's files among others: a checkpoint of the authors' SAT program, the two halves of an add-on, a saved adapter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from motionloom.errors import CheckpointError
from motionloom.methods.tora.checkpoint import Kind, kind_of
from motionloom.models.checkpoints.parts import contents

SAT_FILE = "mp_rank_00_model_states.pt"
"""The name that DeepSpeed gives a checkpoint, inside a folder of the step's name."""

_HALVES: tuple[Kind, Kind] = ("fuser", "traj_extractor")
_FILES = {"fuser": "fuser.safetensors or fuser_I2V.safetensors", "traj_extractor": "traj_extractor*.safetensors"}
_SAYS_IMAGE = re.compile(r"i2v|img2vid|image[-_ ]?(to|2)[-_ ]?video", re.IGNORECASE)
_SUFFIXES = (".safetensors", ".sft", ".pth")


def sat_file(folder: Path) -> Path | None:
    """The SAT checkpoint in a folder, or in the one folder inside that holds one; None: there is none.

    Raises:
        CheckpointError: several, or one that is split among processes.
    """
    latest = folder / "latest"
    step = latest.read_text(encoding="utf-8").strip() if latest.is_file() and latest.stat().st_size < 200 else ""
    named = [folder / SAT_FILE, *([folder / step / SAT_FILE] if re.fullmatch(r"[\w-]+", step) else [])]
    found = [path for path in named if path.is_file()][:1] or sorted(folder.glob(f"*/{SAT_FILE}"))
    found = found or sorted(folder.glob(f"*/*/{SAT_FILE}"))
    if len(found) > 1:
        raise CheckpointError(
            f"{folder}: holds {len(found)} checkpoints ({', '.join(str(path.relative_to(folder)) for path in found)}); "
            "give the folder of the one that is meant"
        )
    if not found:
        return None
    others = sorted(path.name for path in found[0].parent.glob("mp_rank_*_model_states.pt"))
    if len(others) > 1:
        raise CheckpointError(
            f"{found[0].parent}: holds a checkpoint split among {len(others)} processes ({', '.join(others)}); merge "
            "it with the program that wrote it"
        )
    return found[0]


def transformer_file(files: Sequence[Path]) -> Path | None:
    """Of the weight files of a folder the transformer with Tora inside, under whatever name; None: there is none.

    Raises:
        CheckpointError: there are several.
    """
    # Of many files only those are looked into that have their names up front.
    found = [file for file in files if (len(files) == 1 or file.suffix in _SUFFIXES) and _kind(file) == "tora"]
    if len(found) > 1:
        raise CheckpointError(
            f"{found[0].parent}: holds several transformers with Tora inside "
            f"({', '.join(file.name for file in found)}); give the file of the one that is meant"
        )
    return found[0] if found else None


def addon_files(path: Path) -> tuple[Path, ...]:
    """The files of the add-on that a file belongs to, or that a folder holds; empty: none.

    An add-on is the fusers and the trajectory extractor, in two files side by side, in folders of their names, or in
    one file.

    Raises:
        CheckpointError: half of one, or several.
    """
    if path.is_file():
        kind = _kind(path)
        if kind == "adapter":
            return (path,)
        return (path, _other_half(path, kind)) if kind in _HALVES else ()
    files = _weights(path, path / "fuser", path / "traj_extractor")
    kinds = {file: _kind(file) for file in files}
    whole = [file for file in files if kinds[file] == "adapter"]
    starts = whole or [file for file in files if kinds[file] == "fuser"]
    if len(starts) > 1:
        raise CheckpointError(
            f"{path}: holds several add-ons of Tora ({', '.join(file.name for file in starts)}); give the file of the "
            "one that is meant (I2V in its name: for image to video)"
        )
    starts = starts or [file for file in files if kinds[file] == "traj_extractor"][:1]
    return addon_files(starts[0]) if starts else ()


def for_photographs(paths: Iterable[Path]) -> bool:
    """Whether the names of an add-on say that it is for image to video. Nothing else tells: its tensors have the same
    names and shapes."""
    return any(_SAYS_IMAGE.search(name) for path in paths for name in path.parts[-2:])


def _other_half(path: Path, kind: Kind) -> Path:
    """The extractor's file beside the fusers', or the reverse."""
    other = _HALVES[1 - _HALVES.index(kind)]
    folders = (path.parent, path.parent / other, path.parent.parent / other)
    found = [file for file in _weights(*folders) if file != path and _kind(file) == other]
    alike = [file for file in found if for_photographs([Path(file.name)]) == for_photographs([Path(path.name)])]
    if len(alike) == 1:
        return alike[0]
    exact = [file for file in alike if file.name == path.name.replace(kind, other)]
    if len(exact) == 1:
        return exact[0]
    called = {"fuser": "the fusers", "traj_extractor": "the trajectory extractor"}
    seen = f"there are {', '.join(file.name for file in found)}" if found else "there is none"
    raise CheckpointError(
        f"{path}: is half of an add-on, {called[kind]}; {called[other]} ({_FILES[other]}) that belongs to it has to "
        f"lie beside it under a name that matches, or in {path.parent.parent / other}; {seen}. Fetch both halves"
    )


def _weights(*folders: Path) -> list[Path]:
    """Weight files directly in folders."""
    inside: Sequence[Path] = [file for folder in folders if folder.is_dir() for file in sorted(folder.iterdir())]
    return list(dict.fromkeys(file for file in inside if file.suffix in _SUFFIXES and file.is_file()))


def _kind(path: Path) -> Kind | None:
    try:
        return kind_of(contents(path).shapes)
    except CheckpointError:
        if any(half in path.name for half in _HALVES):  # cut short, and not to be called missing
            raise
        return None
