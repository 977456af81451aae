from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.models.nano.build import build_transformer
from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.files import save_nano
from motionloom.prepare.procedural import render, sample_scene


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained nano with 12 latent channels and one small block: its guesses are what guidance copied."""
    torch.set_num_threads(1)
    videos = render(sample_scene(0, range(3), num_frames=5, resolution=32), (32, 32)).transpose(1, 2) * 2 - 1
    codec = BlockCodec.fit([videos], 12)
    return save_nano(
        tmp_path_factory.mktemp("model") / "tiny",
        build_transformer(codec, width=64, layers=1, seed=3),
        codec,
        facts={"steps": 0},
        dtype=torch.float32,
    )


@pytest.fixture(scope="session")
def picture() -> np.ndarray:
    """A 48 x 64 picture, uint8."""
    frame = render(sample_scene(4, [2], num_frames=1, resolution=48), (48, 64))[0, 0]
    return (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
