"""Reading pickles that can build nothing but numbers, strings, lists, dicts and numpy arrays.

A pickle is a program. This reader runs it on Python's own interpreter of it with every way out taken away: the only
callables it knows are the ones below, which build plain values; a name outside them ends the reading. Lengths are
checked against the file before anything is allocated, and the number of instructions is bounded.
"""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.formats.source import Source

MAX_READS = 300_000
MAX_LINE = 65_536
VIEW_BYTES = 65_536  # larger pieces are views into the file, not copies


class PickleRefused(Exception):
    """The pickle asks for something outside plain data."""


class Constructor:
    """A callable the pickle may name. Calling goes through the reader alone."""

    __slots__ = ("build",)

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build


def load_plain(source: Source, data: memoryview, *, skip: int = 0) -> Any:
    """The object in a pickle of protocol 1 to 5, made of plain values only. Arrays come as :class:`PlainArray`.

    Args:
        source: the file, for messages.
        data: the bytes.
        skip: number of pickles in front to read and drop (older torch files are five pickles in a row).

    Raises:
        FileFormatError: truncated, damaged, too long, or it names anything that could do more than hold data.
    """
    window = _Window(data)
    try:
        for _ in range(skip):
            _PlainUnpickler(window).load()
        return _PlainUnpickler(window).load()
    except PickleRefused as refusal:
        raise source.error(str(refusal)) from None
    except (MemoryError, RecursionError):
        raise source.error("the pickle asks for more than a track file can need") from None
    except Exception as problem:
        raise source.error(f"truncated or damaged pickle ({type(problem).__name__})") from None


class PlainArray:
    """A numpy array under construction, and the array once its state has arrived."""

    __slots__ = ("array",)

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None

    def fill(self, raw: Any, dtype: Any, shape: Any, order: str) -> PlainArray:
        if isinstance(raw, str):  # Python 2 wrote bytes as text
            raw = raw.encode("latin1")
        if not isinstance(raw, (bytes, bytearray, memoryview)) or not isinstance(dtype, PlainType):
            raise PickleRefused("the pickle holds an array of Python objects; only arrays of numbers are read")
        if not isinstance(shape, tuple) or not all(isinstance(side, int) and side >= 0 for side in shape):
            raise PickleRefused("the pickle holds an array without a proper shape")
        if len(shape) > 8 or math.prod(shape) * dtype.dtype.itemsize != len(raw):
            raise PickleRefused(
                f"the pickle declares an array of shape {list(shape)[:8]} of {dtype.dtype}, "
                f"found {len(raw)} bytes for it"
            )
        flat = np.frombuffer(raw, dtype.dtype)
        self.array = flat.reshape(shape[::-1]).transpose() if order == "F" else flat.reshape(shape)
        return self

    def set_state(self, state: Any) -> None:
        _, shape, dtype, fortran, raw = state
        self.fill(raw, dtype, shape, "F" if fortran else "C")


class PlainType:
    """A numpy element type: numbers and booleans only."""

    __slots__ = ("dtype",)

    def __init__(self, name: Any) -> None:
        dtype = np.dtype(name) if isinstance(name, str) and len(name) <= 8 else None
        if dtype is None or dtype.kind not in "biuf":
            raise PickleRefused(f"the pickle holds an array of type {str(name)[:20]!r}; only numbers are read")
        self.dtype = dtype

    def set_state(self, state: Any) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
            raise PickleRefused("the pickle holds an array of structured type; only numbers are read")
        self.dtype = self.dtype.newbyteorder(order)


def array_of(value: object) -> NDArray[Any] | None:
    """The array in a value returned by `load_plain`, or None if it is none."""
    return value.array if isinstance(value, PlainArray) else None


def _reconstruct(*_: Any) -> PlainArray:
    return PlainArray()


def _frombuffer(raw: Any, dtype: Any, shape: Any, order: Any) -> PlainArray:
    return PlainArray().fill(raw, dtype, shape, "F" if order == "F" else "C")


def _dtype(name: Any, *_: Any) -> PlainType:
    return PlainType(name)


def _scalar(dtype: Any, raw: Any) -> Any:
    array = PlainArray().fill(raw, dtype, (1,), "C").array
    assert array is not None
    return array[0].item()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding != "latin1":
        raise PickleRefused("the pickle holds bytes in an unknown spelling")
    return text.encode("latin1")


