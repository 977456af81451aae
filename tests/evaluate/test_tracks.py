from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file

from motionloom.errors import InputError
from motionloom.evaluate import tracks as metrics
from motionloom.tracks.tracks import Tracks


@pytest.fixture(scope="module")
def golden():
    tensors = load_file(Path(__file__).parents[1] / "golden" / "metrics" / "tracks.safetensors")
    arrays = {
        "measured": tensors["pred_tracks"].transpose(1, 0, 2),
        "wanted": tensors["gt_tracks"].transpose(1, 0, 2),
        "visible": tensors["gt_visible"].T.astype(bool),
        "measured_visible": tensors["pred_visible"].T.astype(bool),
    }
    return arrays, {name: float(value.ravel()[0]) for name, value in tensors.items() if value.size == 1}


def test_published_values(golden):
    arrays, expected = golden
    measured, wanted, visible = arrays["measured"], arrays["wanted"], arrays["visible"]
    found = {
        "epe_all": metrics.epe(measured, wanted, first=True),
        "epe_visible_all_frames": metrics.epe(measured, wanted, visible, first=True),
        "epe_visible_excl_first": metrics.epe(measured, wanted, visible),
        "objmc_draganything": metrics.objmc(measured, wanted),
        "trajerror_l1_mean_visible": metrics.trajectory_error(measured, wanted, visible),
        "trajerror_l1_sum_xy_visible": metrics.trajectory_error(measured, wanted, visible, summed=True),
    }
    tap = metrics.tap_vid(measured, arrays["measured_visible"], wanted, visible)
    found |= {f"tap_{name}": value for name, value in tap.items()}
    assert set(found) == set(expected)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-9), name


def test_values_by_hand():
    wanted = np.zeros((3, 2, 2))
    wanted[:, 0, 0] = [0, 10, 20]
    measured = wanted.copy()
    measured[2, 0] += [3, 4]
    measured[1, 1] += [0, 2]
    visible = np.array([[1, 1], [1, 1], [1, 0]], bool)
    assert metrics.epe(measured, wanted, visible) == pytest.approx((0 + 5 + 2) / 3)
    assert metrics.epe(measured, wanted) == pytest.approx(7 / 4)
    assert metrics.final_error(measured, wanted, visible) == pytest.approx((5 + 2) / 2)
    assert metrics.pck(measured, wanted, visible, threshold=5) == pytest.approx(2 / 3)
    assert metrics.velocity_error(measured, wanted, visible) == pytest.approx((0 + 5 + 2) / 3)


def test_nothing_visible_is_not_a_number():
    zeros, hidden = np.zeros((4, 3, 2)), np.zeros((4, 3), bool)
    assert metrics.epe(zeros, zeros, hidden) is None
    assert metrics.final_error(zeros, zeros, hidden) is None
    assert metrics.pck(zeros, zeros, hidden, threshold=1) is None
    assert metrics.velocity_error(zeros, zeros, hidden) is None
    assert metrics.displacement_correlation(zeros, zeros) is None
    assert metrics.tap_vid(zeros, hidden, zeros, hidden)["average_jaccard"] is None
    assert metrics.epe(np.zeros((1, 3, 2)), np.zeros((1, 3, 2))) is None


def test_score_on_another_canvas_and_with_lost_points():
    points = np.zeros((3, 2, 2))
    points[:, :, 0] = np.array([0.0, 64, 128])[:, None]
    wanted = Tracks(points, np.ones((3, 2), bool), (256, 512), 16.0)
    still = points / 2
    still[:, 1] = [5.0, 0.0]
    seen = np.ones((3, 2), bool)
    seen[1:, 1] = False
    score = metrics.score(Tracks(still, seen, (128, 256), 16.0), wanted)
    assert score["epe"] == pytest.approx((0 + 0 + 54 + 118) / 4)
    assert score["epe_256"] == pytest.approx(score["epe"] / 2)
    assert score["epe_pessimistic"] == pytest.approx(score["epe"])
    assert score["lost_fraction"] == pytest.approx(0.5)
    # TrajError counts the first frame, and lost points where they were seen last.
    assert score["trajectory_error_sum_xy"] == pytest.approx((10 + 54 + 118) / 6)
    assert score["trajectory_error_sum_xy_256"] == pytest.approx(score["trajectory_error_sum_xy"] / 2)
    larger = metrics.score(Tracks(still, seen, (128, 256), 16.0), wanted.resize((512, 1024)))
    assert larger["trajectory_error_sum_xy"] == pytest.approx(2 * score["trajectory_error_sum_xy"])
    assert larger["trajectory_error_sum_xy_256"] == pytest.approx(score["trajectory_error_sum_xy_256"])
    assert metrics.score(wanted, wanted)["displacement_correlation"] == pytest.approx(1.0)
    with pytest.raises(InputError, match="found 2 frames and 2 tracks, expected 3 and 2"):
        metrics.score(wanted.resample(2), wanted)


