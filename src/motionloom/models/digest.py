"""Which weights a clip was made with: a checksum that is quick for files of any size."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

WHOLE = 64 * 1024**2
"""Bytes up to which a file is read as a whole."""

_BLOCK = 64 * 1024
_BLOCKS = 256


def digest_of(folder: Path) -> str:
    """Hex SHA-256 over the names and contents of all weights and configurations in a folder.

    Files above `WHOLE` are sampled, see `digest_of_file`. What motionloom's own training notes is left out.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".safetensors", ".json") and path.name != "training.json":
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(digest_of_file(path))
    return digest.hexdigest()


def digest_of_parts(files: Iterable[tuple[str, Path]]) -> str:
    """Hex SHA-256 over (part, file) pairs: parts, names and contents, wherever the files lie."""
    digest = hashlib.sha256()
    for part, path in sorted(files, key=lambda pair: (pair[0], pair[1].name)):
        digest.update(f"{part}/{path.name}".encode())
        digest.update(digest_of_file(path))
    return digest.hexdigest()


def digest_of_file(path: Path) -> bytes:
    """SHA-256 of a file; above `WHOLE` bytes, of its size, its beginning and end (the header of safetensors with all
    names and shapes, the directory of torch files) and 256 blocks of 64 KiB spread evenly over it.

    A checkpoint of 65 GB takes a fraction of a second instead of minutes. Fine-tuning changes every tensor, so another
    checkpoint of the same shape is told apart; a file altered by hand in few places may not be, and the checksums of
    `motionloom models fetch` are for that.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        if size <= WHOLE:
            return hashlib.file_digest(file, "sha256").digest()
        digest = hashlib.sha256(f"sampled {size}".encode())
        digest.update(file.read(1024**2))
        for number in range(_BLOCKS):
            file.seek((size - _BLOCK) * number // (_BLOCKS - 1))
            digest.update(file.read(_BLOCK))
        return digest.digest()