_CONSTRUCTORS: dict[tuple[str, str], Constructor] = {
    ("_codecs", "encode"): Constructor(_encode),
    ("builtins", "bytes"): Constructor(lambda: b""),
    ("__builtin__", "bytes"): Constructor(lambda: b""),
    ("numpy", "ndarray"): Constructor(_reconstruct),
    ("numpy", "dtype"): Constructor(_dtype),
}
for _module in ("numpy.core", "numpy._core"):
    _CONSTRUCTORS[f"{_module}.multiarray", "_reconstruct"] = Constructor(_reconstruct)
    _CONSTRUCTORS[f"{_module}.multiarray", "scalar"] = Constructor(_scalar)
    _CONSTRUCTORS[f"{_module}.numeric", "_frombuffer"] = Constructor(_frombuffer)


class _Window:
    """The bytes as a stream that never gives, or reserves, more than is there."""

    def __init__(self, data: memoryview) -> None:
        self._data = data
        self._at = 0
        self._reads = 0

    def read(self, count: int) -> bytes | memoryview:
        self._step()
        if not 0 <= count <= len(self._data) - self._at:
            raise EOFError
        piece = self._data[self._at : self._at + count]
        self._at += count
        return piece if count > VIEW_BYTES else bytes(piece)

    def readline(self) -> bytes:
        self._step()
        piece = bytes(self._data[self._at : self._at + MAX_LINE])
        end = piece.find(b"\n") + 1
        if end == 0:
            raise EOFError
        self._at += end
        return piece[:end]

    def _step(self) -> None:
        self._reads += 1
        if self._reads > MAX_READS:
            raise PickleRefused(f"the pickle has more than {MAX_READS} instructions; a track file needs far fewer")


# The interpreter in Python, not the one in C: that one reserves what a length field says before it looks at the file.
_Interpreter: Any = pickle._Unpickler  # type: ignore[attr-defined]


class _PlainUnpickler(_Interpreter):
    """Python's pickle interpreter with plain data as its whole world."""

    dispatch: ClassVar[dict[int, Any]] = dict(_Interpreter.dispatch)

    def __init__(self, window: _Window) -> None:
        super().__init__(window, fix_imports=False, encoding="latin1")

    def find_class(self, module: str, name: str) -> Constructor:
        try:
            return _CONSTRUCTORS[module, name]
        except KeyError:
            named = f"{module}.{name}"[:80]
            raise PickleRefused(
                f"the pickle wants to use {named!r}; only numbers, texts and arrays are read, nothing that could run"
            ) from None

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        constructor = self.stack[-1]
        if not isinstance(constructor, Constructor) or not isinstance(arguments, tuple):
            raise PickleRefused("the pickle calls something that is not a constructor of plain data")
        self.stack[-1] = constructor.build(*arguments)

    def load_build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if not isinstance(target, (PlainArray, PlainType)) or not isinstance(state, tuple):
            raise PickleRefused("the pickle sets the state of something that is not an array")
        target.set_state(state)

    def load_frame(self) -> None:
        # Frames only group reads; without them every instruction is counted and bounded by the window.
        self.read(8)

    def load_bytearray8(self) -> None:
        self.append(self.read(int.from_bytes(self.read(8), "little")))

    def refuse(self) -> None:
        raise PickleRefused("the pickle uses an instruction that plain data does not need")


_dispatch = _PlainUnpickler.dispatch
_dispatch[pickle.REDUCE[0]] = _PlainUnpickler.load_reduce
_dispatch[pickle.BUILD[0]] = _PlainUnpickler.load_build
_dispatch[pickle.FRAME[0]] = _PlainUnpickler.load_frame
_dispatch[pickle.BYTEARRAY8[0]] = _PlainUnpickler.load_bytearray8
for _opcode in (
    pickle.INST,
    pickle.OBJ,
    pickle.NEWOBJ,
    pickle.NEWOBJ_EX,
    pickle.PERSID,
    pickle.BINPERSID,
    pickle.EXT1,
    pickle.EXT2,
    pickle.EXT4,
    pickle.NEXT_BUFFER,
    pickle.READONLY_BUFFER,
):
    _dispatch[_opcode[0]] = _PlainUnpickler.refuse
