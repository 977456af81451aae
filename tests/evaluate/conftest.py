from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parent))

from slides import FPS, SIZE, sliding, sliding_tracks

from motionloom.media import Clip, write_image
from motionloom.prepare.procedural import render, sample_scene
from motionloom.tracks.formats import write_tracks


@pytest.fixture(scope="session")
def picture() -> NDArray[np.uint8]:
    """A textured picture [64, 96, 3]."""
    frame = render(sample_scene(4, [2], num_frames=1, resolution=64), SIZE)[0, 0]
    return (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


@pytest.fixture
def videos(tmp_path: Path, picture: NDArray[np.uint8]) -> Path:
    """A folder: videos/{still,slow,fast}.mp4, motions/ and true/ of the same names, photo.png. All should move by 3
    pixels per frame; they move by 0, 2 and 3."""
    write_image(tmp_path / "photo.png", picture)
    for name, speed in (("still", 0), ("slow", 2), ("fast", 3)):
        Clip(sliding(picture, speed), FPS).save(tmp_path / "videos" / f"{name}.mp4", quality=100)
        Clip(sliding(picture, 3), FPS).save(tmp_path / "true" / f"{name}.mp4", quality=100)
        (tmp_path / "motions").mkdir(exist_ok=True)
        write_tracks(sliding_tracks(3), tmp_path / "motions" / f"{name}.npz", format="cotracker")
    return tmp_path
