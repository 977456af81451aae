"""One file of weights, read as what its first bytes say it is: safetensors, a torch file, or GGUF.

Each reader knows keys, shapes and types when it is opened, and maps the file again for every `read`, so that the pages
it touched are given back when the tensors are dropped. (A temporary copy of a tensor below 32 MB may stay with the C
library's allocator; that is why none is made: tensors are views of the mapping until they are cast.)
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from motionloom.errors import CheckpointError


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor before it is read.

    Attributes:
        shape: of its values.
        dtype: as stored; uint8 for a quantised one.
        nbytes: as stored.
        quantization: GGUF's name of its type ("Q4_K", ...), None for plain numbers.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype
    nbytes: int
    quantization: str | None = None


class Reader(Protocol):
    """A file of weights.

    Attributes:
        path: None for tensors in memory.
        tensors: by key, in the order of the file.
        metadata: text in its header.
        mapped: whether a `read` costs memory and time only for its own keys; else it is as good as one for all.
    """

    path: Path | None
    tensors: Mapping[str, TensorInfo]
    metadata: Mapping[str, str]
    mapped: bool

    def read(self, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """(key, tensor) for these keys; the tensors may be views of a mapping that lives as long as they do."""
        ...


def open_file(path: Path) -> Reader:
    """The reader for a file.

    Raises:
        CheckpointError, MissingDependencyError: see `source.open_source`.
    """
    if not path.is_file():
        half = [path.with_name(path.name + end) for end in UNFINISHED if path.with_name(path.name + end).exists()]
        raise CheckpointError(
            f"{path}: no such file"
            + (f"; {half[0].name} beside it is an unfinished download, finish it" if half else ", expected weights")
        )
    if path.suffix in UNFINISHED:
        raise CheckpointError(
            f"{path}: is an unfinished download ({path.suffix}); finish it, then give the file itself"
        )
    with path.open("rb") as file:
        head = file.read(512)
    _refuse_other_content(path, head)
    if path.suffix not in _KINDS:
        raise CheckpointError(f"{path}: found {path.suffix or 'no suffix'}, expected {', '.join(_KINDS)}")
    if head[:4] == b"GGUF":
        from motionloom.models.checkpoints.gguf import GGUFFile

        return GGUFFile(path)
    if _KINDS[path.suffix] == "safetensors":
        return SafetensorsFile(path)
    if _KINDS[path.suffix] == "gguf":
        raise CheckpointError(f"{path}: is not a GGUF file, its first bytes are {head[:4]!r}; download it again")
    return TorchFile(path)


UNFINISHED = (".incomplete", ".part", ".partial", ".crdownload", ".download", ".aria2", ".tmp")
"""Suffixes of what download programs have not finished."""

_KINDS = {
    ".safetensors": "safetensors",
    ".sft": "safetensors",
    ".gguf": "gguf",
    ".pth": "torch",
    ".pt": "torch",
    ".ckpt": "torch",
    ".bin": "torch",
}

SUFFIXES = tuple(_KINDS)
"""Of files with weights; torch files are read as tensors only, never as objects."""


_WEB_PAGES = (b"<!doctype", b"<html", b"<?xml", b'{"error', b"invalid username", b"entry not found", b"access to")


def _refuse_other_content(path: Path, head: bytes) -> None:
    text = head.lstrip().lower()
    if not head:
        raise CheckpointError(f"{path}: is empty, a download that never began; download it again")
    if head.startswith(b"version https://git-lfs"):
        raise CheckpointError(
            f"{path}: is a Git LFS pointer of {path.stat().st_size} bytes, not the weights themselves; run "
            "'git lfs pull' in that folder, or download the file"
        )
    if text.startswith(_WEB_PAGES):
        raise CheckpointError(
            f"{path}: is a web page or an error message, not weights; the download needs a login or another address "
            f"(it begins {head[:60].decode(errors='replace')!r})"
        )
    is_zip, is_gguf = head[:2] == b"PK", head[:4] == b"GGUF"
    kind = _KINDS.get(path.suffix)
    if (is_zip and kind in ("safetensors", "gguf")) or (is_gguf and kind in ("safetensors", "torch")):
        right = ".pth" if is_zip else ".gguf"
        raise CheckpointError(
            f"{path}: is a {'torch' if is_zip else 'GGUF'} file by its contents; rename it to {path.stem}{right}"
        )


class SafetensorsFile:
    """A safetensors file, its header checked against its size.

    Raises:
        CheckpointError: cut short, or not safetensors.
    """

    mapped = True

    def __init__(self, path: Path):
        self.path: Path | None = path
        header, start = _safetensors_header(path)
        self.metadata: Mapping[str, str] = header.pop("__metadata__", {})
        unknown = sorted({str(entry["dtype"]) for entry in header.values()} - _DTYPES.keys())
        if unknown:
            raise CheckpointError(
                f"{path}: holds tensors of type {', '.join(unknown)}, expected {', '.join(_DTYPES)}; take the file in "
                "bfloat16, float8 or GGUF"
            )
        # Sorted by place, so that the file is read from front to back.
        ordered = sorted(header.items(), key=lambda item: item[1]["data_offsets"][0])
        self._offsets = {key: entry["data_offsets"][0] for key, entry in ordered}
        self.tensors: Mapping[str, TensorInfo] = {}
        for key, entry in ordered:
            info = TensorInfo(
                tuple(entry["shape"]),
                _DTYPES[entry["dtype"]],
                entry["data_offsets"][1] - entry["data_offsets"][0],
            )
            if info.nbytes != math.prod(info.shape) * info.dtype.itemsize or self._offsets[key] < 0:
                raise CheckpointError(
                    f"{path}: its header gives {key} {info.nbytes} bytes, which is not what {list(info.shape)} of "
                    f"{entry['dtype']} take; it is damaged, download it again"
                )
            self.tensors[key] = info
        self._start = start

    def read(self, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        # Not safetensors.safe_open: it maps the whole file writable, and Linux refuses that for a file larger than
        # memory and swap together, as the checkpoints in one file are on most machines.
        first = min((self._offsets[key] for key in keys), default=0)
        last = max((self._offsets[key] + self.tensors[key].nbytes for key in keys), default=0)
        data = _mapped(self.path, self._start + first, last - first)
        for key in keys:
            info, at = self.tensors[key], self._offsets[key] - first
            yield key, _viewed(data[at : at + info.nbytes], info)


def _mapped(path: Path | None, offset: int, nbytes: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A part of a file; written to, it would not change the file."""
    if path is None or nbytes == 0:
        return np.empty(0, np.uint8)
    try:
        return np.memmap(path, np.uint8, mode="c", offset=offset, shape=(nbytes,))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path}: does not read ({error}); was it changed since it was opened?") from error


