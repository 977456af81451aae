"""One file from a model hub to this disk: resumed where it stopped, checked before it gets its name.

`huggingface_hub` knows the addresses, the login and the proxies, but since its second major version it drops what an
interrupted download has brought. With checkpoints of tens of gigabytes that is the one thing that matters, so the bytes
are read here.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from motionloom.errors import CheckpointError
from motionloom.models.store import PARTIAL, bytes_text, repository_folder

CHUNK = 1 << 20
TIMEOUT = 30.0
"""Seconds without a byte after which a connection counts as lost."""

ATTEMPTS = 6
"""Tries in a row that bring nothing before a download gives up."""


@dataclass(frozen=True)
class RemoteFile:
    """A file as the hub lists it.

    Attributes:
        revision: the commit the listing is of; size: bytes.
        sha256: hex, of large files; git_sha1: hex, git's hash of the others.
    """

    repo: str
    path: str
    revision: str
    size: int
    sha256: str | None
    git_sha1: str | None

    @property
    def checksum(self) -> str:
        """What identifies the content; the commit where the hub names neither hash."""
        return self.sha256 or self.git_sha1 or self.revision

    def hasher(self) -> Any:
        """A hash object whose hex digest is `checksum` once it has seen the whole file, or None."""
        if self.sha256:
            return hashlib.sha256()
        if self.git_sha1:
            # How git names a blob; not a defence, which for small files the encrypted connection is.
            return hashlib.sha1(b"blob %d\0" % self.size, usedforsecurity=False)
        return None


def partial_path(remote: RemoteFile) -> Path:
    """Where a file is collected. The content is part of the name: two versions of a file are never mixed."""
    name = f"{remote.path.replace('/', '__')}.{remote.checksum[:16]}"
    return repository_folder(remote.repo) / PARTIAL / name


def partial_bytes(remote: RemoteFile) -> int:
    """How much of a file an earlier download has brought."""
    try:
        return min(partial_path(remote).stat().st_size, remote.size)
    except OSError:
        return 0


def matches(path: Path, remote: RemoteFile, on_bytes: Callable[[int], Any] | None = None) -> bool:
    """Whether a file on this disk has the size and the checksum the hub lists."""
    if path.stat().st_size != remote.size:
        return False
    digest = remote.hasher()
    if digest is None:
        return True
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            if on_bytes:
                on_bytes(len(chunk))
    return digest.hexdigest() == remote.checksum


def download(
    remote: RemoteFile,
    target: Path,
    *,
    endpoint: str | None = None,
    token: str | None = None,
    on_bytes: Callable[[int], Any],
    attempts: int = ATTEMPTS,
    pause: Callable[[float], Any] = time.sleep,
) -> None:
    """Bring a file here. What an earlier call brought is kept; ``target`` exists only when all of it is right.

    Args:
        on_bytes: called with the number of bytes that have arrived, negative where some were lost; what it raises ends
            the download, which a later call resumes.
        attempts: tries in a row that bring nothing before it gives up.
        pause: waits that many seconds between tries.

    Raises:
        CheckpointError: the hub cannot be reached or refuses, the disk is full, or the checksum is wrong.
    """
    partial = partial_path(remote)
    partial.parent.mkdir(parents=True, exist_ok=True)
    for other in partial.parent.iterdir():
        if other.stem == partial.stem and other != partial:
            # Of a version of this file that the hub no longer has.
            other.unlink()
    failures = 0
    while True:
        before = partial_bytes(remote)
        try:
            _append(remote, partial, endpoint=endpoint, token=token, on_bytes=on_bytes)
            break
        except _LostError as lost:
            failures = 0 if partial_bytes(remote) > before else failures + 1
            if failures >= attempts:
                raise CheckpointError(
                    f"{remote.repo}: {remote.path} stopped at {bytes_text(partial_bytes(remote))} of "
                    f"{bytes_text(remote.size)} ({lost}); what has arrived is kept, the same command goes on from there"
                ) from lost
            # Spread out, so that several files do not knock at the same moment.
            pause(min(2.0**failures, 30.0) * random.uniform(0.5, 1.0) if failures else 0.1)  # noqa: S311
    target.parent.mkdir(parents=True, exist_ok=True)
    partial.replace(target)


class _LostError(Exception):
    """A connection ended early, or never began; trying again may help."""


def _append(
    remote: RemoteFile, partial: Path, *, endpoint: str | None, token: str | None, on_bytes: Callable[[int], Any]
) -> None:
    digest = remote.hasher()
    try:
        with partial.open("a+b") as file:
            offset = file.tell()
            if offset > remote.size:
                file.truncate(0)
                offset = 0
            if digest is not None:
                file.seek(0)
                while chunk := file.read(CHUNK):
                    digest.update(chunk)
            pieces = _receive(remote, offset, endpoint, token) if offset < remote.size else ()
            for start, chunk in pieces:
                if start != offset:
                    # The server sends the whole file although only the rest was asked for.
                    on_bytes(-offset)
                    file.truncate(0)
                    offset, digest = 0, remote.hasher()
                file.write(chunk)
                offset += len(chunk)
                if digest is not None:
                    digest.update(chunk)
                on_bytes(len(chunk))
            # The name comes after the bytes, also when the power fails.
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CheckpointError(
            f"{partial}: cannot be written ({error.strerror or error}); what has arrived is kept: make room, or set "
            "MOTIONLOOM_MODELS to a folder on another disk, and fetch again"
        ) from error
    if offset < remote.size:
        raise _LostError(f"the connection ended {bytes_text(remote.size - offset)} early")
    found = digest.hexdigest() if digest is not None else remote.checksum
    if offset > remote.size or found != remote.checksum:
        partial.unlink()
        raise CheckpointError(
            f"{remote.repo}: {remote.path} arrived with {offset} bytes and the checksum {found[:12]}..., the hub lists "
            f"{remote.size} bytes and {remote.checksum[:12]}...; it was damaged on the way and has been removed. Fetch "
            "again; if it happens twice, a proxy or a mirror in between changes files"
        )


def _receive(remote: RemoteFile, offset: int, endpoint: str | None, token: str | None) -> Iterator[tuple[int, bytes]]:
    """(Offset, bytes) pieces of the file from ``offset`` on, or from 0 where the server does not resume."""
    from huggingface_hub import get_session, hf_hub_url
    from huggingface_hub.errors import HfHubHTTPError
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    url = hf_hub_url(remote.repo, remote.path, revision=remote.revision, endpoint=endpoint)
    headers = {**build_hf_headers(token=token, library_name="motionloom"), "Accept-Encoding": "identity"}
    if offset:
        headers["Range"] = f"bytes={offset}-"
    try:
        with get_session().stream("GET", url, headers=headers, timeout=TIMEOUT) as response:
            hf_raise_for_status(response)
            resumed = response.status_code == 206
            if resumed and not str(response.headers.get("Content-Range", "")).startswith(f"bytes {offset}-"):
                raise _LostError(f"asked for bytes from {offset} on, was sent {response.headers.get('Content-Range')}")
            start = offset if resumed else 0
            for chunk in response.iter_bytes(chunk_size=CHUNK):
                yield start, chunk
                start += len(chunk)
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", 0)
        reason = " ".join(str(error).split())[:200]
        if status in (408, 425, 429) or status >= 500:
            raise _LostError(reason) from error
        raise CheckpointError(f"{remote.repo}: the hub does not give out {remote.path} ({reason})") from error
    except (_LostError, CheckpointError, GeneratorExit):
        raise
    except Exception as error:
        # Which transport huggingface_hub uses, and so which exceptions it raises, depends on its version.
        raise _LostError(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
