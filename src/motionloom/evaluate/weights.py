"""Where the networks that metrics look through lie on this disk.

Nothing is fetched unless asked for. A file is looked for, in this order: where the caller says; where the environment
says (``MOTIONLOOM_WEIGHTS_<NAME>``, dashes as underscores); in the folder ``metrics`` beside the models that
`motionloom models` keeps; among them; in the hub's own cache.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from motionloom.errors import InputError, MotionloomError
from motionloom.evaluate.published_weights import CONFIG, SAFETENSORS, TORCH, WEIGHTS, Weights
from motionloom.models.store import models_folder


class WeightsMissing(MotionloomError):
    """A network is not on this disk; the message names the file, where it comes from and where to put it."""


def find_weights(name: str, given: Mapping[str, Path] | None = None, *, allow_download: bool = False) -> Path:
    """Where a network is on this disk: a file, or a folder as transformers reads it.

    Args:
        name: a key of `WEIGHTS`.
        given: explicit places by name; they come first and must exist.
        allow_download: fetch it where it is missing and comes from the hub.

    Raises:
        WeightsMissing: it is nowhere.
        InputError: no such network, or an explicit place that does not hold it.
        CheckpointError: fetching failed.
    """
    if name not in WEIGHTS:
        raise InputError(f"weights: found {name!r}, expected one of {', '.join(WEIGHTS)}")
    weights = WEIGHTS[name]
    for source, path in (
        ("--weights", (given or {}).get(name)),
        (weights.variable, os.environ.get(weights.variable)),
    ):
        if path:
            return _checked(weights, Path(path).expanduser(), source)
    by_hand = models_folder() / "metrics"
    for path in (by_hand / weights.name, by_hand / weights.file, weights.home):
        if _holds(weights, path):
            return _checked(weights, path, str(path))
    cached = _in_hub_cache(weights)
    if cached is not None:
        return cached
    if allow_download and weights.repo:
        return _fetched(weights)
    raise WeightsMissing(_missing_text(weights))


def is_missing(name: str, given: Mapping[str, Path] | None = None, *, allow_download: bool = False) -> bool:
    """Whether a network is not to be had: nowhere on this disk, or damaged, and not to be fetched."""
    try:
        find_weights(name, given)
    except MotionloomError:
        return not (allow_download and WEIGHTS[name].repo)
    return False


@lru_cache(maxsize=64)
def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file, or of a folder's weights; computed once per process."""
    file = path
    if path.is_dir():
        file = next(each for each in (path / SAFETENSORS, path / TORCH) if each.is_file())
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(1 << 22):
            digest.update(block)
    return digest.hexdigest()


def parse_weights(pairs: tuple[str, ...] | list[str]) -> dict[str, Path]:
    """NAME=PATH pairs of the command line.

    Raises:
        InputError: not such a pair, no such name, or nothing of the kind there.
    """
    given: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not equals or not path or name not in WEIGHTS:
            raise InputError(f"--weights: found {pair!r}, expected NAME=PATH with NAME one of {', '.join(WEIGHTS)}")
        given[name] = Path(path).expanduser()
        if not _holds(WEIGHTS[name], given[name]):
            raise InputError(_wrong_place(WEIGHTS[name], given[name], "--weights"))
    return given


def _checked(weights: Weights, path: Path, source: str) -> Path:
    if not _holds(weights, path):
        raise InputError(_wrong_place(weights, path, source))
    if weights.checksum and not sha256_of(path).startswith(weights.checksum):
        raise InputError(
            f"{source}: {path} is not the published {weights.file} (SHA-256 {sha256_of(path)[:8]}..., expected "
            f"{weights.checksum}...); fetch it again from {weights.page}"
        )
    return path


def _wrong_place(weights: Weights, path: Path, source: str) -> str:
    wanted = f"a folder with {weights.file} and {CONFIG}" if weights.is_folder else "a file"
    found = "nothing there" if not path.exists() else "a folder" if path.is_dir() else "a file"
    return f"{source}: {weights.name} at {path}: found {found}, expected {wanted}"


def _holds(weights: Weights, path: Path) -> bool:
    if weights.is_folder:
        return (path / CONFIG).is_file() and any((path / name).is_file() for name in (SAFETENSORS, TORCH))
    return path.is_file()


def _in_hub_cache(weights: Weights) -> Path | None:
    if not weights.repo:
        return None
    from huggingface_hub import try_to_load_from_cache

    for file in (SAFETENSORS, TORCH) if weights.is_folder else (weights.path or weights.file,):
        found = try_to_load_from_cache(weights.repo, file)
        if isinstance(found, str) and _holds(
            weights, place := Path(found).parent if weights.is_folder else Path(found)
        ):
            return place
    return None


def _fetched(weights: Weights) -> Path:
    from motionloom.models.fetch import fetch

    fetch(weights.card())
    return weights.home


def _missing_text(weights: Weights) -> str:
    names = ", ".join((weights.file, *weights.extra))
    what = f"the folder {weights.repo} ({names})" if weights.is_folder else weights.file
    hub = "the hub" if weights.is_folder else f"{weights.repo} on the hub"
    fetching = " or let it be fetched with --allow-download," if weights.repo else ""
    return (
        f"wants {what}, licence {weights.licence}, from {weights.page or hub}; put it at {weights.home},"
        f"{fetching} or say where it is with --weights {weights.name}=PATH or {weights.variable}"
    )
