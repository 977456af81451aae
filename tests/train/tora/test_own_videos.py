"""Real videos: which frames, which motion, and clear errors."""

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import FileFormatError, InputError
from motionloom.media.stream import open_frames
from motionloom.train.tora.own_videos import VideoFolder, choose_frames, cropped, find_videos

tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "tora" / "tiny.py"))


@settings(max_examples=60, deadline=None)
@given(
    length=st.integers(7, 400), fps=st.floats(4, 60), count=st.integers(0, 12).map(lambda n: 4 * n + 1),
    seed=st.integers(0, 99),
)  # fmt: skip
def test_frames_leave_out_the_ends_and_keep_their_rate(length, fps, count, seed):
    chosen = choose_frames(length, fps, count, np.random.default_rng(seed))
    assert len(chosen) == count
    assert chosen.min() >= 3
    assert chosen.max() < length - 3
    step = max(fps / 8, 1)
    different = np.unique(chosen)
    assert np.abs(np.diff(different) - step).max(initial=0) < 1 + 1e-9
    if len(different) < count:  # too short: 4n + 1 frames, then the last one again
        assert len(different) % 4 == 1
        assert (chosen[len(different) :] == chosen[-1]).all()
        assert (len(different) + 3) * step >= length - 6 - 1 - step


def test_a_video_that_is_all_ends_is_refused():
    with pytest.raises(InputError, match="found 6 frames"):
        choose_frames(6, 8.0, 9, np.random.default_rng(0))


def test_cropped_covers_and_keeps_the_middle():
    frames = np.zeros((1, 40, 100, 3), np.uint8)
    frames[:, :, 45:55] = 200
    small = cropped(frames, (20, 20))
    assert small.shape == (1, 20, 20, 3)
    assert small[0, 10, 10, 0] == 200
    assert small[0, 10, 0, 0] == 0
    assert (small[0, :, :, 0].mean(0) == small[0, :, ::-1, 0].mean(0)).all()


def test_captions_go_with_their_videos(folder):
    videos = find_videos(folder)
    assert [(v.path.name, v.caption) for v in videos] == [("1.mp4", "a wall slides by"), ("2.mp4", "")]


def test_what_is_wrong_with_a_folder_is_said(tmp_path, folder):
    with pytest.raises(InputError, match="has no folder 'videos'"):
        find_videos(tmp_path)
    (tmp_path / "videos").mkdir()
    with pytest.raises(InputError, match="holds no video"):
        find_videos(tmp_path)
    (tmp_path / "videos" / "bad.mp4").write_bytes(b"no video at all")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "bad.txt").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(InputError, match=r"bad\.txt: is no UTF-8"):
        find_videos(tmp_path)
    (tmp_path / "labels" / "bad.txt").write_text("broken")
    videos = find_videos(tmp_path)
    with pytest.raises(InputError, match=r"no embedding of the caption of bad\.mp4"):
        VideoFolder(videos, tiny["vae"](), {}, size=(32, 32), num_frames=9)
    source = VideoFolder(videos, tiny["vae"](), {"broken": torch.zeros(4, 8)}, size=(32, 32), num_frames=9)
    with pytest.raises(FileFormatError, match=r"bad\.mp4"):
        source.batch(0, 1)
    for changes in ({"num_frames": 8}, {"camera": "moving"}):
        with pytest.raises(InputError, match=next(iter(changes))):
            VideoFolder(videos, None, {}, **{"size": (32, 32), "num_frames": 9, **changes})


def test_clips_have_the_motion_that_the_videos_show(folder):
    videos, vae = find_videos(folder)[:1], tiny["vae"]()
    text = {videos[0].caption: torch.ones(4, 8)}
    source = VideoFolder(videos, vae, text, size=(48, 64), num_frames=9, tracked=True)
    batch = source.batch(3, 1)
    assert batch.latents.shape == (1, 3, 4, 6, 8)
    assert batch.image.shape == (1, 3, 48, 64)
    assert torch.equal(batch.text, torch.ones(1, 4, 8))
    middle = batch.flow[0, :, :, 12:36, 16:48]
    assert float(middle[:, 0].median()) == pytest.approx(2, abs=0.2)
    assert float(middle[:, 1].median()) == pytest.approx(0, abs=0.2)
    steps = np.diff(batch.points[0].numpy(), axis=0)[batch.visible[0, 1:].numpy() & batch.visible[0, :-1].numpy()]
    assert np.median(steps, axis=0) == pytest.approx([2, 0], abs=0.2)
    again = VideoFolder(videos, vae, text, size=(48, 64), num_frames=9).batch(3, 1)
    assert torch.equal(batch.flow, again.flow)
    assert again.points.shape == (1, 9, 0, 2)


def test_a_long_video_is_opened_once_and_its_frames_are_those_of_a_held_one(folder, monkeypatch):
    videos, opened = find_videos(folder)[:1], []
    text = {videos[0].caption: torch.zeros(4, 8)}
    held = VideoFolder(videos, tiny["vae"](), text, size=(32, 32), num_frames=9)

    def open_decoding(path):
        opened.append(path)
        return open_frames(path, max_bytes=0)

    expected = [held.batch(step, 1) for step in range(3)]
    monkeypatch.setattr("motionloom.train.tora.own_videos.open_frames", open_decoding)
    decoded = VideoFolder(videos, tiny["vae"](), text, size=(32, 32), num_frames=9)
    for step, batch in enumerate(expected):
        assert torch.equal(decoded.batch(step, 1).latents, batch.latents)
    assert opened == [videos[0].path]


@pytest.mark.slow
def test_a_moving_camera_is_left_out(folder):
    videos = find_videos(folder)
    text = {video.caption: torch.zeros(4, 8) for video in videos}
    still = VideoFolder(videos, tiny["vae"](), text, size=(48, 64), num_frames=5, camera="still")
    assert float(still.batch(0, 3).flow.abs().max()) < 0.2
    with pytest.raises(InputError, match="none has a camera"):
        VideoFolder(videos[:1], tiny["vae"](), text, size=(48, 64), num_frames=5, camera="still").batch(0, 1)
