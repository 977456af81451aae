from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from motionloom.errors import FileFormatError, InputError
from motionloom.media import Clip
from motionloom.models.loading import load
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.tracks.tracks import Tracks
from motionloom.tracks.transfer import motion_from_video, transfer


@pytest.fixture(scope="module")
def scene():
    return sample_scene(0, [5], num_frames=9, resolution=128, motion=0.5)


@pytest.fixture(scope="module")
def clip(scene):
    return Clip((render(scene, (128, 160))[0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8), 8.0)


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).random((120, 200, 3)).astype(np.float32)
    return np.clip((cv2.GaussianBlur(noise, (0, 0), 2.0) - 0.5) * 1200 + 128, 0, 255).astype(np.uint8)


def zoomed(picture, frames=7):
    """A clip of a camera that zooms, turns and pans, and the 2 x 3 matrix of every frame (continuous pixels)."""
    matrices = []
    for frame in range(frames):
        matrix = cv2.getRotationMatrix2D((100, 60), 1.0 * frame, 1 + 0.02 * frame)
        matrix[:, 2] += (1.5 * frame, -frame)
        matrices.append(matrix)
    shown = []
    for matrix in matrices:
        centred = matrix.copy()  # OpenCV counts from the centre of the first pixel
        centred[:, 2] += matrix[:, :2] @ [0.5, 0.5] - 0.5
        shown.append(cv2.warpAffine(picture, centred, (200, 120), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT))
    return Clip(np.stack(shown), 10.0), np.stack(matrices)


@pytest.mark.parametrize(
    ("fit", "factor", "shift"),
    [
        ("stretch", (2.0, 1.5), (0, 0)),
        ("cover", (2.0, 2.0), (0, -32)),
        ("contain", (1.5, 1.5), (40, 0)),
    ],
)
def test_tracks_of_a_procedural_video_on_another_size(scene, clip, fit, factor, shift):
    found = transfer(clip, (192, 320), points=40, fit=fit)
    tracks = found.tracks
    assert tracks.size == (192, 320)
    assert (tracks.num_frames, tracks.fps) == (9, 8.0)
    start = (tracks.points[0] - shift) / factor
    exact, seen = (
        each[0].numpy() for each in trace(scene, torch.from_numpy(start.astype(np.float32))[None], (128, 160))
    )
    both = seen & tracks.visible
    error = np.linalg.norm(tracks.points - (exact * factor + shift), axis=-1)[both]
    moved = np.linalg.norm((exact - exact[:1]) * factor, axis=-1)[both]
    assert moved.mean() > 4
    assert np.median(error) < 0.2
    assert error.mean() < 0.1 * moved.mean()
    assert found.followed >= tracks.num_tracks + found.lost
    assert tracks.inside()[0].all()
    assert (tracks.num_tracks + found.lost + found.outside) == found.followed <= 40
    if fit == "cover":
        assert found.outside > 0


@pytest.mark.slow
def test_a_photograph_moves_like_the_video(picture):
    video, _ = zoomed(picture)
    tracks = motion_from_video(video, (150, 250), points=60, fit="stretch")
    photograph = np.ascontiguousarray(cv2.resize(picture[::-1, ::-1], (250, 150), interpolation=cv2.INTER_CUBIC))
    moved = load("warp").generate(photograph, tracks)
    again = motion_from_video(moved, (150, 250), points=tracks.points[0][tracks.visible.all(0)])
    expected = tracks.points[:, tracks.visible.all(0)]
    error = np.linalg.norm(again.points - expected, axis=-1)[again.visible]
    distance = np.linalg.norm(expected - expected[:1], axis=-1)[again.visible]
    assert again.visible.mean() > 0.8
    assert distance[-20:].mean() > 8
    assert error.mean() < 0.6


def test_the_camera_alone(picture):
    """Most of the picture moves with the camera; a patch goes its own way and is left out."""
    video, matrices = zoomed(picture)
    frames = video.frames.copy()
    for number, frame in enumerate(frames):
        frame[20:60, 20 + 6 * number : 60 + 6 * number] = picture[70:110, 120:160]
    tracks = motion_from_video(Clip(frames, 10.0), (240, 400), follow="camera", points=100)
    assert tracks.visible.all()
    start = tracks.points[0] / 2
    expected = 2 * (np.einsum("tij,nj->tni", matrices[:, :, :2], start) + matrices[:, None, :, 2])
    assert np.abs(tracks.points - expected).max() < 1.0


