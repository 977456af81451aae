from __future__ import annotations

import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.tracks.dense import dense_tracks
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks

SIZE = (32, 48)


def still_corners(frames: int = 5) -> Tracks:
    corners = np.array([[2, 2], [46, 2], [2, 30], [46, 30]], np.float32)
    return Tracks(np.repeat(corners[None], frames, 0), np.ones((frames, 4), bool), SIZE, 8.0)


def moving_square(frames: int = 5, dx: float = 5.0) -> Layer:
    region = np.zeros(SIZE, bool)
    region[8:24, 8:20] = True
    start = np.array([[9, 9], [19, 9], [9, 23], [19, 23]], np.float32)
    tracks = Tracks(np.repeat(start[None], frames, 0), np.ones((frames, 4), bool), SIZE, 8.0)
    return Layer(tracks.translate(per_frame=(dx, 0)), region, True, "square", 1)


def test_every_cell_moves_with_its_layer():
    layers = [Layer(still_corners(), None, False, "background", 0), moving_square()]
    dense = dense_tracks(layers, 4.0)
    assert dense.num_tracks == 8 * 12
    start = dense.points[0]
    assert np.array_equal(start[0], [2, 2])
    inside = (start[:, 0] > 8) & (start[:, 0] < 20) & (start[:, 1] > 8) & (start[:, 1] < 24)
    shift = dense.points[-1] - start
    np.testing.assert_allclose(shift[inside], np.tile([20, 0], (inside.sum(), 1)), atol=1e-3)
    np.testing.assert_allclose(shift[~inside], 0, atol=1e-3)


def test_what_the_front_layer_covers_is_hidden():
    dense = dense_tracks([Layer(still_corners(), None, False, "background", 0), moving_square()], 4.0)
    assert dense.visible[0].all()
    start = dense.points[0]
    # The square ends at x 28..40, y 8..24.
    under = (start[:, 0] > 28) & (start[:, 0] < 40) & (start[:, 1] > 8) & (start[:, 1] < 24)
    away = (start[:, 0] < 8) | (start[:, 1] < 6) | (start[:, 1] > 26)
    assert not dense.visible[-1, under].any()
    assert dense.visible[-1, away].all()


def test_points_that_leave_are_hidden():
    dense = dense_tracks([Layer(still_corners(), None, False, "background", 0), moving_square(dx=12)], 4.0)
    gone = dense.points[-1, :, 0] >= SIZE[1]
    assert gone.any()
    assert not dense.visible[-1, gone].any()


def test_region_without_tracks_stays_and_no_track_is_no_track():
    square = moving_square()
    empty = Tracks.empty(5, SIZE, 8.0)
    idle = Layer(empty, square.region, True, "idle", 1)
    dense = dense_tracks([Layer(still_corners(), None, False, "background", 0), idle], 4.0)
    np.testing.assert_allclose(dense.points[-1], dense.points[0], atol=1e-4)
    assert dense_tracks([Layer(empty, None, False, "background", 0)], 4.0).num_tracks == 0


def test_order_of_the_list_does_not_matter():
    layers = [Layer(still_corners(), None, False, "background", 0), moving_square()]
    assert dense_tracks(layers, 4.0) == dense_tracks(layers[::-1], 4.0)


def test_refuses_nonsense():
    with pytest.raises(InputError, match="layers"):
        dense_tracks([], 4.0)
    with pytest.raises(InputError, match="spacing"):
        dense_tracks([moving_square()], 0.0)
