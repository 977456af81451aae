from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.methods.tora.flow import Blob
from motionloom.train.tora.selection import draw_blob, select_tracks

SIZE = (480, 720)


def tracks(starts, speeds, frames=9):
    """Tracks to the right from starts [N, 2] at speeds [N] px per frame, all visible."""
    step = np.arange(frames)[:, None, None] * np.stack([speeds, np.zeros(len(speeds))], -1)
    return np.asarray(starts, float)[None] + step, np.ones((frames, len(starts)), bool)


@given(st.integers(0, 2**32), st.integers(0, 60), st.integers(1, 20))
def test_some_different_tracks_that_are_seen(seed, count, most):
    rng = np.random.default_rng(seed)
    points = rng.uniform(0, 480, (7, count, 2))
    visible = rng.random((7, count)) < 0.6
    chosen = select_tracks(points, visible, SIZE, rng, most=most)
    assert len(set(chosen.tolist())) == len(chosen) <= most
    assert visible[0, chosen].all()
    assert (visible[:, chosen].mean(0) >= 0.5).all()
    assert bool(len(chosen)) == bool((visible[0] & (visible.mean(0) >= 0.5)).any())


def test_any_number_is_as_likely():
    points, visible = tracks(np.random.default_rng(0).uniform(0, 480, (50, 2)), np.ones(50))
    rng = np.random.default_rng(1)
    counts = np.bincount([len(select_tracks(points, visible, SIZE, rng, most=4)) for _ in range(2000)], minlength=5)
    assert counts[0] == 0
    assert counts[1:] / 2000 == pytest.approx([0.25] * 4, abs=0.04)


def test_what_moves_is_chosen_more_often():
    points, visible = tracks([[100, 100], [600, 100], [100, 400], [600, 400]], np.array([0.0, 1.0, 2.0, 5.0]))
    rng = np.random.default_rng(0)
    first = [int(select_tracks(points, visible, SIZE, rng, most=1)[0]) for _ in range(2000)]
    expected = np.array([0, 1, 2, 5]) + 0.05 * 2.0
    assert np.bincount(first) / 2000 == pytest.approx(expected / expected.sum(), abs=0.035)


def test_travel_counts_while_it_is_seen():
    points, visible = tracks([[100, 100], [600, 400]], np.array([4.0, 4.0]))
    visible[4:, 0] = False  # three steps of eight are seen
    rng = np.random.default_rng(0)
    first = [int(select_tracks(points, visible, SIZE, rng, most=1, least_seen=0.4, still=0.0)[0]) for _ in range(2000)]
    assert np.mean(first) == pytest.approx(8 / 11, abs=0.035)


def test_tracks_are_spread_out():
    """Ten on one thing and one on another: in two draws the other thing is nearly always there."""
    starts = [[100 + i, 100] for i in range(10)] + [[600, 400]]
    points, visible = tracks(starts, np.full(11, 2.0))
    rng = np.random.default_rng(0)
    pairs = [chosen for _ in range(800) if len(chosen := select_tracks(points, visible, SIZE, rng, most=2)) == 2]
    assert np.mean([10 in pair.tolist() for pair in pairs]) > 0.85
    near = [select_tracks(points, visible, SIZE, rng, most=2, spacing=1e-3) for _ in range(800)]
    assert np.mean([10 in pair.tolist() for pair in near if len(pair) == 2]) < 0.35


def test_tracks_of_one_place_are_chosen_once():
    points, visible = tracks(np.full((5, 2), 50.0), np.ones(5))
    rng = np.random.default_rng(0)
    assert {len(select_tracks(points, visible, SIZE, rng)) for _ in range(50)} == {1}


def test_nothing_to_choose_from():
    rng = np.random.default_rng(0)
    points, visible = tracks([[5, 5], [9, 9]], np.ones(2))
    assert len(select_tracks(points, visible & False, SIZE, rng)) == 0
    assert len(select_tracks(points[:1], visible[:1], SIZE, rng)) >= 1  # one frame
    still, _ = tracks([[5, 5], [90, 90]], np.zeros(2))
    assert {len(select_tracks(still, visible, SIZE, rng)) for _ in range(50)} == {1, 2}
    with pytest.raises(InputError, match="points, visible: found shapes"):
        select_tracks(points, visible[:-1], SIZE, rng)
    with pytest.raises(InputError, match="most: found 0"):
        select_tracks(points, visible, SIZE, rng, most=0)


def test_blobs_vary_around_what_the_size_asks_for():
    rng = np.random.default_rng(0)
    assert draw_blob(rng, SIZE, ratio=1) == Blob(10.0, 49)
    assert draw_blob(rng, (240, 2000), ratio=1) == Blob(5.0, 24)
    sigmas = np.array([draw_blob(rng, (240, 360), ratio=2).sigma for _ in range(2000)])
    assert (sigmas.min(), sigmas.max()) == pytest.approx((2.5, 10.0), rel=0.02)
    assert np.median(sigmas) == pytest.approx(5.0, rel=0.06)
    with pytest.raises(InputError, match=r"ratio: found 0\.5"):
        draw_blob(rng, SIZE, ratio=0.5)