def test_a_region_and_a_place_for_it(picture):
    video, _ = zoomed(picture)
    box = (100.0, 20.0, 180.0, 100.0)
    mask = np.zeros((120, 200), bool)
    mask[20:100, 100:180] = True
    by_box = motion_from_video(video, (120, 200), region=box, points=30)
    x, y = by_box.points[0].T
    assert x.min() >= 100
    assert x.max() <= 180
    assert y.min() >= 20
    assert y.max() <= 100
    assert by_box == motion_from_video(video, (120, 200), region=mask, points=30)
    onto = motion_from_video(video, (120, 200), region=box, points=30, onto=(0.0, 40.0, 40.0, 80.0))
    np.testing.assert_allclose(onto.points[0], (by_box.points[0] - [100, 20]) / 2 + [0, 40], atol=1e-3)


def test_files_and_parts_of_them(picture, tmp_path):
    video, _ = zoomed(picture)
    path = video.save(tmp_path / "a.mp4", quality=100)
    whole, part = (motion_from_video(path, (120, 200), points=20, frames=f) for f in (None, (2, 6)))
    assert (whole.num_frames, part.num_frames) == (7, 4)
    assert whole.fps == pytest.approx(10.0)
    spot = np.array([[100.0, 60.0], [50.0, 30.0]])
    from_file = motion_from_video(path, (120, 200), points=spot)
    from_clip = motion_from_video(video, (120, 200), points=spot)
    np.testing.assert_allclose(from_file.points, from_clip.points, atol=0.3)
    assert isinstance(part, Tracks)


def test_large_videos_are_followed_scaled_down(picture):
    small, matrices = zoomed(picture, 3)
    large = Clip(np.stack([cv2.resize(f, (1000, 600), interpolation=cv2.INTER_CUBIC) for f in small.frames]), 10.0)
    tracks = motion_from_video(large, (600, 1000), points=30)
    expected = 5 * (np.einsum("tij,nj->tni", matrices[:, :, :2], tracks.points[0] / 5) + matrices[:, None, :, 2])
    assert np.median(np.linalg.norm(tracks.points - expected, axis=-1)[tracks.visible]) < 0.5


def test_points_are_lost_where_the_video_is_cut(picture):
    video, _ = zoomed(picture, 4)
    cut = Clip(np.concatenate([video.frames, video.frames[:, ::-1, ::-1]]), 10.0)
    tracks = motion_from_video(cut, (120, 200), points=20)
    assert tracks.num_frames == 8
    assert tracks.visible[:4].mean() > 0.9
    assert not tracks.visible[4:].any()


def test_what_cannot_be_followed(picture, tmp_path):
    still = Clip(picture[None], 10.0)
    with pytest.raises(InputError, match="found one frame"):
        motion_from_video(still, (120, 200))
    flat = Clip(np.full((4, 60, 80, 3), 128, np.uint8), 10.0)
    with pytest.raises(InputError, match="no texture to follow"):
        motion_from_video(flat, (120, 200))
    noise = np.random.default_rng(0).integers(0, 255, (4, 60, 80, 3), dtype=np.uint8)
    with pytest.raises(InputError, match="could be followed; the video moves too fast"):
        motion_from_video(Clip(noise, 10.0), (120, 200), points=12)
    cut = Clip(np.stack([picture, picture[::-1, ::-1], picture[::-1, ::-1]]), 10.0)
    with pytest.raises(InputError, match="could be followed"):
        motion_from_video(cut, (120, 200), points=12)
    (tmp_path / "a.mp4").write_text("no")
    with pytest.raises(FileFormatError, match="not a video"):
        motion_from_video(tmp_path / "a.mp4", (120, 200))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"points": 0}, "points: found 0"),
        ({"points": np.zeros((0, 2))}, "points: found shape"),
        ({"points": np.array([[500.0, 3.0]])}, r"points: \(500, 3\) is outside the 200x120 video"),
        ({"region": (50, 50, 20, 80)}, "region: found 50,50,20,80"),
        ({"region": np.zeros((120, 200), bool)}, "with 0 pixels set"),
        ({"region": np.ones((12, 20), bool)}, "region: found"),
        ({"onto": (0, 0, 300, 20)}, "onto: found 0,0,300,20"),
        ({"fit": "crop"}, "fit: found 'crop'"),
        ({"follow": "faces"}, "follow: found 'faces'"),
        ({"frames": (9, None)}, "frames: found 9 to None"),
    ],
)
def test_refused(picture, options, message):
    video, _ = zoomed(picture, 2)
    with pytest.raises(InputError, match=message):
        motion_from_video(video, (120, 200), **{"points": 4, **options})