@settings(max_examples=30, deadline=None)
@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 1000), st.floats(0.1, 10))
def test_a_constant_offset_is_the_error(frames, count, seed, length):
    rng = np.random.default_rng(seed)
    wanted, visible = rng.normal(size=(frames, count, 2)), rng.random((frames, count)) > 0.3
    angle = rng.uniform(0, 2 * np.pi)
    measured = wanted + length * np.array([np.cos(angle), np.sin(angle)])
    error = metrics.epe(measured, wanted, visible)
    assert error is None or error == pytest.approx(length)
    velocity = metrics.velocity_error(measured, wanted, visible)
    assert velocity is None or velocity == pytest.approx(0, abs=1e-9)


def test_a_track_seen_on_the_first_frame_alone_has_no_final_error():
    wanted, measured = np.zeros((3, 2, 2)), np.zeros((3, 2, 2))
    measured[2, 0] = [3, 4]
    visible = np.array([[1, 1], [1, 0], [1, 0]], bool)
    assert metrics.final_error(measured, wanted, visible) == pytest.approx(5)  # not 2.5
    assert metrics.final_error(measured[:1], wanted[:1]) is None


def test_one_frame_has_no_score_rather_than_a_perfect_one():
    one = Tracks(np.full((1, 3, 2), 8.0), np.ones((1, 3), bool), (64, 64), 8.0)
    assert metrics.score(one, one) == dict.fromkeys(metrics.SCORES)
    two = one.resample(2)
    assert tuple(metrics.score(two, two)) == metrics.SCORES


def test_what_does_not_count_may_be_anything_and_what_counts_must_be_a_number():
    wanted, visible = np.zeros((3, 2, 2)), np.array([[1, 1], [1, 0], [1, 1]], bool)
    measured = wanted + np.array([3.0, 4.0])
    measured[1, 1] = np.nan
    assert metrics.epe(measured, wanted, visible) == pytest.approx(5)
    assert metrics.epe_over_time(measured, wanted, visible) == pytest.approx([5, 5, 5])
    assert metrics.tap_vid(measured, visible, wanted, visible)["average_pts_within_thresh"] == pytest.approx(2 / 5)
    hidden = wanted.copy()
    hidden[0, 1] = np.inf
    moving = np.random.default_rng(0).normal(size=(4, 2, 2))
    late = np.array([[1, 0], [1, 1], [1, 1], [1, 1]], bool)
    unknown = np.where(late[..., None], moving, np.nan)
    assert metrics.displacement_correlation(unknown, moving, late) == pytest.approx(1)
    for function in (metrics.epe, metrics.final_error, metrics.trajectory_error, metrics.velocity_error):
        with pytest.raises(InputError, match="measured: found a visible point that is not finite"):
            function(measured, wanted)
    with pytest.raises(InputError, match="not finite"):
        metrics.objmc(measured, wanted)
    with pytest.raises(InputError, match="wanted: found a visible point that is not finite"):
        metrics.pck(wanted, hidden, threshold=1)


def test_objmc_is_cut_to_the_shorter():
    wanted = np.zeros((5, 2, 2))
    measured = np.zeros((3, 2, 2))
    measured[2] = [0, 6]
    assert metrics.objmc(measured, wanted) == metrics.objmc(wanted, measured) == pytest.approx(2)


def test_shapes_that_disagree():
    with pytest.raises(InputError, match="measured: found shape"):
        metrics.epe(np.zeros((3, 2, 2)), np.zeros((3, 1, 2)))
    with pytest.raises(InputError, match="visible: found shape"):
        metrics.epe(np.zeros((3, 2, 2)), np.zeros((3, 2, 2)), np.ones((3, 1)))


def test_lost_points_count_as_what_is_worse():
    wanted = Tracks(np.array([[[0.0, 0]] * 2, [[20.0, 0]] * 2]), np.ones((2, 2), bool), (64, 64), 8.0)
    found = np.array([[[0.0, 0]] * 2, [[9.0, 0], [50.0, 0]]])  # behind, and far off
    score = metrics.score(Tracks(found, np.array([[True] * 2, [False] * 2]), (64, 64), 8.0), wanted)
    assert score["epe"] == pytest.approx((11 + 30) / 2)
    assert score["epe_pessimistic"] == pytest.approx((20 + 30) / 2)


def test_the_median_is_not_moved_by_a_point_that_is_lost():
    wanted = np.zeros((4, 3, 2))
    found = np.zeros((4, 3, 2))
    found[1:, :, 0] = [[1.0, 2, 100], [1, 2, 100], [1, 2, 100]]
    assert metrics.median_error(found, wanted) == pytest.approx(2)
    assert metrics.epe(found, wanted) == pytest.approx(103 / 3)
    assert metrics.median_error(found, wanted, np.zeros((4, 3), bool)) is None
