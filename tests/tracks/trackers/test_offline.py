from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.media import Clip
from motionloom.tracks.trackers import grid, track

GOLDEN = Path(__file__).parents[2] / "golden" / "metrics"


def texture(size, seed=0):
    """Grey noise with detail at several scales."""
    rng = np.random.default_rng(seed)
    image = sum(
        amount * cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), sigma) * sigma
        for sigma, amount in ((1.5, 1.0), (4.0, 1.0), (9.0, 1.0))
    )
    return np.clip(128 + 50 * image / image.std(), 0, 255).astype(np.float32)


def moving(frames, size, step, seed=0):
    """Video [T, H, W, 3] of a texture that moves by ``step`` pixels (x, y) per frame, subpixel steps included."""
    height, width = size
    large = texture((height + 160, width + 160), seed)
    video = []
    for t in range(frames):
        shift = np.array([[1, 0, -80 + t * step[0]], [0, 1, -80 + t * step[1]]], np.float32)
        video.append(cv2.warpAffine(large, shift, (width, height), flags=cv2.INTER_CUBIC))
    grey = np.clip(np.round(video), 0, 255).astype(np.uint8)
    return np.repeat(grey[..., None], 3, -1)


@pytest.fixture(scope="module")
def zoomrot():
    return load_file(GOLDEN / "tracker_clip_zoomrot.safetensors")


@pytest.mark.slow
def test_zoom_and_rotation(zoomrot):
    queries = np.concatenate([np.zeros((49, 1)), zoomrot["queries_xy"] + 0.5], 1)
    found = track(zoomrot["gray"], queries)
    error = np.linalg.norm(found.points.transpose(1, 0, 2) - 0.5 - zoomrot["gt_tracks"], axis=-1)
    later = zoomrot["visible"].astype(bool)
    later[:, 0] = False
    assert np.median(error[later]) <= 0.06
    assert error[later].mean() <= 0.13
    assert (zoomrot["visible"] == found.visible.T).mean() > 0.99


def test_refinement_is_what_removes_the_drift(zoomrot):
    queries = np.concatenate([np.zeros((49, 1)), zoomrot["queries_xy"] + 0.5], 1)
    found = track(zoomrot["gray"], queries, refine=False)
    error = np.linalg.norm(found.points.transpose(1, 0, 2) - 0.5 - zoomrot["gt_tracks"], axis=-1)
    assert 0.2 < np.median(error[:, 1:][zoomrot["visible"][:, 1:] > 0]) < 0.6


def test_queries_in_the_middle_and_at_the_end_are_followed_both_ways():
    video = moving(9, (96, 128), (1.25, -0.5))
    start = np.array([[40.5, 60.25], [60.0, 50.0], [80.0, 40.0]])
    frames = np.array([0, 4, 8])
    step = np.array([1.25, -0.5])
    found = track(video, np.column_stack([frames, start + frames[:, None] * step]))
    expected = start + np.arange(9)[:, None, None] * step
    assert np.abs(found.points - expected).max() < 0.1
    assert found.visible.all()


def test_points_near_the_edge_of_a_small_object_stay_on_it():
    size, radius = 128, 26
    ground, own = texture((size + 80, size + 80), 1), texture((80, 80), 2)
    y, x = np.mgrid[:80, :80] - 39.5
    disc = (x**2 + y**2 < radius**2).astype(np.float32)
    offsets = np.array([[a, b] for a in (-15, -5, 5, 15) for b in (-15, -5, 5, 15)], np.float64)
    video, positions = [], []
    for t in range(17):
        turn = np.deg2rad(1.2 * t)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        centre = np.array([50 + 1.5 * t, 70 - 1.1 * t])
        place = np.column_stack([rotation, centre - rotation @ [39.5, 39.5]]).astype(np.float32)
        pan = np.array([[1, 0, -40 - 0.7 * t], [0, 1, -40 + 0.5 * t]], np.float32)
        share = cv2.warpAffine(disc, place, (size, size))
        front, back = cv2.warpAffine(own, place, (size, size)), cv2.warpAffine(ground, pan, (size, size))
        video.append(np.clip(back * (1 - share) + front * share, 0, 255).astype(np.uint8))
        positions.append(centre + offsets @ rotation.T + 0.5)
    found = track(np.array(video), np.column_stack([np.zeros(16), positions[0]]))
    error = np.linalg.norm(found.points - positions, axis=-1)[1:]
    assert np.median(error) < 0.05
    # The four outermost points are 5 px from the edge, less than half a patch: two of them slide off.
    inner = np.linalg.norm(offsets, axis=1) < 20
    assert error[:, inner].max() < 1.5
    assert error[:, inner].mean() < 0.05


def test_a_point_that_leaves_is_not_visible_any_more():
    video = moving(12, (96, 96), (4.0, 0.0))
    found = track(video, np.array([[0, 70.0, 48.0], [0, 30.0, 48.0]]))
    inside = 70 + 4 * np.arange(12) < 96
    assert (found.visible[:, 0] == inside).all()
    assert found.visible[:, 1].all()
    assert (np.diff(found.points[~inside][1:, 0, 0]) == 0).all()


def test_a_still_video_stays_still_and_a_clip_brings_its_rate():
    clip = Clip(np.repeat(moving(1, (64, 80), (0, 0)), 5, 0), fps=24.0)
    found = track(clip, 16)
    assert found.fps == 24.0
    assert found.size == (64, 80)
    assert found.num_tracks == 20
    assert np.abs(found.points - found.points[:1]).max() < 1e-3
    assert found.visible.all()


def test_grid_is_centred():
    np.testing.assert_allclose(grid((4, 8), 4.0, frame=2), [[2, 2, 2], [2, 6, 2]])
    assert len(grid((3, 3), 100)) == 1


@pytest.mark.parametrize("shape", [(1, 8, 8, 3), (3, 1, 1, 3), (3, 4, 40, 3), (2, 300, 20)])
def test_any_size_of_video(shape):
    video = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
    found = track(video, np.array([[0, 0.0, 0.0], [0, shape[2] / 2, shape[1] / 2]]))
    assert found.points.shape == (shape[0], 2, 2)
    np.testing.assert_allclose(found.points[0], [[0, 0], [shape[2] / 2, shape[1] / 2]])


def test_no_queries():
    assert track(np.zeros((3, 16, 16, 3), np.uint8), np.zeros((0, 3))).num_tracks == 0


def test_the_video_is_not_changed():
    video = moving(3, (48, 48), (1, 1))
    copy = video.copy()
    track(video, 16)
    assert np.array_equal(video, copy)


@pytest.mark.parametrize(
    ("video", "queries", "message"),
    [
        (np.zeros((3, 16, 16, 3), np.float32), 8, "video: found float32"),
        (np.zeros((16, 16), np.uint8), 8, "video"),
        (np.zeros((3, 16, 16, 3), np.uint8), [[3, 1, 1]], "frame numbers from 0 to 2"),
        (np.zeros((3, 16, 16, 3), np.uint8), [[0.5, 1, 1]], "frame numbers"),
        (np.zeros((3, 16, 16, 3), np.uint8), [[0, 17, 1]], r"point 0 at \(17, 1\) is outside the 16x16 video"),
        (np.zeros((3, 16, 16, 3), np.uint8), [[0, 1]], r"expected finite \[N, 3\]"),
        (np.zeros((3, 16, 16, 3), np.uint8), 0, "spacing: found 0"),
    ],
)
def test_refusals_say_what_was_found(video, queries, message):
    with pytest.raises(InputError, match=message):
        track(video, queries)
