"""Weights on disk, whatever the file: keys, shapes and types without reading data, then tensors one by one.

A source is opened from one file, several shards, a folder, or the index of a sharded model. Files are mapped, not read:
what a tensor is made of is on disk until it is copied, and the mapping is given up every `WINDOW` bytes, so that
reading a model takes no more memory than the model itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from motionloom.errors import CheckpointError
from motionloom.models.checkpoints.readers import SUFFIXES, UNFINISHED, MemoryReader, Reader, TensorInfo, open_file

WINDOW = 64 * 1024**2
"""Bytes of a mapped file that may be resident before the mapping is opened anew."""

# What ComfyUI, torch.nn.DataParallel and training programs put in front of every key, outermost first.
_PREFIXES = ("module.", "model.diffusion_model.", "diffusion_model.", "model.")

# Keys that stand beside the model's, with no prefix or with another.
_MARKERS = ("scaled_fp8", "spiece_model")

_SHARD = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<suffix>\.[a-z]+)")


class TensorSource:
    """The tensors of a model on disk, or in memory.

    Iterating yields (key, tensor) shard by shard, in the order of the files. A tensor may be a view of the mapped file:
    copy what is kept. A quantised GGUF tensor comes as diffusers' ``GGUFParameter``.

    Attributes:
        name: for messages; a path where there is one.
        files: that are read.
        tensors: shape, type and size by key, without the prefix that all keys had in common.
        metadata: text from the headers of the files.
        prefix: that was taken off.
    """

    def __init__(self, readers: Sequence[Reader], name: str):
        self.name = name
        self.files = tuple(reader.path for reader in readers if reader.path is not None)
        self.metadata = {key: value for reader in readers for key, value in reader.metadata.items()}
        self._readers = readers
        found: dict[str, int] = {}
        twice: list[str] = []
        for number, reader in enumerate(readers):
            twice += [key for key in reader.tensors if key in found]
            found |= dict.fromkeys(reader.tensors, number)
        if twice:
            first, second = readers[found[twice[0]]], next(r for r in readers if twice[0] in r.tensors)
            raise CheckpointError(
                f"{name}: {len(twice)} tensors are in more than one file ({_some(twice)}; {twice[0]} is in "
                f"{second.path} and {first.path}); give the files of one model only"
            )
        self.prefix = _common_prefix(found)
        self._place = {self._stripped(key): (number, key) for key, number in found.items()}
        if len(self._place) != len(found):
            raise CheckpointError(f"{name}: some keys are there with and without the prefix {self.prefix!r}")
        self.tensors: Mapping[str, TensorInfo] = {
            key: readers[number].tensors[inner] for key, (number, inner) in self._place.items()
        }

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str = "tensors in memory") -> TensorSource:
        """The same interface over tensors that are in memory already."""
        return cls([MemoryReader(tensors)], name)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape by key; of quantised tensors that of their values."""
        return {key: info.shape for key, info in self.tensors.items()}

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors as stored."""
        return sum(info.nbytes for info in self.tensors.values())

    @property
    def largest_file(self) -> int:
        """Bytes of the tensors of the largest file."""
        return max((sum(info.nbytes for info in reader.tensors.values()) for reader in self._readers), default=0)

    def __len__(self) -> int:
        return len(self.tensors)

    def __contains__(self, key: object) -> bool:
        return key in self.tensors

    def __iter__(self) -> Iterator[tuple[str, Tensor]]:
        names = {place: key for key, place in self._place.items()}
        for number, reader in enumerate(self._readers):
            keys = [key for key in reader.tensors if (number, key) in names]
            for some in _windows(keys, reader.tensors) if reader.mapped else [keys]:
                for key, tensor in reader.read(some):
                    yield names[number, key], tensor
                    del tensor  # or the mapping would outlive its window

    def read(self, key: str) -> Tensor:
        """One tensor, in memory of its own.

        Raises:
            KeyError: there is none of this name.
        """
        number, inner = self._place[key]
        ((_, tensor),) = self._readers[number].read([inner])
        return tensor.clone()

    def under(self, prefix: str) -> TensorSource:
        """Only the tensors whose key begins with this, without it: one model of a file that holds several."""
        part = object.__new__(TensorSource)
        part.__dict__.update(self.__dict__)
        part.prefix = self.prefix + prefix
        part._place = {key[len(prefix) :]: place for key, place in self._place.items() if key.startswith(prefix)}
        part.tensors = {key[len(prefix) :]: self.tensors[key] for key in self.tensors if key.startswith(prefix)}
        return part

    def _stripped(self, key: str) -> str:
        return key.removeprefix(self.prefix)


def open_source(paths: str | Path | Sequence[str | Path]) -> TensorSource:
    """The weights in one file, several shards, a folder, or those that an ``*.index.json`` names.

    Of a sharded model any one shard stands for all of them; configurations in a list of files are passed over.

    Raises:
        CheckpointError: a file is missing, half downloaded, a web page or a Git LFS pointer instead of weights, of an
            unknown format, damaged, or would run code; shards overlap, or lack what their index names.
        MissingDependencyError: a GGUF file, and the ``gguf`` package is not installed.
    """
    given = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not given:
        raise CheckpointError("no files were given, expected one with weights")
    weights = [path for path in given if path.suffix != ".json" or path.name.endswith(".index.json")]
    if not weights:
        raise CheckpointError(f"{given[0]}: holds a configuration, expected weights ({', '.join(SUFFIXES)})")
    files: dict[Path, None] = {}
    named: dict[str, Path] = {}
    for path in weights:
        if path.name.endswith(".index.json"):
            index = _read_index(path)
            named |= index
            files |= dict.fromkeys(index.values())
        elif path.is_dir():
            files |= dict.fromkeys(_of_folder(path, named))
        else:
            files |= dict.fromkeys(_shards_beside(path, named) if len(weights) == 1 else [path])
    source = TensorSource([open_file(path) for path in files], str(given[0]))
    _check_index(source, named)
    return source


def find_index(folder: Path) -> Path | None:
    """The index of the sharded model in a folder, None if there is none.

    Raises:
        CheckpointError: there are several.
    """
    found = sorted(folder.glob("*.index.json"))
    if len(found) > 1:
        raise CheckpointError(
            f"{folder}: holds several sharded models ({', '.join(path.name for path in found)}); give the index of one"
        )
    return found[0] if found else None


def _of_folder(folder: Path, named: dict[str, Path]) -> list[Path]:
    index = find_index(folder)
    if index is not None:
        entries = _read_index(index)
        named |= entries
        return list(dict.fromkeys(entries.values()))
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())
    if len(files) > 1 and not any(_SHARD.fullmatch(path.name) for path in files):
        # A folder of diffusers may hold the same weights in several types; the plain name is the model itself.
        plain = [path for path in files if path.stem in ("diffusion_pytorch_model", "model")]
        files = [path for path in plain if path.suffix == ".safetensors"] or plain or files
    if not files:
        partial = sorted(path.name for path in folder.iterdir() if path.suffix in UNFINISHED)
        raise CheckpointError(
            f"{folder}: holds no weights ({', '.join(SUFFIXES)})"
            + (f", only unfinished downloads ({', '.join(partial[:5])}); finish them" if partial else "")
        )
    if len(files) > 1 and not all(_SHARD.fullmatch(path.name) for path in files):
        raise CheckpointError(
            f"{folder}: holds {len(files)} files with weights ({_some([path.name for path in files])}) and no index "
            "that says which belong together; give the file itself"
        )
    return _shards_beside(files[0], named)


def _shards_beside(path: Path, named: dict[str, Path]) -> list[Path]:
    """All shards of the set a file belongs to; the file alone if it is no shard."""
    match = _SHARD.fullmatch(path.name)
    if match is None:
        return [path]
    index = path.with_name(f"{match['stem']}{match['suffix']}.index.json")
    if index.is_file():
        entries = _read_index(index)
        named |= entries
        return list(dict.fromkeys(entries.values()))
    total = int(match["total"])
    files = [path.with_name(f"{match['stem']}-{n:05d}-of-{total:05d}{match['suffix']}") for n in range(1, total + 1)]
    _check_shards(files, path, f"of the set of {total} it belongs to")
    return files


def _read_index(path: Path) -> dict[str, Path]:
    """File by key, as the index names them; all files are there."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file, expected the index of a sharded model")
    try:
        value: Any = json.loads(path.read_text(encoding="utf-8"))
        entries = {str(key): str(name) for key, name in value["weight_map"].items()}
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError, AttributeError) as error:
        raise CheckpointError(
            f"{path}: is not the index of a sharded model: expected JSON with a weight_map of file by key ({error!r}); "
            "download it again"
        ) from error
    odd = [name for name in set(entries.values()) if Path(name).is_absolute() or ".." in Path(name).parts]
    if odd:
        raise CheckpointError(f"{path}: names files outside its own folder ({_some(odd)}); not loaded")
    files = [path.parent / name for name in sorted(set(entries.values()))]
    _check_shards(files, path, "its index names")
    return {key: path.parent / name for key, name in entries.items()}


