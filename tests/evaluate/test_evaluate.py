from __future__ import annotations

import numpy as np
import pytest

import motionloom as ml
from motionloom.errors import FileFormatError, InputError
from motionloom.prepare.procedural import render, sample_scene
from motionloom.tracks.formats import write_tracks
from motionloom.tracks.tracks import Tracks


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    frame = render(sample_scene(4, [2], num_frames=1, resolution=96), (96, 128))[0, 0]
    return (frame.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)


def shifting(picture: np.ndarray, per_frame: int, frames: int = 6) -> ml.Clip:
    return ml.Clip(np.stack([np.roll(picture, per_frame * t, axis=1) for t in range(frames)]), 8.0)


def wanted(per_frame: float, frames: int = 6) -> Tracks:
    start = np.array([[40, 30], [50, 60], [70, 48]], np.float32)
    tracks = Tracks(np.repeat(start[None], frames, 0), np.ones((frames, 3), bool), (96, 128), 8.0)
    return tracks.translate(per_frame=(per_frame, 0))


def test_a_clip_that_follows_has_no_error(picture: np.ndarray):
    scores = ml.evaluate(shifting(picture, 3), wanted(3))
    assert scores["epe"] < 0.3
    assert scores["pck_02"] == 1
    assert scores["motion_magnitude"] == pytest.approx(3, abs=0.4)
    assert "psnr" not in scores  # there is no true video


def test_a_true_video_and_photographs_bring_more_numbers(picture: np.ndarray):
    clip = shifting(picture, 3)
    scores = ml.evaluate(clip, reference=shifting(picture, 2), first_image=picture)
    assert 8 < scores["psnr"] < 40
    assert scores["endpoint_first_psnr"] is None  # the same picture
    assert scores["endpoint_first_ssim"] == pytest.approx(1)


def test_a_clip_that_stays_has_the_length_of_the_motion(picture: np.ndarray):
    # 3 px per frame over frames 1 to 5: 9 px in the mean.
    assert ml.evaluate(shifting(picture, 0), wanted(3))["epe"] == pytest.approx(9.0, abs=0.3)


def test_other_canvas_and_rate_are_fitted(picture: np.ndarray):
    twice = wanted(3).resize((192, 256)).resample(11)
    assert ml.evaluate(shifting(picture, 3), twice)["epe"] < 0.3


def test_files_of_all_that_is_known(picture: np.ndarray, tmp_path):
    clip = shifting(picture, 3)
    clip.save(tmp_path / "clip.mp4", quality=100)
    write_tracks(wanted(3), tmp_path / "wanted.npz", format="cotracker")
    masks = np.zeros((6, 96, 128), bool)
    for t in range(6):
        masks[t, 20:40, 30 + 3 * t : 50 + 3 * t] = True
    np.save(tmp_path / "masks.npy", masks)
    metrics = ["epe", "subject_drift"]
    for source in (clip, tmp_path / "clip.mp4"):
        scores = ml.evaluate(source, tmp_path / "wanted.npz", masks=tmp_path / "masks.npy", metrics=metrics)
        assert scores["epe"] < 0.3
        # 16 samples of six frames, 3 px apart.
        x = 3 * np.linspace(0, 5, 16).astype(int)
        assert scores["subject_drift"] == pytest.approx(x.std(), abs=1e-6)
    assert ml.evaluate(clip, wanted(3), masks=masks, metrics=metrics) == pytest.approx(scores, abs=0.2)
    with pytest.raises(FileFormatError, match=r"gone\.npz: no such file, expected the motion of the clip"):
        ml.evaluate(clip, tmp_path / "gone.npz")
    with pytest.raises(InputError, match="box: found"):
        ml.evaluate(clip, box=(1, 2, 3))  # pyright: ignore[reportArgumentType]


def test_nothing_drawn_is_no_number(picture: np.ndarray):
    assert ml.evaluate(shifting(picture, 0), Tracks.empty(6, (96, 128), 8.0))["epe"] is None
