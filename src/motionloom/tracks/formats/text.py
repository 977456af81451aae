"""Numbers as text, a million at a time.

Formatting and parsing point by point in Python takes seconds for 10,000 tracks; here the digits of a whole column are
computed at once, and a whole file's numbers are parsed in one call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.formats.source import Source

ROWS_AT_ONCE = 100_000


@dataclass(frozen=True)
class Fixed:
    """A column of numbers [rows] to write with ``decimals`` digits after the point."""

    values: NDArray[np.floating] | NDArray[np.integer]
    decimals: int = 0


Column = bytes | Fixed | NDArray[np.bytes_]


def rows_text(columns: Sequence[Column]) -> bytes:
    """One text row per entry of the columns: constants, numbers, and per-row byte strings, one after the other.

    A constant holds its own separators and line ends; nothing is added between columns.
    """
    rows = next(len(c.values) if isinstance(c, Fixed) else len(c) for c in columns if not isinstance(c, bytes))
    return b"".join(_block(columns, start, min(start + ROWS_AT_ONCE, rows)) for start in range(0, rows, ROWS_AT_ONCE))


def path_lists(points: NDArray[np.floating], decimals: int) -> bytes:
    """Points [T, N, 2] as the inside of a JSON list: one list of [x, y] per track, a line each."""
    rows = points.transpose(1, 0, 2).reshape(-1, 2)
    first = np.arange(len(rows)) % len(points) == 0
    last = np.roll(first, -1)
    columns = [np.where(first, b"[", b""), b"[", Fixed(rows[:, 0], decimals), b", ", Fixed(rows[:, 1], decimals), b"]"]
    return rows_text([*columns, np.where(last, b"],\n", b", ")]).removesuffix(b",\n")


def _block(columns: Sequence[Column], start: int, stop: int) -> bytes:
    # Every column is a matrix of characters padded with NUL; what remains without the NULs is the text.
    blocks: list[NDArray[np.uint8]] = []
    for column in columns:
        if isinstance(column, bytes):
            characters = np.frombuffer(column, np.uint8)
            blocks.append(np.broadcast_to(characters, (stop - start, len(characters))))
        elif isinstance(column, Fixed):
            blocks.append(_digits(column.values[start:stop], column.decimals))
        else:
            part = np.ascontiguousarray(column[start:stop])
            blocks.append(part.view(np.uint8).reshape(len(part), -1))
    matrix = np.concatenate(blocks, axis=1).reshape(-1)
    return matrix[matrix != 0].tobytes()


def _digits(values: NDArray[np.floating] | NDArray[np.integer], decimals: int) -> NDArray[np.uint8]:
    scaled = np.rint(np.asarray(values, np.float64) * 10.0**decimals).astype(np.int64)
    rest = np.abs(scaled)
    whole = len(str(int(rest.max(initial=0)) // 10**decimals))
    point = 1 if decimals else 0
    out = np.zeros((len(scaled), 1 + whole + point + decimals), np.uint8)
    out[:, 0] = np.where(scaled < 0, ord("-"), 0)
    for place in range(whole + decimals):
        higher = rest // 10
        digit = (rest - higher * 10 + ord("0")).astype(np.uint8)
        at = out.shape[1] - 1 - place - (point if place >= decimals else 0)
        # Zeros in front of the number are left out, the one before the point is not.
        out[:, at] = digit if place <= decimals else np.where(rest > 0, digit, 0)
        rest = higher
    if point:
        out[:, 1 + whole] = ord(".")
    return out


def parse_numbers(source: Source, data: bytes, where: str) -> NDArray[np.float64]:
    """Comma-separated numbers as float64 [n].

    Raises:
        FileFormatError: something that is not a number, with its text.
    """
    from pydantic_core import from_json

    if not data.strip():
        return np.zeros(0)
    try:
        return np.asarray(from_json(b"[" + data + b"]"), np.float64)
    except (ValueError, TypeError, OverflowError):
        pass
    values = []
    for part in data.split(b","):  # spellings JSON does not know, such as +1, .5 or 1.
        try:
            values.append(float(part))
        except ValueError:
            raise source.error(f"{where}: found {part[:40].decode('utf-8', 'replace')!r}, expected a number") from None
    return np.asarray(values, np.float64)
