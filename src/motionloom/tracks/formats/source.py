"""A file to read, with a bound on everything that is taken from it.

Track files come from strangers. What a file declares (shapes, sizes of compressed members, lengths) is checked against
what it holds before anything of that size is allocated, and no reader here can run code from a file.
"""

from __future__ import annotations

import gc
import io
import math
import mmap
import os
import stat
import zipfile
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import FileFormatError
from motionloom.tracks.validation import require_bounded_json

MIB = 1 << 20
MAX_TEXT_BYTES = 64 * MIB
MAX_JSON_LISTS = 3_000_000
MAX_JSON_VALUES = 10_000_000
MAX_FILE_BYTES = 8 << 30
MAX_ARRAY_BYTES = 1 << 30
MAX_MEMBERS = 4096
# Deflate reaches about 1000:1 on constant data. Small members may; large ones that do are bombs, not tracks.
FREE_MEMBER_BYTES = 64 * MIB
MAX_RATIO = 100
HEAD_BYTES = 4096
MAX_NPY_HEADER = 10_000


class Source:
    """One file on disk: its path, size, first bytes, and bounded ways to its content.

    Raises:
        FileFormatError: missing, empty, not a regular file, or larger than any track file can be.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            facts = self.path.stat()
            if not stat.S_ISREG(facts.st_mode):
                raise FileFormatError(f"{self.path}: not a file; give the path of a track file")
            self.size = facts.st_size
            with self.path.open("rb") as stream:
                self.head = stream.read(HEAD_BYTES)
        except FileNotFoundError:
            raise FileFormatError(f"{self.path}: no such file") from None
        except OSError as problem:
            raise FileFormatError(f"{self.path}: cannot be read ({problem.strerror})") from None
        if self.size == 0:
            raise FileFormatError(f"{self.path}: the file is empty")
        if self.size > MAX_FILE_BYTES:
            raise FileFormatError(f"{self.path}: found {self.size} bytes, expected at most {MAX_FILE_BYTES}")

    def error(self, message: str) -> FileFormatError:
        return FileFormatError(f"{self.path}: {message}")

    @cached_property
    def text(self) -> str:
        """The file as text: UTF-8, or UTF-16 with a byte order mark."""
        data = self.text_bytes
        encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        try:
            return data.decode(encoding)
        except UnicodeDecodeError as problem:
            raise self.error(f"not {encoding.removesuffix('-sig')} text (byte {problem.start})") from None

    @cached_property
    def lines(self) -> bytes:
        """The file as UTF-8 with plain line ends. Bytes that are no UTF-8 are left for the caller to stumble over."""
        data = self.text_bytes
        if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
            data = self.text.encode()
        data = data.removeprefix(b"\xef\xbb\xbf")
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data

    @cached_property
    def text_bytes(self) -> bytes:
        """The whole file, if it is small enough to be a text track file."""
        if self.size > MAX_TEXT_BYTES:
            raise self.error(f"found {self.size} bytes of text, expected at most {MAX_TEXT_BYTES}")
        return self.path.read_bytes()

    @cached_property
    def json_bytes(self) -> bytes:
        """The content without surrounding blanks if it could be JSON, else nothing."""
        start = self.head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
        if start not in (b"[", b"{"):
            return b""
        return self.text_bytes.removeprefix(b"\xef\xbb\xbf").strip()

    @cached_property
    def json(self) -> Any:
        """The parsed JSON content."""
        return parse_json(self, self.json_bytes or self.text_bytes)

    @cached_property
    def looks_like_text(self) -> bool:
        """No NUL byte in the first bytes and not larger than text may be."""
        return self.size <= MAX_TEXT_BYTES and (b"\0" not in self.head or self.head[:2] in (b"\xff\xfe", b"\xfe\xff"))

    def mapped(self) -> memoryview:
        """The whole file as memory the system pages in when it is touched."""
        with self.path.open("rb") as stream:
            return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))


def parse_json(source: Source, data: bytes | str) -> Any:
    """JSON values. Nesting is bounded by the parser.

    Raises:
        FileFormatError: not JSON, with the parser's line and column.
    """
    from pydantic_core import from_json

    try:
        require_bounded_json(data, MAX_JSON_LISTS, MAX_JSON_VALUES)
    except ValueError as problem:
        raise source.error(str(problem)) from None
    # Parsed values hold no cycles; letting the collector look for them among a million new lists triples the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return from_json(data)
    except ValueError as problem:
        raise source.error(f"not JSON: {str(problem)[:120]}") from None
    finally:
        if collecting:
            gc.enable()


def read_npy(source: Source, stream: IO[bytes], available: int, where: str) -> NDArray[Any]:
    """One array in npy form of which ``available`` bytes (header included) exist.

    Raises:
        FileFormatError: not npy, not plain numbers, or more or fewer bytes declared than there are.
    """
    head = stream.read(min(available, MAX_NPY_HEADER + 16))
    shape, fortran, dtype, start = _npy_header(source, head, where)
    if dtype.kind not in "biuf":
        raise source.error(f"{where}: found values of type {dtype}, expected plain numbers")
    count = math.prod(shape)
    declared = count * dtype.itemsize
    if declared != available - start or declared > MAX_ARRAY_BYTES:
        raise source.error(
            f"{where}: the header declares {declared} bytes for shape {list(shape)} of {dtype}, "
            f"found {available - start} (at most {MAX_ARRAY_BYTES} are read)"
        )
    data = np.empty(count, dtype)
    target = memoryview(data.view(np.uint8))  # type: ignore[arg-type]
    taken = head[start : start + declared]
    target[: len(taken)] = taken
    done = len(taken)
    while done < declared:
        part = stream.read(min(declared - done, MIB))
        if not part:
            raise source.error(f"{where}: ends after {done} of {declared} bytes")
        target[done : done + len(part)] = part
        done += len(part)
    return data.reshape(shape[::-1]).transpose() if fortran else data.reshape(shape)


def npy_header(source: Source) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type the npy file declares."""
    shape, _, dtype, _ = _npy_header(source, source.head, "npy header")
    return shape, dtype


