from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate import motion

GOLDEN = Path(__file__).parents[1] / "golden" / "metrics"


@pytest.fixture(scope="module")
def published():
    return load_file(GOLDEN / "motion.safetensors")


def noise(frames: int, height: int = 40, width: int = 48, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, height, width, 3), dtype=np.uint8)


def test_motion_magnitude_is_circle_rotates(published):
    expected = float(published["motion_magnitude"][0])
    assert motion.motion_magnitude(published["frames_rgb"]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("threshold", [10, 25])
def test_dynamic_degree_is_circle_rotates(published, threshold):
    expected = float(published[f"dynamic_degree_thr{threshold}"][0])
    values = motion.changed_shares(published["frames_rgb"], threshold)
    assert values.shape == (7,)
    assert motion.mean(values) == pytest.approx(expected, abs=1e-9)


def test_temporal_flickering_is_vbenchs(published):
    expected = float(published["vbench_temporal_flickering"][0])
    assert motion.temporal_flickering(motion.differences(published["frames_rgb"])) == pytest.approx(expected, abs=1e-9)


def test_blocks_that_share_a_frame_give_what_the_whole_gives(published):
    frames = published["frames_rgb"]
    for of in (motion.flow_magnitudes, motion.changed_shares, motion.differences):
        np.testing.assert_array_equal(np.concatenate([of(frames[:4]), of(frames[3:])]), of(frames))


def test_a_video_that_stands_still_does_not_move():
    frames = np.repeat(noise(1), 4, axis=0)
    assert motion.motion_magnitude(frames) < 0.01  # Farneback is not exact on noise
    assert motion.mean(motion.changed_shares(frames)) == 0
    assert motion.temporal_flickering(motion.differences(frames)) == 1


def test_one_frame_has_no_motion_not_a_motion_of_zero():
    frame = noise(1)
    assert motion.motion_magnitude(frame) is None
    assert motion.temporal_flickering(motion.differences(frame)) is None
    assert motion.motion_smoothness(frame, motion.average) is None
    assert motion.is_dynamic([], (40, 48)) is None


def test_threshold_is_strict():
    frames = np.zeros((2, 4, 4, 3), np.uint8)
    frames[1, 0] = 10
    frames[1, 1] = 11
    assert motion.changed_shares(frames, 10).tolist() == [0.25]


def test_lengths_are_normalised_by_the_shorter_side():
    assert motion.normalised(3.0, (128, 640)) == 6.0


def test_fastest_flow_is_vbenchs():
    tensors = load_file(GOLDEN / "vbench_dynamic_degree.safetensors")
    found = [motion.fastest_flow(np.moveaxis(flow, 0, -1)) for flow in tensors["flow"]]
    np.testing.assert_allclose(found, tensors["max_rad_top5pct"], atol=1e-5)


def test_the_yes_or_no_is_vbenchs():
    rows = load_file(GOLDEN / "vbench_dynamic_degree.safetensors")["check_move_rows"]
    assert len(rows) == 6
    for sampled, height, width, above, threshold, needed, result in rows:
        size = (int(height), int(width))
        assert motion.speed_threshold(size) == pytest.approx(threshold)
        speeds = np.full(int(sampled) - 1, threshold - 1e-3)
        speeds[: int(above)] = threshold + 1e-3
        assert round(4 * sampled / 16) == needed
        assert motion.is_dynamic(speeds, size) == bool(result)


def test_two_samples_would_always_count_as_moving_and_give_nothing():
    assert motion.is_dynamic([0.0], (256, 256)) is None
    assert motion.is_dynamic([0.0, 0.0], (256, 256)) is False
    assert motion.is_dynamic([7.0, 0.0], (256, 256)) is True


@pytest.mark.parametrize(("fps", "step"), [(1, 1), (8, 1), (12, 2), (16, 2), (20, 2), (24, 3), (30, 4), (60, 8)])
def test_sampling_is_about_eight_times_a_second(fps, step):
    assert motion.sampling_step(fps) == step


def test_fastest_flow_of_a_few_pixels_is_nothing():
    assert motion.fastest_flow(np.ones((1, 19, 2), np.float32)) is None
    assert motion.fastest_flow(np.full((4, 5, 2), 3.0, np.float32)) == pytest.approx(3 * 2**0.5)


def test_motion_smoothness_is_vbenchs():
    tensors = load_file(GOLDEN / "vbench_motion_smoothness.safetensors")
    frames, between = tensors["frames"], iter(tensors["interpolated"][1::2])
    found = motion.motion_smoothness(frames, lambda first, second: next(between))
    assert found is not None
    assert found.score == pytest.approx(float(tensors["motion_smoothness"][0]), abs=1e-9)
    assert found.error.mean() == pytest.approx(float(tensors["vfi_mae"][0]), abs=1e-9)
    assert motion.motion_smoothness(frames, motion.average).score == pytest.approx(found.score, abs=1e-12)


def test_a_last_odd_frame_without_a_right_neighbour_is_not_looked_at():
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    frames[3] = 255
    found = motion.motion_smoothness(frames, motion.average)
    assert found.score == 1
    assert len(found.error) == 1


def test_flow_finds_the_frame_in_between_that_averaging_blurs():
    texture = np.kron(noise(1, 30, 40, seed=3)[0], np.ones((4, 4, 1), np.uint8))
    frames = np.stack([texture[10:74, 10 + 2 * t : 90 + 2 * t] for t in range(5)])
    by_flow, by_average = (motion.motion_smoothness(frames, each).score for each in (motion.halfway, motion.average))
    assert by_flow > 0.98
    assert by_average < 0.95


@given(st.integers(0, 255), st.integers(0, 255))
def test_average_is_cut_to_whole_numbers(a, b):
    first, second = np.full((1, 1, 3), a, np.uint8), np.full((1, 1, 3), b, np.uint8)
    assert motion.average(first, second).tolist() == [[[(a + b) // 2] * 3]]


@pytest.mark.parametrize(
    "frames", [np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4), np.uint8), np.zeros((0, 4, 4, 3), np.uint8)]
)
def test_other_shapes_and_types_are_refused(frames):
    for of in (motion.flow_magnitudes, motion.changed_shares, motion.differences):
        with pytest.raises(InputError, match=r"expected uint8 \[T, H, W, 3\]"):
            of(frames)


def test_numbers_that_are_none_are_refused():
    with pytest.raises(InputError, match="finite"):
        motion.is_dynamic([1.0, float("nan")], (64, 64))
    with pytest.raises(InputError, match="flow: found values that are not finite"):
        motion.fastest_flow(np.full((4, 5, 2), np.nan, np.float32))
    with pytest.raises(InputError, match="no mean can hold"):
        motion.mean([1.0, float("inf")])
    with pytest.raises(InputError, match="fps"):
        motion.sampling_step(float("nan"))
    with pytest.raises(InputError, match="interpolate"):
        motion.motion_smoothness(noise(3), lambda first, second: first[:2])