def _check_shards(files: Sequence[Path], whose: Path, what: str) -> None:
    missing = [path for path in files if not path.exists()]
    if not missing:
        return
    half = [path.name for path in missing for end in UNFINISHED if path.with_name(path.name + end).exists()]
    unfinished = f" (unfinished: {', '.join(half)})" if half else ""
    raise CheckpointError(
        f"{whose}: {len(missing)} of the {len(files)} files {what} are missing: "
        f"{_some([path.name for path in missing], 10)}{unfinished}; download them into {whose.parent}"
    )


def _check_index(source: TensorSource, named: Mapping[str, Path]) -> None:
    if not named:
        return
    held = {reader_key for _, reader_key in source._place.values()}
    lost = [key for key in named if key not in held]
    if lost:
        raise CheckpointError(
            f"{source.name}: {len(lost)} tensors that the index names are not in its files ({_some(lost)}; "
            f"{named[lost[0]].name} should hold {lost[0]}); the index and the files are of different models, download "
            "them again"
        )


def _windows(keys: Sequence[str], tensors: Mapping[str, TensorInfo]) -> Iterator[list[str]]:
    window: list[str] = []
    size = 0
    for key in keys:
        if window and size + tensors[key].nbytes > WINDOW:
            yield window
            window, size = [], 0
        window.append(key)
        size += tensors[key].nbytes
    if window:
        yield window


def _common_prefix(keys: Mapping[str, int]) -> str:
    """What stands in front of every key but the markers, of the known prefixes."""
    rest = [key for key in keys if key.rsplit(".", 1)[-1] not in _MARKERS]
    taken = ""
    while rest:
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in rest)), None)
        if prefix is None:
            break
        taken += prefix
        rest = [key[len(prefix) :] for key in rest]
    return taken


def _some(names: Sequence[str], count: int = 5) -> str:
    return ", ".join(names[:count]) + (f", and {len(names) - count} more" if len(names) > count else "")
