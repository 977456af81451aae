from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from motionloom.errors import FileFormatError, InputError
from motionloom.media import Clip, write_image
from motionloom.media.scaled import is_video, read_scaled


@pytest.fixture(scope="module")
def clip():
    """Seven frames of 33 x 50, each of one grey."""
    return Clip(np.full((7, 33, 50, 3), 20, np.uint8) + (np.arange(7) * 30).astype(np.uint8)[:, None, None, None], 12.0)


@pytest.mark.parametrize("name", ["a.mp4", "a.webm", "a.gif", "a.webp", "frames/"])
def test_videos_are_told_from_their_first_bytes_and_read(clip, tmp_path, name):
    path = clip.save(f"{tmp_path}/{name}")
    assert is_video(path)
    if path.is_file():
        assert is_video(path.rename(path.with_name("plain"))) == (name != "a.gif")
        path = path.with_name("plain").rename(path)
    frames, fps, size = read_scaled(path, 100)
    assert frames.shape == clip.frames.shape
    assert fps == pytest.approx(12.0)
    assert size == (33, 50)
    assert np.abs(frames.astype(int) - clip.frames).max() < 8


def test_other_files_are_no_videos(clip, tmp_path):
    still = write_image(tmp_path / "still.png", clip.frames[0])
    Image.fromarray(clip.frames[0]).save(tmp_path / "still.webp")
    (tmp_path / "a.json").write_text("[]")
    for path in (still, tmp_path / "still.webp", tmp_path / "a.json", tmp_path / "none", tmp_path):
        assert not is_video(path)


@pytest.mark.parametrize("name", ["a.mp4", "frames/"])
def test_a_part_scaled_down(clip, tmp_path, name):
    path = clip.save(f"{tmp_path}/{name}")
    frames, _, size = read_scaled(path, 25, (2, 5))
    assert frames.shape == (3, 16, 25, 3)
    assert size == (33, 50)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), [80, 110, 140], atol=3)
    assert len(read_scaled(path, 25, (5, None))[0]) == 2
    assert len(read_scaled(path, 25, (5, 99))[0]) == 2
    with pytest.raises(InputError, match=r"but .* has 7 frames"):
        read_scaled(path, 25, (7, None))
    with pytest.raises(InputError, match="found 3 to 3"):
        read_scaled(path, 25, (3, 3))


def test_files_that_are_refused(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"nothing")
    with pytest.raises(FileFormatError, match="not a video"):
        read_scaled(tmp_path / "a.mp4", 25)
    with pytest.raises(FileFormatError, match="no such file"):
        read_scaled(tmp_path / "b.mp4", 25)
