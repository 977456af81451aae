import cv2
import numpy as np
import pytest

from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.media import Clip
from motionloom.tracks.tracks import Tracks


@pytest.fixture(scope="module")
def found():
    """A textured picture that slides by 2 px per frame, where 3 px are wanted; 5 frames of 64x96."""
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 1.2)
    frames = np.stack([np.roll(picture, 2 * t, axis=1) for t in range(5)])
    start = np.array([[30, 20], [40, 40], [50, 30]], np.float32)
    points = start + np.arange(5)[:, None, None] * np.array([3, 0], np.float32)
    tracks = Tracks(points.astype(np.float32), np.ones((5, 3), bool), (64, 96), 8.0)
    sample = Sample("a", Clip(frames, 8.0), tracks)
    return {each.name: each for each in measure(sample, Tools(), metrics=["epe", "camera_translation_error"])}


@pytest.mark.parametrize(
    ("name", "value", "tolerance"),
    [
        ("epe", 2.5, 0.1),  # 1 to 4 px over frames 1 to 4
        ("epe_256", 2.5 * 256 / 96, 0.3),
        ("epe_with_first", 2.0, 0.1),
        ("epe_median", 2.5, 0.1),
        ("final_error", 4.0, 0.1),
        ("objmc", 2.0, 0.1),
        ("trajectory_error_mean_xy", 1.0, 0.1),
        ("trajectory_error_sum_xy", 2.0, 0.15),
        ("trajectory_error_sum_xy_256", 2.0 * 256 / 96, 0.4),
        ("velocity_error", 1.0, 0.1),
        ("displacement_correlation", 1.0, 0.02),
        ("pck_02", 0.5, 0.01),  # 2.3 px
        ("pck_16px", 0.25, 0.01),  # 1.8 px at this size
        ("lost_fraction", 0.0, 0.01),
        ("camera_translation_error", 2.5, 0.1),
        ("camera_rotation_error", 0.0, 0.6),
        ("camera_scale_error", 0.0, 0.02),
    ],
)
def test_every_number_is_what_the_motion_makes_it(found, name, value, tolerance):
    assert found[name].value == pytest.approx(value, abs=tolerance)
    assert found[name].frames == 5


def test_the_error_over_time_and_the_tracker_are_told(found):
    assert found["epe"].curve == pytest.approx((0, 1, 2, 3, 4), abs=0.1)
    counts = {"epe": 12, "epe_with_first": 15, "objmc": 15, "final_error": 3, "velocity_error": 12, "pck_05": 12}
    assert {name: found[name].n for name in counts} == counts
    assert all("tracker offline" in each.variant for each in found.values())


def test_points_that_leave_the_picture_do_not_count(picture):
    """A video that does exactly what was asked has no error, though no tracker follows a point out of the picture."""
    wide = np.tile(picture, (1, 2, 1))
    video = np.stack([wide[:, 6 * t : 6 * t + 96] for t in range(9)])
    start = np.array([[20, 30], [60, 40], [90, 20]], np.float32)
    points = start - np.arange(9)[:, None, None] * np.array([6, 0], np.float32)
    tracks = Tracks(points.astype(np.float32), np.ones((9, 3), bool), (64, 96), 8.0)
    found = {each.name: each for each in measure(Sample("a", Clip(video, 8.0), tracks), Tools(), metrics=["epe"])}
    assert found["epe"].n == 3 + 2 * 8  # the first leaves after frame 3
    assert found["epe"].value < 0.5
    assert found["lost_fraction"].value < 0.1
    assert found["objmc"].n == 27


def test_one_frame_is_a_reason(picture):
    tracks = Tracks(np.full((1, 2, 2), 30, np.float32), np.ones((1, 2), bool), (64, 96), 8.0)
    sample = Sample("a", Clip(picture[None], 8.0), tracks, reference=Clip(picture[None], 8.0))
    for each in measure(sample, Tools(), metrics=["epe", "epe_trackable", "me"]):
        assert each.value is None, each.name
        assert each.curve is None, each.name
    found = measure(sample, Tools(), metrics=["epe"])
    assert {each.reason for each in found} == {"the video has one frame"}


def test_points_that_the_tracker_loses_in_the_true_video_do_not_count():
    rng = np.random.default_rng(3)
    picture = cv2.GaussianBlur(rng.integers(0, 255, (64, 96, 3), np.uint8), (0, 0), 1.2)
    true = np.stack([np.roll(picture, 3 * t, axis=1) for t in range(5)])
    made = np.stack([np.roll(picture, 2 * t, axis=1) for t in range(5)])
    start = np.array([[30, 20], [40, 40], [50, 30], [60, 45]], np.float32)
    points = start + np.arange(5)[:, None, None] * np.array([3, 0], np.float32)
    points[:, 3] = start[3] - np.arange(5)[:, None] * np.array([6, 0], np.float32)  # not what the true video does
    tracks = Tracks(points.astype(np.float32), np.ones((5, 4), bool), (64, 96), 8.0)
    twice = np.repeat(np.repeat(true, 2, axis=1), 2, axis=2)
    for reference in (true, twice):
        sample = Sample("a", Clip(made, 8.0), tracks, reference=Clip(reference, 8.0))
        found = {each.name: each for each in measure(sample, Tools(), metrics=["epe", "epe_trackable"])}
        assert found["epe"].value == pytest.approx((3 * 2.5 + 20) / 4, abs=0.3)
        assert found["epe_trackable"].value == pytest.approx(2.5, abs=0.15)
        assert found["trackable_fraction"].value == pytest.approx(0.75, abs=0.01)
        assert found["epe_of_reference"].value == pytest.approx(9 * 2.5 / 4, abs=0.4)
        assert found["epe_trackable"].n == 12
