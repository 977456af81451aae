"""What a fetch would do: which files the hub lists for a model, which of them are here, and what is to come."""

from __future__ import annotations

import difflib
import fnmatch
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from motionloom.errors import CheckpointError
from motionloom.models.card import HubFile, ModelCard, Part
from motionloom.models.download import RemoteFile, partial_bytes
from motionloom.models.store import (
    ANYWHERE,
    local_path,
    missing_files,
    missing_text,
    repository_folder,
    safe_path,
    verified_checksum,
)

DIFFUSERS_FILES = ("model_index.json", "*/*.json", "*/*.safetensors", "*/*.model", "*/*.txt")
"""What is taken of a repository in diffusers' layout: configurations, weights as safetensors, tokenizers; no code."""


@dataclass(frozen=True)
class PlannedFile:
    """What will be done about one file.

    Attributes:
        remote: as the hub lists it; part: what it is for; target: where it will lie.
        action: "keep" (verified, or "verify" first), "link" (the same content lies in ``source``), or "download".
        bytes_here: of the download, from an earlier try.
    """

    remote: RemoteFile
    part: Part
    target: Path
    action: Literal["keep", "verify", "link", "download"]
    bytes_here: int = 0
    source: Path | None = None

    @property
    def bytes_to_fetch(self) -> int:
        """What is still to come over the network."""
        return self.remote.size - self.bytes_here if self.action == "download" else 0


@dataclass(frozen=True)
class Plan:
    """What `fetch` will do for a model."""

    card: ModelCard
    files: tuple[PlannedFile, ...]

    @property
    def total(self) -> int:
        """Bytes of all files."""
        return sum(file.remote.size for file in self.files)

    @property
    def bytes_to_fetch(self) -> int:
        """Bytes still to come over the network."""
        return sum(file.bytes_to_fetch for file in self.files)


def plan(
    card: ModelCard,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    verify: bool = False,
    accept_changed: bool = False,
) -> Plan:
    """What `fetch` would do, asked of the hub; nothing is written.

    Raises:
        CheckpointError: as `fetch`.
    """
    listings = {repo: _listing(card, repo, endpoint, token) for repo in dict.fromkeys(f.repo for f in card.files)}
    known = _verified_contents(card)
    files: list[PlannedFile] = []
    for file in card.files:
        for remote in _resolve(file, listings[file.repo]):
            if file.sha256 and remote.sha256 and file.sha256 != remote.sha256 and not accept_changed:
                raise CheckpointError(
                    f"{card.name}: {remote.path} on the hub ({remote.repo}) has the checksum {remote.sha256[:12]}..., "
                    f"this version of motionloom knows it as {file.sha256[:12]}...: it was changed after this version "
                    "was made. --accept-changed takes it as it is now"
                )
            files.append(_planned(remote, file.part, verify=verify, known=known))
    return Plan(card, tuple(files))


def card_of_repository(repo: str, *, endpoint: str | None = None, token: str | None = None) -> ModelCard:
    """A card for a hub id ("owner/name") that holds a model in diffusers' layout, its files as the hub lists them.

    Raises:
        CheckpointError: the hub cannot be reached, or the repository has another layout.
    """
    unknown = ModelCard(
        name=repo,
        title=repo,
        description="A repository of the hub.",
        licence="unknown",
        commercial_use=None,
        methods=(),
        installed=False,
    )
    listing = _listing(unknown, repo, endpoint, token)
    if "model_index.json" not in listing:
        raise CheckpointError(
            f"{repo}: holds no model_index.json, so it is no model in diffusers' layout; download the file you want "
            "from it and give its path instead"
        )
    parts: dict[str, Part] = {part: part for part in get_args(Part)}
    paths = [path for path in listing if any(fnmatch.fnmatch(path, pattern) for pattern in DIFFUSERS_FILES)]
    files = [
        HubFile(
            repo,
            path,
            parts.get(path.split("/")[0], "pipeline"),
            listing[path].size,
            listing[path].sha256,
        )
        for path in paths
        if path.count("/") <= 1 and not _is_variant(path, paths)
    ]
    return ModelCard(
        name=repo,
        title=repo,
        description="A repository of the hub in diffusers' layout.",
        licence="unknown",
        commercial_use=None,
        methods=(),
        files=tuple(files),
        size_on_disk=sum(file.size for file in files),
        installed=False,
    )


def endpoint_of(given: str | None) -> str | None:
    """The hub's address: as given, ``HF_ENDPOINT``, or None for the public hub."""
    return given or os.environ.get("HF_ENDPOINT") or None


