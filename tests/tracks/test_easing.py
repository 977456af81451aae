import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.tracks.easing import ease, keyframed, progress

NAMES = ["linear", "ease-in", "ease-out", "ease-in-out", "hold"]
EASINGS = st.sampled_from(NAMES) | st.tuples(st.floats(0, 1), st.floats(-2, 3), st.floats(0, 1), st.floats(-2, 3))


@given(EASINGS)
def test_every_easing_goes_from_zero_to_one(easing):
    assert ease(np.array([-1.0, 0.0, 1.0, 2.0]), easing).tolist() == [0, 0, 1, 1]


@given(st.tuples(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)))
def test_control_points_within_the_unit_square_never_go_back(numbers):
    assert np.diff(ease(np.linspace(0, 1, 101), numbers)).min() >= -1e-9


def test_values_of_the_named_curves():
    # Reference values of CSS ease-in-out and friends, computed from the cubics in closed form at their middle.
    assert ease(np.array([0.5]), "ease-in-out")[0] == pytest.approx(0.5, abs=1e-9)
    assert ease(np.array([0.5]), "ease-in")[0] == pytest.approx(0.315357, abs=1e-5)
    assert ease(np.array([0.5]), "ease-out")[0] == pytest.approx(1 - 0.315357, abs=1e-5)
    assert ease(np.array([0.25, 0.75]), "ease-in-out") == pytest.approx([0.129162, 0.870838], abs=1e-5)
    assert ease(np.array([0.0, 0.999, 1.0]), "hold").tolist() == [0, 0, 1]
    np.testing.assert_allclose(ease(np.linspace(0, 1, 9), (0.3, 0.3, 0.7, 0.7)), np.linspace(0, 1, 9), atol=1e-9)


def test_progress_jumps_where_there_is_no_time():
    assert progress(np.array([3.0, 4.0, 5.0]), 4, 4).tolist() == [0, 1, 1]
    assert progress(np.array([0.0, 4.0, 5.0, 9.0]), 4, 6).tolist() == [0, 0, 0.5, 1]
    with np.errstate(all="raise"):
        assert progress(np.array([0.0, 1.0]), 0, 5e-324).tolist() == [1, 1]
        assert keyframed(np.array([0.0, 8.0]), [0, 5e-324], [1, 2], ["linear", "linear"]).tolist() == [1, 2]


def test_keyframes_are_met_exactly_and_hold_outside():
    times = np.array([0.0, 2.0, 3.0, 4.0, 6.0, 7.0])
    assert keyframed(times, [2, 4, 6], [10, 20, -4], ["linear", "hold", "linear"]).tolist() == [10, 10, 15, 20, -4, -4]
    assert keyframed(np.array([5.0]), [2, 4, 6], [10, 20, -4], ["linear", "hold", "linear"]).tolist() == [20]
    assert keyframed(times, [3], [7], ["linear"]).tolist() == [7] * 6
