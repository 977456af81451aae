"""Where fetched models lie on this disk, and what of them is there.

The files of the hub repository "owner/name" lie in ``<models folder>/owner--name/`` under the paths they have on the
hub. A file that two models need is there once. Anyone may put files there by hand.
"""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from motionloom.errors import CheckpointError
from motionloom.models.card import HubFile, ModelCard, Part

State = Literal["complete", "partly", "no"]

RECORD = ".motionloom.json"
"""In each repository's folder: which files a fetch has verified, so that gigabytes are hashed once."""

_FETCHED = "*"

PARTIAL = ".motionloom-partial"
"""In each repository's folder: what interrupted downloads have brought."""

ANYWHERE = "**/"
"""Before a file's name: its folder in the repository is not established."""

_REPOSITORY = re.compile(r"[A-Za-z0-9_][\w.-]*/[A-Za-z0-9_][\w.-]*")
_SHARD = re.compile(r"(?P<stem>.*)-(?P<number>\d{5})-of-(?P<count>\d{5})(?P<suffix>\.\w+)")
_WHOLE_FOLDER: tuple[Part, ...] = ("scheduler", "tokenizer", "image_processor", "pipeline")
"""Parts that are more than tensors: every file of them counts."""


def models_folder() -> Path:
    """Where fetched models lie: ``MOTIONLOOM_MODELS``, else ``motionloom/models`` in the user's data folder
    (``XDG_DATA_HOME``, by default ``~/.local/share``).
    """
    given = os.environ.get("MOTIONLOOM_MODELS")
    if given:
        return Path(given).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data).expanduser() if data else Path.home() / ".local" / "share") / "motionloom" / "models"


def repository_folder(repo: str) -> Path:
    """The folder of the hub repository "owner/name".

    Raises:
        CheckpointError: that is no repository's name.
    """
    if not _REPOSITORY.fullmatch(repo) or ".." in repo:
        raise CheckpointError(f'hub id: found {repo!r}, expected "owner/name"')
    return models_folder() / repo.replace("/", "--")


def safe_path(repo: str, path: str) -> PurePosixPath:
    """A path inside a repository, checked before it is joined to a folder of this disk.

    Raises:
        CheckpointError: it would leave the folder, or is not a plain path.
    """
    parts = path.split("/")
    if not path or "\\" in path or ":" in path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise CheckpointError(f"{repo}: lists a file {path!r}, which does not stay in its folder; nothing is written")
    if any(part.startswith(".motionloom") for part in parts):
        raise CheckpointError(f"{repo}: lists a file {path!r}, a name that motionloom uses itself; nothing is written")
    return PurePosixPath(path)


def local_path(repo: str, path: str) -> Path:
    """Where the file of a repository lies, or would."""
    return repository_folder(repo) / safe_path(repo, path)


def present(file: HubFile) -> list[Path]:
    """The files on this disk that ``file`` stands for: one, all shards of a complete set, or none."""
    if not file.is_pattern:
        path = local_path(file.repo, file.path)
        # Only weights have a size to rely on; what a fetch has checked counts as it is.
        exact = file.size if file.sha256 and not file.about else 0
        return [path] if is_verified(file.repo, file.path) or _is_whole(path, exact) else []
    folder = repository_folder(file.repo)
    found = sorted(path for path in folder.glob(file.path) if _is_whole(path))
    names = [_SHARD.fullmatch(path.name) for path in found]
    sets = {(name["stem"], name["count"]) for name in names if name}
    if not sets:
        return found[:1] if file.path.startswith(ANYWHERE) else found
    # Two sets of shards side by side (an update that cut them otherwise): the complete one counts.
    for stem, count in sorted(sets):
        shards = [
            path
            for path, name in zip(found, names, strict=True)
            if name and (name["stem"], name["count"]) == (stem, count)
        ]
        if len(shards) == int(count):
            return shards
    return []


def missing_files(card: ModelCard) -> list[HubFile]:
    """What of a card's files is not, or not completely, on this disk."""
    return [file for file in card.files if not present(file)]


def state(card: ModelCard) -> State:
    """Whether a model's files are on this disk; a part that other models brought along counts."""
    if not card.files:
        return "complete" if card.installed else "no"
    missing = len(missing_files(card))
    return "complete" if missing == 0 else "no" if missing == len(card.files) else "partly"


def is_installed(card: ModelCard) -> bool:
    """Whether all of a card's files are on this disk (names and sizes; `models.fetch` compares checksums)."""
    return all(present(file) for file in card.files) and (bool(card.files) or card.installed)


