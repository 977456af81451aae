from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch

from motionloom.evaluate.tracks import tap_vid
from motionloom.media.stream import open_frames
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.tracks.trackers import track
from motionloom.tracks.trackers.appearance import Appearance, noise_of
from motionloom.tracks.trackers.offline import OfflineTracker

SIZE = 128
GRID = np.stack(np.meshgrid(*[(np.arange(9) + 0.5) * SIZE / 9] * 2), -1).reshape(-1, 2)
QUERIES = np.column_stack([np.zeros(81), GRID])


def texture(size, seed, contrast=40.0):
    rng = np.random.default_rng(seed)
    image = sum(s * cv2.GaussianBlur(rng.normal(size=size).astype(np.float32), (0, 0), s) for s in (1.5, 4.0, 9.0))
    return np.clip(128 + contrast * image / np.std(image), 0, 255).astype(np.uint8)


def procedural(index, seed=202):
    scene = sample_scene(seed, [index], num_frames=17, resolution=SIZE)
    video = (render(scene, (SIZE, SIZE))[0].permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
    points, visible = trace(scene, torch.from_numpy(GRID)[None].float(), (SIZE, SIZE))
    return video, points[0].numpy(), visible[0].numpy()


def passing(contrast=40.0, noise=0.0):
    """A bar that passes over a ground that pans by half a pixel a frame; what it hides on each frame [T, N]."""
    ground, bar = texture((SIZE, SIZE + 40), 1, contrast), texture((SIZE, 30), 2)
    video, points, hidden = [], [], []
    for t in range(25):
        shift = np.array([[1, 0, -20 + 0.5 * t], [0, 1, 0]], np.float32)
        frame = cv2.warpAffine(ground, shift, (SIZE, SIZE), flags=cv2.INTER_CUBIC)
        left = -40 + 7 * t
        low, high = np.clip([left, left + 30], 0, SIZE)
        frame[:, low:high] = bar[:, low - left : high - left]
        video.append(frame)
        points.append(GRID + np.array([0.5 * t, 0]))
        hidden.append((points[-1][:, 0] >= left) & (points[-1][:, 0] < left + 30))
    video = np.array(video, np.float64)
    video = video + np.random.default_rng(0).normal(0, noise, video.shape)
    return np.clip(np.round(video), 0, 255).astype(np.uint8), np.array(points), np.array(hidden)


@pytest.mark.parametrize(
    ("contrast", "noise"),
    [(40.0, 0.0), pytest.param(40.0, 6.0, marks=pytest.mark.slow), pytest.param(8.0, 0.0, marks=pytest.mark.slow)],
)
def test_what_passes_in_front_hides_points_and_gives_them_back(contrast, noise):
    video, points, hidden = passing(contrast, noise)
    inside = points[..., 0] < SIZE
    found = track(video, QUERIES)
    # The bar hides a point for four frames; one more or less is a matter of its edges.
    assert (~found.visible & hidden).sum() > 0.75 * hidden.sum()
    assert (found.visible & ~hidden & inside)[1:].sum() > 0.6 * (~hidden & inside)[1:].sum()
    # A good part of them comes back, and those are where they belong.
    passed = inside[-1] & hidden.any(0) & ~hidden[-1]
    assert found.visible[-1, passed].mean() > 0.2
    error = np.linalg.norm(found.points - points, axis=-1)[-1, passed & found.visible[-1]]
    if contrast > 20:  # on a faint ground most of what comes back is taken for something it resembles
        assert np.median(error) < 0.2


@pytest.mark.slow
def test_without_the_estimate_hidden_points_go_along():
    video, points, _ = passing()
    found = OfflineTracker(occlusion=False).track(open_frames(video), QUERIES)
    assert np.linalg.norm(found.points - points, axis=-1)[-1].mean() > 5


@pytest.mark.slow
def test_better_than_without_on_procedural_videos():
    scores = {}
    for occlusion in (False, True):
        rows = []
        for index in range(4):
            video, points, visible = procedural(index)
            found = OfflineTracker(occlusion=occlusion).track(open_frames(video), QUERIES)
            error = np.linalg.norm(found.points - points, axis=-1)[1:][visible[1:]]
            score = tap_vid(found.points, found.visible, points, visible, size=(SIZE, SIZE))
            rows.append([score["average_jaccard"], score["occlusion_accuracy"], -np.median(error), -error.mean()])
        scores[occlusion] = np.mean(rows, 0)
    gain = scores[True] - scores[False]
    assert gain[0] > 0.02  # average Jaccard
    assert gain[1] > -0.02  # occlusion accuracy
    assert gain[2] > -0.005  # median error, px
    assert gain[3] > 0  # mean error, px


@pytest.mark.slow
def test_at_a_cut_everything_is_lost():
    before, after = procedural(0)[0], procedural(3)[0]
    found = track(np.concatenate([before[:6], after[6:12]]), QUERIES)
    assert found.visible[5].mean() > 0.5
    assert found.visible[6:].mean() < 0.05


def test_flat_patches_are_not_taken_for_hidden():
    rng = np.random.default_rng(0)
    flat = np.clip(np.round(120 + rng.normal(0, 3, (6, 64, 64))), 0, 255).astype(np.uint8)
    found = track(flat, np.column_stack([np.zeros(9), np.stack(np.meshgrid(*[[20, 32, 44]] * 2), -1).reshape(-1, 2)]))
    assert found.visible.mean() > 0.9


def test_difference_in_look():
    image = texture((64, 64), 0).astype(np.float32)
    other = texture((64, 64), 5).astype(np.float32)
    look = Appearance(2, 11)
    places, shapes = np.array([[30.0, 30.0], [2.0, 40.0]]), np.repeat(np.eye(2)[None], 2, 0)
    numbers = np.arange(2)
    look.remember(image, numbers, places)
    assert look.difference(image, numbers, places, shapes).max() < 1e-6
    assert look.difference(image * 0.8 + 10, numbers, places, shapes).max() < 0.05
    assert look.difference(other, numbers, places, shapes).min() > 0.5
    turned = np.array([[[0.0, -1.0], [1.0, 0.0]]])
    back = np.rot90(image).copy()  # (x, y) is now at (y, 63 - x)
    assert look.difference(back, numbers[:1], np.array([[30.0, 33.0]]), -turned)[0] < 1e-6


@pytest.mark.parametrize("sigma", [2.0, 6.0])
def test_noise_is_estimated(sigma):
    clean = cv2.GaussianBlur(texture((96, 96), 0), (0, 0), 3).astype(np.float64)
    noisy = clean + np.random.default_rng(0).normal(0, sigma, clean.shape)
    assert noise_of(np.clip(np.round(noisy), 0, 255).astype(np.uint8)) == pytest.approx(sigma, rel=0.2)
    assert noise_of(np.zeros((2, 2), np.uint8)) == 0.0
