from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.train.drawn_tracks import STILL, boxes, few, spread, with_anchors

SIZE = (64, 96)
FRAMES = 9


def scene(turn: float = 0.0, grow: float = 1.0, shift: tuple[float, float] = (20.0, 5.0)):
    """A grid of tracks: those within 14 pixels of (40, 30) go along, turn and grow; all others rest."""
    y, x = np.mgrid[2:64:4, 2:96:4]
    start = np.stack([x.ravel(), y.ravel()], -1).astype(np.float32)
    thing = np.abs(start - [40, 30]).max(1) <= 14
    t = np.linspace(0, 1, FRAMES)
    rest = (start - [40, 30]) @ np.array([1, 1j])
    z = rest[None] * np.exp(1j * turn * t + np.log(grow) * t)[:, None]
    moved = np.stack([z.real, z.imag], -1) + [40, 30] + t[:, None, None] * np.array(shift)
    points = np.where(thing[None, :, None], moved, start[None]).astype(np.float32)
    return points, np.ones(points.shape[:2], bool), thing


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 400), st.integers(0, 1000))
def test_few_are_some_of_those_seen_at_the_start(count: int, seed: int):
    points, visible, _ = scene()
    visible[0, ::2] = False
    chosen, seen = few(points, visible, count, np.random.default_rng(seed))
    assert chosen.shape[1] == min(count, visible[0].sum())
    assert seen[0].all()
    assert len(np.unique(chosen[0], axis=0)) == chosen.shape[1]


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(0, 1000))
def test_anchors_rest_and_the_others_move(count: int, seed: int):
    points, visible, thing = scene()
    chosen, _ = with_anchors(points, visible, count, np.random.default_rng(seed))
    rests = np.abs(chosen - chosen[:1]).max(axis=(0, 2)) <= STILL
    assert 1 <= rests.sum() < count
    assert chosen.shape[1] - rests.sum() == min(count - rests.sum(), thing.sum())


def test_anchors_where_nothing_or_everything_rests():
    points, visible, thing = scene()
    rng = np.random.default_rng(0)
    assert with_anchors(points[:, thing], visible[:, thing], 5, rng)[0].shape[1] >= 1
    still, _ = with_anchors(points[:, ~thing], visible[:, ~thing], 5, rng)
    assert np.array_equal(still, np.broadcast_to(still[:1], still.shape))
    hidden = np.zeros_like(visible)
    assert with_anchors(points, hidden, 5, rng)[0].shape[1] == 1


def test_a_box_is_drawn_around_what_moves_and_goes_along():
    points, visible, thing = scene()
    found = 0
    for seed in range(12):
        moved, seen, taken = boxes(points, visible, SIZE, 1, 4.0, np.random.default_rng(seed))
        travel = moved[-1] - moved[0]
        assert np.allclose(travel, travel[:1], atol=1e-3)  # a box neither turns nor grows here
        if thing[taken].mean() > 0.9 and taken.sum() > 8:
            found += 1
            np.testing.assert_allclose(travel[0], [20, 5], atol=0.05)
            low, high = points[0, taken].min(0), points[0, taken].max(0)
            assert (moved[0] >= low - 0.01).all()
            assert (moved[0] <= high + 0.01).all()
            assert seen[0].all()
    assert found >= 6


def test_a_box_grows_with_its_thing():
    points, visible, thing = scene(grow=1.4, shift=(0.0, 0.0))
    only = np.flatnonzero(thing)
    moved, _, _ = boxes(points[:, only], visible[:, only], SIZE, 1, 4.0, np.random.default_rng(1))
    side = np.ptp(moved, axis=1)
    np.testing.assert_allclose(side[-1] / side[0], 1.4, rtol=0.02)


def test_a_box_is_hidden_with_most_of_its_thing_and_outside_the_picture():
    points, visible, thing = scene(shift=(80.0, 0.0))
    only = np.flatnonzero(thing)
    visible[4:6, only] = False
    moved, seen, _ = boxes(points[:, only], visible[:, only], SIZE, 1, 4.0, np.random.default_rng(0))
    assert not seen[4:6].any()
    outside = moved[..., 0] >= SIZE[1]
    assert outside.any()
    assert not seen[outside].any()


def test_several_boxes_do_not_share_a_thing():
    points, visible, _ = scene()
    _, _, taken = boxes(points, visible, SIZE, 3, 4.0, np.random.default_rng(2))
    alone = boxes(points, visible, SIZE, 1, 4.0, np.random.default_rng(2))[2]
    assert taken.sum() > alone.sum()
    assert taken[alone].all()
    nothing = boxes(points, np.zeros_like(visible), SIZE, 2, 4.0, np.random.default_rng(2))
    assert nothing[0].shape == (FRAMES, 0, 2)
    assert not nothing[2].any()


def test_spread_tracks_cover_the_picture():
    points, visible, _ = scene()
    moved, seen = spread(few(points, visible, 16, np.random.default_rng(0)), SIZE, 4)
    assert moved.shape == (FRAMES, 16 * 24, 2)
    assert seen[0].all()
    np.testing.assert_allclose(moved[0, 0], [2, 2])