def _listing(card: ModelCard, repo: str, endpoint: str | None, token: str | None) -> dict[str, RemoteFile]:
    """All files of a repository at its present commit."""
    repository_folder(repo)  # Refuses what is no repository's name.
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError

    try:
        info = HfApi(endpoint=endpoint_of(endpoint), token=token, library_name="motionloom").model_info(
            repo, files_metadata=True, timeout=20.0
        )
    except GatedRepoError as error:
        reason = f"the hub asks for a login and for accepting the terms of {repo} on its page; do that once, then run "
        raise CheckpointError(_unreachable(card, f"{reason}hf auth login. ")) from error
    except RepositoryNotFoundError as error:
        reason = f"the hub has no repository {repo}, or shows it only after a login (hf auth login). "
        raise CheckpointError(_unreachable(card, reason)) from error
    except HfHubHTTPError as error:
        raise CheckpointError(_unreachable(card, f"the hub refused ({_short(error)}). ")) from error
    except Exception as error:
        # Which transport huggingface_hub uses, and so which exceptions it raises, depends on its version.
        raise CheckpointError(_unreachable(card, f"the hub cannot be reached ({_short(error)}). ")) from error
    listing: dict[str, RemoteFile] = {}
    for entry in info.siblings or ():
        safe_path(repo, entry.rfilename)
        listing[entry.rfilename] = RemoteFile(
            repo=repo,
            path=entry.rfilename,
            revision=info.sha or "main",
            size=entry.size or 0,
            sha256=entry.lfs.sha256 if entry.lfs else None,
            git_sha1=None if entry.lfs else entry.blob_id,
        )
    return listing


def _resolve(file: HubFile, listing: dict[str, RemoteFile]) -> list[RemoteFile]:
    if file.path.startswith(ANYWHERE):
        name = file.path.removeprefix(ANYWHERE)
        found = sorted((remote for path, remote in listing.items() if f"/{path}".endswith(f"/{name}")), key=_depth)[:1]
    elif file.is_pattern:
        found = [
            remote
            for path, remote in listing.items()
            if fnmatch.fnmatch(path, file.path) and path.count("/") == file.path.count("/")
        ]
    else:
        found = [listing[file.path]] if file.path in listing else []
    if not found:
        close = difflib.get_close_matches(file.path, listing, n=3, cutoff=0.3)
        raise CheckpointError(
            f"{file.repo}: the hub lists no {file.path} (there is {', '.join(close) or 'nothing like it'}); the "
            "repository was changed after this version of motionloom was made"
        )
    return sorted(found, key=lambda remote: remote.path)


def _depth(remote: RemoteFile) -> int:
    return remote.path.count("/")


def _planned(remote: RemoteFile, part: Part, *, verify: bool, known: dict[str, Path]) -> PlannedFile:
    target = local_path(remote.repo, remote.path)
    if verified_checksum(remote.repo, remote.path) == remote.checksum:
        return PlannedFile(remote, part, target, "verify" if verify else "keep")
    if target.is_file() and target.stat().st_size == remote.size:
        return PlannedFile(remote, part, target, "verify")
    source = known.get(remote.sha256 or "")
    if source is not None:
        return PlannedFile(remote, part, target, "link", source=source)
    return PlannedFile(remote, part, target, "download", bytes_here=partial_bytes(remote))


def _verified_contents(card: ModelCard) -> dict[str, Path]:
    """Large files of the whole catalogue that are on this disk, by SHA-256: several models share encoders."""
    from motionloom.models.catalog_cards import published

    found: dict[str, Path] = {}
    for file in (file for other in (*published(), card) for file in other.files if not file.is_pattern):
        checksum = verified_checksum(file.repo, file.path)
        if checksum and len(checksum) == 64:
            found.setdefault(checksum, local_path(file.repo, file.path))
    return found


def _unreachable(card: ModelCard, reason: str) -> str:
    missing = missing_files(card)
    if not missing:
        by_hand = (
            " Everything of it that is known here is on this disk."
            if card.files
            else f" No folder of the name {card.name} is here either: correct the name, try again with a network or "
            "another hub (HF_ENDPOINT), or download the repository elsewhere and give the path of its folder."
        )
        return f"{card.name}: {reason.strip()}{by_hand}"
    return missing_text(card, missing, reason=reason)


def _is_variant(path: str, paths: Iterable[str]) -> bool:
    """Whether weights are a second copy in another precision ("model.fp16.safetensors" beside "model.safetensors")."""
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.partition(".")
    if suffix.count(".") == 0 or not suffix.endswith(".safetensors"):
        return False
    plain = f"{folder}/{stem}.safetensors" if folder else f"{stem}{dot}safetensors"
    return plain in set(paths)


def _short(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:160]}"
