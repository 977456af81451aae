"""T5's tokenizer from a SentencePiece model, as a file or inside the text encoder files of ComfyUI.

Read here, field by field, since only the pieces, their scores and the table of the normalizer are needed: those make
the same tokenizer as the ``tokenizer.json`` of the repositories, without the packages that write such files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from motionloom.errors import CheckpointError

EXTRA_IDS = 300
"""Sentinels after the pieces of umT5; 100 in T5."""

# Numbers of the fields, sentencepiece_model.proto.
_PIECES, _NORMALIZER = 1, 3
_PIECE, _SCORE = 1, 2
_CHARACTERS = 2


def tokenizer_of_pieces(model: bytes, where: str, *, extra_ids: int = EXTRA_IDS) -> Any:
    """A `transformers.T5Tokenizer` with the pieces of a SentencePiece model.

    Args:
        model: the bytes of spiece.model.
        where: the file, for messages.
        extra_ids: sentinels after the pieces.

    Raises:
        CheckpointError: the bytes are no SentencePiece model, or not one of T5.
    """
    from transformers import T5Tokenizer

    pieces: list[tuple[str, float]] = []
    characters = b""
    try:
        for number, value in _fields(model):
            if number == _PIECES:
                inside = dict(_fields(value))
                pieces.append((inside[_PIECE].decode("utf-8"), struct.unpack("<f", inside.get(_SCORE, b"\0" * 4))[0]))
            elif number == _NORMALIZER:
                characters = dict(_fields(value)).get(_CHARACTERS, b"")
    except (IndexError, KeyError, ValueError, UnicodeDecodeError, struct.error) as error:
        raise CheckpointError(f"{where}: is no SentencePiece model, or damaged; fetch it again") from error
    if [piece for piece, _ in pieces[:3]] != ["<pad>", "</s>", "<unk>"]:
        raise CheckpointError(
            f"{where}: begins with the pieces {', '.join(repr(piece) for piece, _ in pieces[:3]) or 'none'}, expected "
            "<pad>, </s> and <unk>; it is of another model than T5"
        )
    sentinels = [f"<extra_id_{number}>" for number in range(extra_ids - 1, -1, -1)]
    return T5Tokenizer(
        vocab=[*pieces, *((name, 0.0) for name in sentinels)],
        extra_ids=extra_ids,
        _spm_precompiled_charsmap=characters or None,
    )


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, bytes) of the fields of a protobuf message; whole numbers are skipped, none is needed."""
    place = 0
    while place < len(data):
        key, place = _whole(data, place)
        kind = key & 7
        if kind == 0:
            _, place = _whole(data, place)
            continue
        if kind == 2:
            size, place = _whole(data, place)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"wire type {kind}")
        if place + size > len(data):
            raise ValueError("cut short")
        yield key >> 3, data[place : place + size]
        place += size


def _whole(data: bytes, place: int) -> tuple[int, int]:
    """A whole number of seven bits a byte, and the place after it."""
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 127) << shift
        if not byte & 128:
            return value, place
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