def local_files(card: ModelCard) -> dict[Part, list[Path]]:
    """The files of a model by part, weights in the order of their shards; configurations beside weights are left out.

    Raises:
        CheckpointError: some are missing: which, how large, where to put them, and what would fetch them.
    """
    missing = missing_files(card)
    if missing:
        raise CheckpointError(missing_text(card, missing))
    files: dict[Part, list[Path]] = {}
    for file in card.files:
        for path in present(file):
            if file.part in _WHOLE_FOLDER or path.suffix != ".json":
                files.setdefault(file.part, []).append(path)
    return files


def loras_of(card: ModelCard) -> dict[Part, Path]:
    """The LoRAs that a model brings with it, by part; the four-step ones only where both are on this disk.

    Raises:
        CheckpointError: the others are not; the message says how to get them.
    """
    own = [file for file in card.files if file.part in ("lora", "lora_2")]
    quick = [file for file in card.files if file.part in ("lora_fast", "lora_fast_2")]
    wanted = own + (quick if all(present(file) for file in quick) else [])
    return {part: paths[0] for part, paths in local_files(replace(card, files=tuple(wanted))).items()}


def diffusers_folder(card: ModelCard) -> Path | None:
    """The folder in diffusers' layout that holds the whole model, for cards of that layout."""
    for file in card.files:
        if file.part == "pipeline" and file.path == "model_index.json":
            return repository_folder(file.repo)
    return None


def missing_text(card: ModelCard, missing: Sequence[HubFile], reason: str = "") -> str:
    """What is missing of a model and what to do about it: one paragraph, then a line for each repository."""
    size = sum(file.size for file in missing)
    about = "about " if any(file.about or not file.size for file in missing) else ""
    count = f"{len(missing)} of its {len(card.files)} files"
    head = f"{card.name}: {reason}{count} are not on this disk ({about}{bytes_text(size)})."
    where = "\n".join(placement(missing))
    command = f"motionloom models fetch {shlex.quote(card.name)}"
    return f"{head}\nFetch them with: {command}\nor put them, from the hub, here:\n{where}"


def placement(files: Iterable[HubFile]) -> list[str]:
    """Which files of which repository belong into which folder of this disk: one text for each repository."""
    grouped: dict[str, list[HubFile]] = {}
    for file in files:
        grouped.setdefault(file.repo, []).append(file)
    return [
        f"  {repo} -> {repository_folder(repo)}/:\n    "
        + ",\n    ".join(f"{file.path}{f' ({size_text(file)})' if file.size else ''}" for file in group)
        for repo, group in grouped.items()
    ]


def size_text(file: HubFile) -> str:
    """A file's size for people."""
    return "-" if not file.size else f"{'about ' if file.about else ''}{bytes_text(file.size)}"


def is_verified(repo: str, path: str) -> bool:
    """Whether the file on this disk is the one a fetch compared with its checksum, untouched since."""
    entry = _read_record(repo).get(path)
    if not isinstance(entry, dict):
        return False
    try:
        found = local_path(repo, path).stat()
    except OSError:
        return False
    return entry.get("size") == found.st_size and entry.get("mtime_ns") == found.st_mtime_ns


def verified_checksum(repo: str, path: str) -> str | None:
    """The checksum under which a file was verified (hex SHA-256, or git's SHA-1 of small files), if it still holds."""
    return str(_read_record(repo)[path].get("checksum")) if is_verified(repo, path) else None


def mark_verified(repo: str, path: str, checksum: str) -> None:
    """Note that a file has the checksum it should have."""
    found = local_path(repo, path).stat()
    entry = {"size": found.st_size, "mtime_ns": found.st_mtime_ns, "checksum": checksum}
    _write_record(repo, {**_read_record(repo), path: entry})


def mark_fetched(repo: str, revision: str) -> None:
    """Note that all of a repository that one wants is here, as of a commit."""
    _write_record(repo, {**_read_record(repo), _FETCHED: {"revision": revision}})


def fetched_revision(repo: str) -> str | None:
    """The commit as of which a repository is here completely, as long as none of its verified files was touched."""
    record = _read_record(repo)
    fetched = record.pop(_FETCHED, None)
    if not isinstance(fetched, dict) or not all(is_verified(repo, path) for path in record):
        return None
    return str(fetched.get("revision"))


def _write_record(repo: str, value: dict[str, Any]) -> None:
    record = repository_folder(repo) / RECORD
    temporary = record.with_name(f"{RECORD}.new")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")
    temporary.replace(record)


def _read_record(repo: str) -> dict[str, Any]:
    try:
        value = json.loads((repository_folder(repo) / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def bytes_text(value: float) -> str:
    """Bytes for people, in powers of ten as disks and hubs count them."""
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _is_whole(path: Path, size: int = 0) -> bool:
    try:
        found = path.stat().st_size if path.is_file() else 0
    except OSError:
        return False
    return found == size if size else found > 0
