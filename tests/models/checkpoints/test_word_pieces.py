"""The tokenizer of a SentencePiece model is the one of the tokenizer.json."""

from __future__ import annotations

from pathlib import Path

import pytest

from motionloom.models.checkpoints.word_pieces import tokenizer_of_pieces
from motionloom.models.pipeline_parts import load_tokenizer

TEXTS = ["a cat looks up", "a  catlooks", "", "Zebra 9 up a"]


def tokens(tokenizer) -> list[list[int]]:
    return tokenizer(TEXTS, padding="max_length", max_length=16, truncation=True).input_ids


def test_same_words(tiny_parts, tmp_path: Path):
    expected = tokens(tiny_parts.tokenizer)
    assert expected[0][:5] == [30, 31, 32, 33, 1]
    assert tokens(tokenizer_of_pieces(tiny_parts.spiece_model, "spiece.model", extra_ids=0)) == expected
    (tmp_path / "spiece.model").write_bytes(tiny_parts.spiece_model)
    assert tokens(load_tokenizer(tmp_path)) == expected
    (tmp_path / "tokenizer_config.json").write_text('{"extra_ids": 5}')
    assert len(load_tokenizer(tmp_path)) == len(tiny_parts.tokenizer) + 5
    tiny_parts.tokenizer.save_pretrained(tmp_path / "saved")
    assert tokens(load_tokenizer(tmp_path / "saved")) == expected


@pytest.mark.parametrize("data", [b"not protobuf at all", b"\x0a\xff", b"\x0a\x02\x12\x00", b"\xff" * 30])
def test_damage_is_named(data: bytes, refused):
    assert "is no SentencePiece model, or damaged" in refused(tokenizer_of_pieces, data, "spiece.model")


def test_other_tokenizers_are_refused(tiny_parts, tmp_path: Path, refused):
    message = refused(tokenizer_of_pieces, tiny_parts.spiece_model[12:], "llama.model")
    assert "begins with the pieces" in message or "damaged" in message
    assert "begins with the pieces none" in refused(tokenizer_of_pieces, b"", "empty.model")
    (tmp_path / "tokenizer.json").write_text("{}")
    assert "is no tokenizer that loads" in refused(load_tokenizer, tmp_path)
