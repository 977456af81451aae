from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slides import sliding

from motionloom.errors import InputError
from motionloom.evaluate.frechet import frechet_distance
from motionloom.evaluate.motion_features import (
    appearance,
    motion_histograms,
    motion_of_frames,
    reduce,
    spectrum,
    windows_of,
)

SIZE = (128, 256)


def straight(velocity: tuple[float, float], start: tuple[float, float] = (32, 16), frames: int = 5):
    points = np.array(start) + np.arange(frames)[:, None, None] * np.array(velocity)
    return points, np.ones(points.shape[:2], bool)


def test_a_straight_track_fills_one_cell_and_direction_of_velocity_and_none_of_acceleration():
    histogram = motion_histograms(*straight((2, 0)), SIZE).reshape(2, 4, 4, 8)
    expected = np.zeros((2, 4, 4, 8))
    expected[0, 0, 0, 0] = 2  # pixels per frame; row 0, column 0, towards +x
    np.testing.assert_allclose(histogram, expected, atol=1e-12)
    downwards = motion_histograms(*straight((0, 3), (200, 40)), SIZE).reshape(2, 4, 4, 8)
    assert downwards[0, 1, 3, 2] == pytest.approx(3)
    assert downwards.sum() == pytest.approx(3)


def test_a_direction_between_two_bins_is_shared_by_nearness():
    angle = 2 * np.pi * 0.25 / 8
    histogram = motion_histograms(*straight((4 * np.cos(angle), 4 * np.sin(angle))), SIZE).reshape(2, 4, 4, 8)
    np.testing.assert_allclose(histogram[0, 0, 0], [3, 1, 0, 0, 0, 0, 0, 0], atol=1e-9)
    almost_round = motion_histograms(*straight((4 * np.cos(angle), -4 * np.sin(angle))), SIZE).reshape(2, 4, 4, 8)
    np.testing.assert_allclose(almost_round[0, 0, 0], [3, 0, 0, 0, 0, 0, 0, 1], atol=1e-9)


def test_acceleration_and_what_is_hidden():
    points = np.array([[[10.0, 10]], [[11, 10]], [[14, 10]], [[19, 10]]])
    seen = np.ones((4, 1), bool)
    histogram = motion_histograms(points, seen, SIZE).reshape(2, 128)
    np.testing.assert_allclose(histogram.sum(1), [3, 2])  # steps of 1, 3, 5; twice faster by 2
    seen[3] = False
    np.testing.assert_allclose(motion_histograms(points, seen, SIZE).reshape(2, 128).sum(1), [2, 2])
    seen[1] = False
    assert not motion_histograms(points, seen, SIZE).any()


@given(factor=st.floats(0.25, 8))
def test_pixels_are_those_of_a_longer_side_of_256(factor):
    points, seen = straight((3, 2))
    scaled = motion_histograms(points * factor, seen, (round(SIZE[0] * factor, 9), SIZE[1] * factor))  # pyright: ignore
    np.testing.assert_allclose(scaled, motion_histograms(points, seen, SIZE), atol=1e-9)


def test_bad_tracks_are_refused():
    points, seen = straight((1.0, 1.0))
    with pytest.raises(InputError, match="at least three frames"):
        motion_histograms(points[:2], seen[:2], SIZE)
    points[2, 0, 1] = np.nan
    with pytest.raises(InputError, match="position that is not finite"):
        motion_histograms(points, seen, SIZE)


def test_a_sliding_picture_moves_by_what_it_slides(picture):
    frames = sliding(picture, 2)[:8]
    histogram = motion_of_frames(frames).reshape(2, 16, 8).sum(1)
    towards_x = histogram[0, 0] * frames.shape[2] / 256
    assert towards_x == pytest.approx(2, abs=0.3)
    assert histogram[0, 1:].sum() < 0.3
    assert motion_of_frames(sliding(picture, 0)[:8]).sum() < 0.05


def test_windows():
    assert list(windows_of(2)) == []
    assert list(windows_of(3)) == [(0, 3)]
    assert list(windows_of(16)) == [(0, 16)]
    assert list(windows_of(40)) == [(0, 16), (16, 32)]