def read_npy_file(source: Source) -> NDArray[Any]:
    """The array of an npy file; see `read_npy`."""
    with source.path.open("rb") as stream:
        return read_npy(source, stream, source.size, "array")


def _npy_header(source: Source, head: bytes, where: str) -> tuple[tuple[int, ...], bool, np.dtype[Any], int]:
    stream = io.BytesIO(head)
    try:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = reader(stream, max_header_size=MAX_NPY_HEADER)
    except Exception as problem:  # the header is parsed as Python literals: many ways to fail, all the same to us
        reason = str(problem).splitlines()[0][:100] if str(problem) else type(problem).__name__
        raise source.error(f"{where}: damaged npy header ({reason})") from None
    if any(side < 0 for side in shape) or len(shape) > 8:
        raise source.error(f"{where}: the npy header declares the shape {list(shape)[:9]}")
    return shape, fortran, dtype, stream.tell()


class Archive:
    """A zip archive whose members are checked for their declared size before they are read."""

    def __init__(self, source: Source, content: bytes | None = None) -> None:
        self._source = source
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content) if content is not None else source.path)
            self.infos = {info.filename: info for info in self._zip.infolist()}
        except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError, EOFError) as problem:
            raise source.error(f"damaged zip archive ({str(problem)[:100]})") from None
        if len(self.infos) > MAX_MEMBERS:
            raise source.error(f"found {len(self.infos)} zip members, expected at most {MAX_MEMBERS}")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *_: object) -> None:
        self._zip.close()

    def check(self, name: str) -> zipfile.ZipInfo:
        """The entry of a member, refused when its declared size is beyond reason."""
        info = self.infos[name]
        if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise self._source.error(f"zip member {name!r}: encrypted or compressed in an unsupported way")
        ratio = info.file_size / max(info.compress_size, 1)
        if info.file_size > MAX_ARRAY_BYTES or (info.file_size > FREE_MEMBER_BYTES and ratio > MAX_RATIO):
            raise self._source.error(
                f"zip member {name!r} declares {info.file_size} bytes from {info.compress_size}; refused as unsafe"
            )
        return info

    def read(self, name: str) -> bytes:
        """The content of a member."""
        info = self.check(name)
        try:
            with self._zip.open(info) as stream:
                data = stream.read(info.file_size)
        except Exception as problem:
            raise self._source.error(f"zip member {name!r}: damaged ({str(problem)[:80]})") from None
        if len(data) != info.file_size:
            raise self._source.error(f"zip member {name!r}: ends after {len(data)} of {info.file_size} bytes")
        return data

    def arrays(self, names: Iterable[str]) -> dict[str, NDArray[Any]]:
        """The named arrays of an npz archive, without the ``.npy`` of their member names."""
        found: dict[str, NDArray[Any]] = {}
        for name in names:
            info = self.check(name + ".npy")
            try:
                with self._zip.open(info) as stream:
                    found[name] = read_npy(self._source, stream, info.file_size, f"array {name!r}")
            except FileFormatError:
                raise
            except Exception as problem:
                raise self._source.error(f"array {name!r}: damaged ({str(problem)[:80]})") from None
        return found

    @property
    def array_names(self) -> list[str]:
        """Names of the arrays in an npz archive."""
        return [name.removesuffix(".npy") for name in self.infos if name.endswith(".npy")]


def npz_bytes(arrays: dict[str, NDArray[Any]], *, compress: bool) -> bytes:
    """An npz archive. Level 1: track coordinates hardly shrink further, and ten times slower."""
    buffer = io.BytesIO()
    method = zipfile.ZIP_DEFLATED if compress else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method, compresslevel=1 if compress else None) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), npy_bytes(array), method)
    return buffer.getvalue()


def npy_bytes(array: NDArray[Any]) -> bytes:
    """An npy file."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()