def _viewed(data: np.ndarray[Any, np.dtype[np.uint8]], info: TensorInfo) -> Tensor:
    if data.size == 0:
        return torch.empty(info.shape, dtype=info.dtype)
    if data.ctypes.data % info.dtype.itemsize:
        data = data.copy()  # headers of early files are of any length
    return torch.from_numpy(data).view(info.dtype).reshape(info.shape)


def _safetensors_header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and where the data begins."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size, 100_000_000) and size >= 8 and length < 100_000_000:
            raise CheckpointError(
                f"{path}: is cut short: its header alone has {length} bytes, the file {size}; download it again"
            )
        if size < 8 or length > 100_000_000:
            raise CheckpointError(
                f"{path}: is not a safetensors file, it begins with no header size ({size} bytes in all); download it "
                "again, or give it the suffix of what it is"
            )
        try:
            header: Any = json.loads(file.read(length))
            end = max((entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"), default=0)
        except (UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError, AttributeError, IndexError) as error:
            raise CheckpointError(f"{path}: its header is not that of a safetensors file ({error!r})") from error
    whole = 8 + length + end
    if size < whole:
        raise CheckpointError(
            f"{path}: is cut short: {size:,} of {whole:,} bytes are there; finish the download, or start it again"
        )
    if size > whole:
        raise CheckpointError(
            f"{path}: has {size - whole:,} bytes after its last tensor; it is damaged, download it again"
        )
    return header, 8 + length


_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


class TorchFile:
    """A file of ``torch.save``, read as tensors only: one that would run code is refused.

    A dictionary inside a ``state_dict``, ``model`` or ``module`` entry is found; entries that are no tensors (epoch,
    settings) are passed over.

    Raises:
        CheckpointError: cut short, damaged, no dictionary of tensors, or objects that would run code.
    """

    metadata: Mapping[str, str] = {}
    mapped: bool

    def __init__(self, path: Path):
        self.path: Path | None = path
        self.tensors: Mapping[str, TensorInfo] = {
            key: TensorInfo(tuple(tensor.shape), tensor.dtype, tensor.nbytes) for key, tensor in self._load().items()
        }

    def read(self, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        tensors = self._load()
        for key in keys:
            yield key, tensors.pop(key)

    def _load(self) -> dict[str, Tensor]:
        import pickle

        path = self.path
        assert path is not None
        with path.open("rb") as file:
            head = file.read(2)
        try:
            # Files older than torch 1.6 are not zip archives and cannot be mapped: they are read whole.
            self.mapped = head == b"PK"
            value = torch.load(path, map_location="cpu", weights_only=True, mmap=self.mapped)
        except pickle.UnpicklingError as error:
            # A first byte that is no pickle's is refused with the same words as a pickle that would run code.
            if head == b"PK" or head[:1] == b"\x80":
                raise CheckpointError(
                    f"{path}: holds Python objects that would run code when loaded; not loaded. Take the safetensors "
                    f"file of this model, or one with tensors only ({_reason(error)})"
                ) from error
            raise CheckpointError(f"{path}: is not a torch file ({_reason(error)}); download it again") from error
        except (RuntimeError, EOFError, OSError, ValueError) as error:
            if "mmap" in str(error):
                raise CheckpointError(
                    f"{path}: {path.stat().st_size:,} bytes cannot be mapped into memory ({_reason(error)}); close "
                    "other programs, add swap space, or take the safetensors file of this model"
                ) from error
            raise CheckpointError(
                f"{path}: does not read as a torch file of {path.stat().st_size:,} bytes; most likely the download was "
                f"cut short, start it again ({_reason(error)})"
            ) from error
        return _tensors_in(value, path)


def _tensors_in(value: Any, path: Path) -> dict[str, Tensor]:
    for _ in range(3):
        inside = (value.get(name) for name in ("state_dict", "model", "module")) if isinstance(value, dict) else ()
        inner = next((entry for entry in inside if isinstance(entry, dict)), None)
        if inner is None:
            break
        value = inner
    entries = value if isinstance(value, dict) else {}
    tensors = {str(key): entry for key, entry in entries.items() if isinstance(entry, Tensor)}
    if not tensors:
        found = ", ".join(map(str, list(entries)[:5])) or type(value).__name__
        raise CheckpointError(f"{path}: holds no tensors by name, found {found}; expected the state_dict of a model")
    return tensors


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


class MemoryReader:
    """Tensors that are in memory already."""

    metadata: Mapping[str, str] = {}
    mapped = False

    def __init__(self, tensors: Mapping[str, Tensor]):
        self.path: Path | None = None
        self._tensors = tensors
        self.tensors: Mapping[str, TensorInfo] = {
            key: TensorInfo(tuple(tensor.shape), tensor.dtype, tensor.nbytes) for key, tensor in tensors.items()
        }

    def read(self, keys: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        for key in keys:
            yield key, self._tensors[key]