def videos(count: int, seed: int = 0, noise: float = 0.0, blur: float = 0.0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        picture = cv2.GaussianBlur(generator.normal(size=(48, 160, 3)), (0, 0), 3)
        picture = (picture - picture.min()) / np.ptp(picture) * 255
        shift = generator.integers(0, 4)
        clip = np.stack([picture[:, 8 + shift * t : 72 + shift * t] for t in range(16)])
        clip = clip + noise * generator.normal(size=clip.shape)
        if blur:
            clip = np.stack([cv2.GaussianBlur(frame, (0, 0), blur) for frame in clip])
        found.append(clip.clip(0, 255).astype(np.uint8))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("look", [lambda clip: appearance(clip[::8]), lambda clip: spectrum(clip)[None]])
@pytest.mark.parametrize("worse", ["noise", "blur"])
def test_distances_grow_with_distortion(look, worse):
    def distance(amount: float) -> float:
        real = np.concatenate([look(clip) for clip in videos(12)])
        made = np.concatenate([look(clip) for clip in videos(12, **{worse: amount})])
        value = frechet_distance(*reduce(real, made))
        assert value is not None
        return value

    nothing, little, much = (distance(amount) for amount in (0, 3, 12))
    assert nothing == pytest.approx(0, abs=1e-8)
    assert nothing < little < much


def test_distance_of_motion_grows_with_its_difference():
    def tracked(speed: float) -> np.ndarray:
        generator = np.random.default_rng(0)
        found = []
        for _ in range(20):
            points = generator.uniform(20, 100, (1, 30, 2)) + np.arange(8)[:, None, None] * np.array([speed, 0.5])
            points = points + generator.normal(0, 0.05, points.shape)
            found.append(motion_histograms(points, np.ones(points.shape[:2], bool), (128, 128)))
        return np.stack(found)

    real = tracked(1)
    distances = [frechet_distance(*reduce(real, tracked(speed))) for speed in (1, 1.5, 3)]
    assert distances[0] == pytest.approx(0, abs=1e-9)
    assert distances[0] < distances[1] < distances[2]


def test_reducing_keeps_at_least_two_samples_for_a_dimension_and_what_lies_beyond():
    generator = np.random.default_rng(3)
    real, made = generator.normal(size=(20, 50)), generator.normal(size=(9, 50))
    a, b = reduce(real, made)
    assert (a.shape, b.shape) == ((20, 10), (9, 10))
    np.testing.assert_allclose(np.linalg.norm(b, axis=1), np.linalg.norm(made - real.mean(0), axis=1))
    flat = np.zeros((20, 3))
    flat[:, 0] = np.arange(20)
    beyond = flat + np.array([0, 4, 3])  # differs only where the true set has no extent
    a, b = reduce(flat, beyond)
    assert a.shape == (20, 2)
    assert frechet_distance(a, b) == pytest.approx(25)
    order = generator.permutation(20)
    assert frechet_distance(*reduce(real[order], made)) == pytest.approx(
        frechet_distance(*reduce(real, made)), rel=1e-9
    )
    with pytest.raises(InputError, match="a value that is not finite"):
        reduce(real, np.full((3, 50), np.nan))
    with pytest.raises(InputError, match=r"found \(0, 50\)"):
        reduce(real[:0], made)


def test_shapes_of_looks():
    frames = np.full((4, 30, 20, 3), 128, np.uint8)
    assert appearance(frames).shape == (4, 80)
    np.testing.assert_allclose(appearance(frames)[0, :48], 128 / 255, atol=1e-6)
    assert appearance(frames[:0]).shape == (0, 80)
    assert spectrum(frames).shape == (64,)
    for look in (appearance, spectrum):
        with pytest.raises(InputError, match="found float64"):
            look(frames / 255.0)
    with pytest.raises(InputError, match="at least three"):
        spectrum(frames[:2])


def test_flicker_is_seen_by_the_spectrum_and_not_by_single_frames():
    clip = videos(1)[0].astype(np.float64)
    flicker = (clip + 10 * (-1.0) ** np.arange(16)[:, None, None, None]).clip(0, 255).astype(np.uint8)
    still, flickering = spectrum(clip.astype(np.uint8)).reshape(8, 8), spectrum(flicker).reshape(8, 8)
    assert flickering[7, 0] > still[7, 0] + 0.5  # the fastest band of time, the slowest of space
    np.testing.assert_allclose(flickering[:4, 2:], still[:4, 2:], atol=0.2)


def test_motion_of_a_larger_video_is_the_same(picture):
    large = [cv2.resize(picture, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)] * 4
    large = np.stack([np.roll(frame, 24 * t, axis=1) for t, frame in enumerate(large)])  # 64x96 -> 512x768
    histogram = motion_of_frames(large).reshape(2, 16, 8).sum(1)
    assert histogram[0, 0] == pytest.approx(24 * 256 / 768, rel=0.1)
