from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.train.tora.flow_tracks import chain, draw_starts, grid, start_probabilities

GOLDEN = Path(__file__).parents[2] / "golden" / "tora"


@pytest.fixture(scope="module")
def case():
    return dict(np.load(GOLDEN / "train_sparse_a.npz"))


def turning(frames=13, size=(64, 80), angle=0.02):
    """Flow of a picture that turns about its centre, and back, and where points go exactly."""
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    z = x + 1j * y - (size[1] / 2 + 0.5j * size[0])
    there, back = ((np.exp(1j * way) - 1) * z for way in (angle, -angle))

    def flow(field):
        return np.repeat(np.stack([field.real, field.imag])[None], frames - 1, 0)

    return flow(there), flow(back), lambda start: start * np.exp(1j * angle * np.arange(frames))[:, None]


# ------------------------------------------------------------------ the published program
def test_published_start_probabilities(case):
    flow = case["dense_flow"][0]
    places = grid(flow.shape[1:], spacing=int(case["kp_lambda"][0]), offset=tuple(case["kp_offset_yx"].tolist()))
    assert np.abs(start_probabilities(flow, places) - case["kp_prob"]).max() <= 1e-9
    assert {tuple(place) for place in case["kp_points"].tolist()} <= {tuple(place) for place in places.tolist()}


def test_published_chaining(case):
    points, visible = chain(case["dense_flow"], case["start_points"], whole_pixels=True)
    assert np.array_equal(points, case["tracks"].transpose(1, 0, 2))
    assert visible.all()


# ------------------------------------------------------------------ starts
def test_a_grid_goes_row_by_row_from_its_offset():
    assert grid((5, 7), spacing=3, offset=(1, 2)).tolist() == [[2, 1], [5, 1], [2, 4], [5, 4]]
    assert grid((5, 7), spacing=32, offset=(5, 0)).shape == (0, 2)
    with pytest.raises(InputError, match="spacing, offset: found 0"):
        grid((5, 7), spacing=0)


@pytest.mark.slow
@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40), st.integers(1, 16))
def test_starts_are_different_places_that_move(seed, height, width, spacing):
    rng = np.random.default_rng(seed)
    flow = rng.normal(size=(2, height, width)) * (rng.random((height, width)) < 0.1)
    starts = draw_starts(flow, rng, spacing=spacing)
    assert len({tuple(place) for place in starts.tolist()}) == len(starts) <= 16
    assert ((starts >= 0) & (starts < (width, height))).all()
    offset = starts % spacing
    assert len(starts)
    assert (offset == offset[0]).all()
    speed = np.hypot(*flow[:, starts[:, 1], starts[:, 0]])
    assert (speed > 0).all() or (speed == 0).all()


def test_where_nothing_moves_every_place_may_start():
    rng = np.random.default_rng(0)
    counts = {len(draw_starts(np.zeros((2, 64, 96)), rng, spacing=8)) for _ in range(300)}
    assert counts == set(range(1, 17))
    few = np.zeros((2, 64, 64))
    few[0, :8] = 1.0  # one row of the grid, wherever it begins
    assert max(len(draw_starts(few, rng, spacing=8)) for _ in range(300)) <= 8


def test_starts_follow_the_speed():
    flow = np.zeros((2, 1, 2))
    flow[0, 0] = 3.0, 1.0
    rng = np.random.default_rng(0)
    first = [draw_starts(flow, rng, spacing=1, most=1)[0, 0] for _ in range(1000)]
    assert np.mean(first) == pytest.approx(0.25, abs=0.045)


# ------------------------------------------------------------------ chaining
def test_interpolated_flow_follows_a_turn_that_whole_pixels_lose():
    there, _, exact = turning()
    starts = np.array([[50.5, 30.5], [20.25, 12.75]])
    centre = np.array([40.0, 32.0])
    way = exact((starts - centre) @ [1, 1j])
    expected = np.stack([way.real, way.imag], -1) + centre
    points, visible = chain(there, starts)
    assert np.abs(points - expected).max() < 1e-4
    assert visible.all()
    still, _ = chain(there, starts, whole_pixels=True)
    assert np.array_equal(still[:, 0], np.repeat([[50.0, 30.0]], 13, 0))  # less than a pixel per frame


def test_points_are_hidden_once_they_have_left():
    flow = np.zeros((6, 2, 16, 16))
    flow[:, 0] = 4.0
    points, visible = chain(flow, [[5.5, 3.5], [-1.0, 3.0]])
    assert points[:, 0, 0] == pytest.approx(5.5 + 4 * np.arange(7))
    assert visible[:, 0].tolist() == [True] * 3 + [False] * 4
    assert not visible[:, 1].any()
    clamped, seen = chain(flow, [[5, 3]], whole_pixels=True)
    assert clamped[:, 0, 0].tolist() == [5, 9, 13, 15, 15, 15, 15]
    assert seen.all()


def test_points_are_hidden_from_where_the_way_back_leads_elsewhere():
    there, back, _ = turning()
    starts = [[50.5, 30.5]]
    assert chain(there, starts, backward=back)[1].all()
    back[5, :, :] += 3.0
    assert chain(there, starts, backward=back)[1][:, 0].tolist() == [True] * 6 + [False] * 7


def test_a_clip_of_one_frame_and_no_starts():
    points, visible = chain(np.zeros((0, 2, 8, 8)), [[1.5, 2.5]])
    assert points.tolist() == [[[1.5, 2.5]]]
    assert visible.all()
    assert chain(np.zeros((3, 2, 8, 8)), np.zeros((0, 2)))[0].shape == (4, 0, 2)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"flow": np.zeros((2, 8, 8))}, r"flow: found shape \(2, 8, 8\)"),
        ({"starts": np.zeros(2)}, r"starts: found shape \(2,\)"),
        ({"backward": np.zeros((1, 2, 8, 8))}, r"backward: found shape \(1, 2, 8, 8\)"),
        ({"backward": np.zeros((3, 2, 8, 8)), "whole_pixels": True}, "not with whole_pixels"),
    ],
)
def test_bad_input(arguments, match):
    with pytest.raises(InputError, match=match):
        chain(**{"flow": np.zeros((3, 2, 8, 8)), "starts": [[1.0, 1.0]], **arguments})


def test_bad_flow_of_starts():
    rng = np.random.default_rng(0)
    with pytest.raises(InputError, match=r"flow: found shape \(3, 2, 8, 8\), expected \[2, H, W\]"):
        draw_starts(np.zeros((3, 2, 8, 8)), rng)
    with pytest.raises(InputError, match="most: found 0"):
        draw_starts(np.zeros((2, 8, 8)), rng, most=0)
