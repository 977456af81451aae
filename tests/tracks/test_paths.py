import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.tracks.paths import flatten, legs, travel

POINT = st.tuples(st.integers(0, 500), st.integers(0, 500))
KINDS = ["polyline", "catmull-rom", "bezier"]


def go(points, times, frames=None, kind="polyline", easing="linear", start=0.0, end=10.0, **handles):
    curve = flatten(np.array(points, float), kind, **handles)
    return travel(curve, np.asarray(times, float), frames or [None] * len(points), start, end, easing)


@given(st.lists(POINT, min_size=1, max_size=8), st.sampled_from(KINDS))
def test_every_curve_passes_its_control_points(points, kind):
    curve = flatten(np.array(points, float), kind)
    np.testing.assert_allclose(curve.at(curve.knots), np.array(points, float), atol=1e-6)
    assert np.isfinite(curve.vertices).all()


@given(st.lists(POINT, min_size=2, max_size=8, unique=True), st.sampled_from(KINDS))
def test_without_frames_the_speed_is_even(points, kind):
    curve = flatten(np.array(points, float), kind)
    at = travel(curve, np.arange(11.0), [None] * len(points), 0, 10)
    np.testing.assert_allclose(at[0], points[0], atol=1e-6)
    np.testing.assert_allclose(at[-1], points[-1], atol=1e-6)
    # A chord is never longer than the arc, and the arcs are all the same.
    assert np.linalg.norm(np.diff(at, axis=0), axis=1).max() <= curve.length / 10 + 1e-6


def test_even_speed_round_a_corner():
    at = go([[0, 0], [30, 0], [30, 70]], np.arange(11))
    np.testing.assert_allclose(at[:4], [[0, 0], [10, 0], [20, 0], [30, 0]], atol=1e-9)
    np.testing.assert_allclose(at[4:], [[30, 10 * k] for k in range(1, 8)], atol=1e-9)


def test_frames_are_kept_and_points_between_share_the_way():
    points, frames = [[0, 0], [10, 0], [20, 0], [20, 40]], [2, None, 6, 10]
    at = go(points, [0, 2, 4, 6, 8, 10, 12], frames)
    np.testing.assert_allclose(at, [[0, 0], [0, 0], [10, 0], [20, 0], [20, 20], [20, 40], [20, 40]], atol=1e-9)


@given(st.sampled_from(KINDS), st.sampled_from(["linear", "ease-in", "ease-in-out", "hold"]))
def test_frames_are_kept_with_any_curve_and_easing(kind, easing):
    points, frames = [[0, 0], [50, 30], [20, 90], [200, 40]], [1, 4, 5.5, 9]
    at = go(points, frames, frames, kind, easing)
    np.testing.assert_allclose(at, points, atol=1e-6)


def test_easing_shapes_the_pace():
    at = go([[0, 0], [100, 0]], [0, 2.5, 5, 10], easing="ease-in-out")
    np.testing.assert_allclose(at[:, 0], [0, 12.9162, 50, 100], atol=1e-3)


def test_an_easing_that_overshoots_leaves_the_path_straight_on():
    at = go([[0, 0], [100, 0], [100, 100]], [1.0, 9.0], easing=(0.5, -0.5, 0.5, 1.5))
    assert at[0, 0] < 0
    assert at[0, 1] == 0
    assert at[1, 1] > 100
    assert at[1, 0] == pytest.approx(100)


def test_catmull_rom_of_points_on_a_line_is_the_line():
    curve = flatten(np.array([[0, 0], [10, 0], [90, 0], [100, 0]], float), "catmull-rom")
    assert np.abs(curve.vertices[:, 1]).max() == 0
    assert np.diff(curve.vertices[:, 0]).min() > 0
    assert curve.length == pytest.approx(100)


def test_catmull_rom_of_a_circle_stays_near_it():
    angles = np.linspace(0, 2 * np.pi, 17)
    curve = flatten(100 * np.stack([np.cos(angles), np.sin(angles)], axis=1), "catmull-rom")
    inner = curve.vertices[np.abs(curve.lengths - curve.length / 2) < curve.length / 4]
    np.testing.assert_allclose(np.linalg.norm(inner, axis=1), 100, atol=0.2)


def test_bezier_with_handles():
    # The quarter circle by handles of 0.5523 r.
    k = 0.5522847498
    curve = flatten(
        np.array([[100, 0], [0, 100]], float),
        "bezier",
        handles_in=np.array([[0, 0], [100 * k, 0]]),
        handles_out=np.array([[0, 100 * k], [0, 0]]),
    )
    np.testing.assert_allclose(np.linalg.norm(curve.vertices, axis=1), 100, atol=0.03)
    assert curve.length == pytest.approx(50 * np.pi, rel=1e-3)
    middle = travel(curve, np.array([5.0]), [None, None], 0, 10)
    np.testing.assert_allclose(middle, [[70.7107, 70.7107]], atol=0.05)


def test_one_point_and_repeated_points_stand_still():
    np.testing.assert_array_equal(go([[3, 4]], [0, 5, 20]), [[3, 4]] * 3)
    np.testing.assert_array_equal(go([[3, 4], [3, 4]], [0, 5, 20], kind="catmull-rom"), [[3, 4]] * 3)
    # A pause: the same place at two times.
    at = go([[0, 0], [10, 0], [10, 0], [20, 0]], [0, 2, 3, 4, 6], [0, 2, 4, 6], kind="catmull-rom")
    np.testing.assert_allclose(at[:, 0], [0, 10, 10, 10, 20], atol=1e-6)


def test_legs_need_increasing_frames():
    assert legs([None, None, None], 2, 9) == ([0, 2], [2, 9])
    assert legs([None, 5, None, None], 2, 9) == ([0, 1, 3], [2, 5, 9])
    assert legs([None], 2, 9) == ([0], [2])
    with pytest.raises(InputError, match=r"points\[1\]: found frame 4 after frame 4"):
        legs([4, 4], 0, 9)
    with pytest.raises(InputError, match=r"points\[2\]: found frame 3 after frame 5"):
        legs([0, 5, 3], 0, 9)
    with pytest.raises(InputError, match=r"points\[2\]: found frame 9 after frame 12"):
        legs([0, 12, None], 0, 9)


def test_wrong_points_are_refused():
    with pytest.raises(InputError, match="points: found shape"):
        flatten(np.zeros((0, 2)))
