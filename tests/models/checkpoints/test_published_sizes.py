"""The published files at their full size, all holes, through the code that real ones take up to their reading."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from motionloom.models.catalog import find_model
from motionloom.models.checkpoints.parts import contents
from motionloom.models.checkpoints.search import find_parts
from motionloom.models.footprint import SHAPES
from motionloom.models.installed import fetch_command, fetched_layouts, layout_of_card
from motionloom.models.store import local_path

PUBLISHED = {
    "text_encoder": ("wan21.umt5-xxl-enc.original", torch.bfloat16, 4096),
    "image_encoder": ("wan21.clip-full.original", torch.float32, 1280),
    "vae": ("wan21.vae.original", torch.float32, 16),
}
"""By part of ATI's card: manifest, type, and the width that has to fit the transformer."""


def hollow(shapes: dict[str, tuple[int, ...]], dtype: torch.dtype, path: Path) -> Path:
    """A torch file whose storages are holes: 11 GB that take a megabyte of disk and none of memory."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with torch.serialization.skip_data():
        torch.save({key: torch.empty(shape, dtype=dtype) for key, shape in shapes.items()}, path)
    return path


def test_ati_from_the_files_that_a_fetch_brings(
    wan: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOTIONLOOM_MODELS", str(tmp_path))
    # The archives of another torch version differ from the published ones by some kilobytes.
    monkeypatch.setattr("motionloom.models.store._is_whole", lambda path, size=0: path.is_file())
    card = find_model("ati-14b-fp8")
    sizes = {file.part: file.size for file in card.files if file.part != "tokenizer"}
    for file in card.files:
        path = local_path(file.repo, file.path)
        if file.part in PUBLISHED:
            manifest, dtype, width = PUBLISHED[file.part]
            hollow(wan.manifest(manifest), dtype, path)
            found = contents(path)
            assert (found.kind, found.width) == (file.part, width)
            assert abs(os.path.getsize(path) - sizes[file.part]) < 100_000
            assert os.stat(path).st_blocks * 512 < 10_000_000
        elif file.part == "tokenizer":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("{}")
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            wan.sparse_safetensors(path, wan.manifest("wan21-i2v-14b.dit.original"), "F8_E4M3", 1)
    parts = find_parts(layout_of_card(find_model(card.name)), fetched=fetched_layouts, remedy=fetch_command)
    assert parts.architecture == card.architecture == "wan2.1-i2v-14b"
    assert set(parts.places) == {"transformer", "vae", "text_encoder", "tokenizer", "image_encoder"}
    assert parts.boundary_ratio is None
    assert (parts.config["num_layers"], parts.config["num_attention_heads"], parts.config["ffn_dim"]) == (40, 40, 13824)
    held = contents(parts.places["transformer"].files)
    assert held.size == SHAPES["wan2.1-i2v-14b"].weights  # one byte each
    assert parts.places["tokenizer"].path == parts.places["vae"].path / "google" / "umt5-xxl"
