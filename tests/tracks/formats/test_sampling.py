"""Key points to frames."""

import numpy as np
import pytest

from motionloom.tracks.formats.sampling import bezier, by_index, by_length, cardinal_handles

POINTS = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 30.0]])


def test_by_index_keeps_key_points_and_ends():
    np.testing.assert_allclose(by_index(POINTS, 5), [[0, 0], [5, 0], [10, 0], [10, 15], [10, 30]])
    np.testing.assert_array_equal(by_index(POINTS, 3), POINTS)
    np.testing.assert_array_equal(by_index(POINTS, 1), POINTS[:1])
    stacked = np.stack([POINTS, POINTS * 2], axis=1)
    np.testing.assert_allclose(by_index(stacked, 7)[:, 1], by_index(POINTS, 7) * 2)


def test_by_length_has_constant_speed():
    np.testing.assert_allclose(by_length(POINTS, 5), [[0, 0], [10, 0], [10, 10], [10, 20], [10, 30]])
    np.testing.assert_array_equal(by_length(POINTS[:1], 3), [[0, 0]] * 3)
    np.testing.assert_array_equal(by_length(np.zeros((4, 2)), 3), [[0, 0]] * 3)


def test_bezier_passes_key_points_every_steps():
    before, after = cardinal_handles(POINTS)
    curve = bezier(POINTS, before, after, steps=8)
    assert len(curve) == 17
    np.testing.assert_allclose(curve[[0, 8, 16]], POINTS, atol=1e-12)


def test_full_tension_is_straight():
    curve = bezier(POINTS, *cardinal_handles(POINTS, 1.0), steps=4)
    np.testing.assert_allclose(curve[:5, 1], 0, atol=1e-12)
    np.testing.assert_allclose(curve[4:, 0], 10, atol=1e-12)


def test_inner_handles_are_opposite_scaled_steps():
    points = np.array([[0.0, 0.0], [4.0, 2.0], [8.0, 0.0], [12.0, 4.0]])
    before, after = cardinal_handles(points, 0.5)
    np.testing.assert_allclose(after[1] - points[1], 0.25 * (points[2] - points[0]))
    np.testing.assert_allclose(points[2] - before[2], 0.25 * (points[3] - points[1]))
    assert cardinal_handles(points[:2])[0].tolist() == points[:2].tolist()
    assert after[0].tolist() == pytest.approx([(4 - 2 / 3 * 2) * 2 / 3, 2 * 2 / 3])
