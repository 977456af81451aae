import numpy as np
import pytest

from motionloom.media import Clip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two videos: smooth noise that slides 2 pixels to the right per frame, and one that stands still."""
    root = tmp_path_factory.mktemp("data")
    (root / "videos").mkdir()
    (root / "labels").mkdir()
    rng = np.random.default_rng(0)
    wide = np.kron(rng.integers(0, 255, (8, 24, 3)), np.ones((6, 6, 1))).astype(np.uint8)
    sliding = np.stack([wide[:, 60 - 2 * t : 60 - 2 * t + 64] for t in range(24)])
    Clip(sliding, 8.0).save(root / "videos" / "1.mp4", quality=100)
    Clip(np.repeat(sliding[:1], 24, 0), 8.0).save(root / "videos" / "2.mp4", quality=100)
    (root / "labels" / "1.txt").write_text("a wall slides by\nmore about it\n")
    return root
