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


def scaled(last: tuple[float, float], frames: int = 5) -> Tracks:
    """Nine tracks that go away from the middle of 32 x 48 pixels until they are ``last`` times as far from it, across
    and down."""
    start = np.stack(np.meshgrid([12.0, 24.0, 36.0], [8.0, 16.0, 24.0]), -1).reshape(-1, 2)
    middle = np.array([24.0, 16.0])
    factor = 1 + np.linspace(0, 1, frames)[:, None, None] * (np.array(last) - 1)
    points = middle + factor * (start - middle)
    return Tracks(points, np.ones(points.shape[:2], bool), (32, 48), 8.0)


@pytest.mark.parametrize("last", [(3.0, 3.0), (2.0, 2.0), (2.9, 1.0)])
def test_what_grows_leaves_no_cell_without_a_track(last: tuple[float, float]):
    found = dense_tracks([Layer(scaled(last), None, False, "background", 0)], 4.0)
    y, x = np.mgrid[2:32:4, 2:48:4]
    cells = np.stack([x.ravel(), y.ravel()], -1)
    for frame in range(5):
        seen = found.points[frame, found.visible[frame]]
        nearest = np.linalg.norm(cells[:, None] - seen, axis=-1).min(1)
        assert nearest.max() < 4.3  # where it has grown by 1.5 and not more, half a diagonal of 6 pixels
    assert found.num_tracks > len(cells)
    # Those of the grid come first; the others are seen when it is large, and do not crowd before.
    np.testing.assert_allclose(found.points[0, : len(cells)], cells)
    assert not found.visible[1, len(cells) :].any()
    assert found.visible[-1, len(cells) :].any()


@pytest.mark.parametrize("last", [(1.0, 1.0), (0.4, 0.4), (1.4, 1.4)])
def test_what_rests_shrinks_or_hardly_grows_needs_no_more(last: tuple[float, float]):
    found = dense_tracks([Layer(scaled(last), None, False, "background", 0)], 4.0)
    assert found.num_tracks == 8 * 12


def test_layers_that_part_are_not_bridged():
    """Half of the picture goes to the right: between both halves nothing of either is to be seen, whether they are
    layers or not."""
    region = np.zeros((32, 48), bool)
    region[:, 24:] = True
    still = Tracks(np.full((5, 1, 2), 8.0), np.ones((5, 1), bool), (32, 48), 8.0)
    goes = np.repeat(np.array([[[30.0, 16.0]]]), 5, 0)
    goes[:, 0, 0] += np.arange(5) * 4
    moving = Tracks(goes, np.ones((5, 1), bool), (32, 48), 8.0)
    layers = [Layer(still, None, False, "background", 0), Layer(moving, region, True, "half", 1)]
    assert dense_tracks(layers, 4.0).num_tracks == 8 * 12
    both = Tracks(np.concatenate([still.points, goes], 1), np.ones((5, 2), bool), (32, 48), 8.0)
    assert dense_tracks([Layer(both, None, False, "background", 0)], 4.0).num_tracks == 8 * 12


def test_a_region_that_grows_is_filled_alone():
    square = moving_square(dx=0)
    middle = square.tracks.points.mean(1, keepdims=True)
    factor = np.linspace(1, 2.5, 5)[:, None, None]
    grown = Tracks(middle + factor * (square.tracks.points - middle), square.tracks.visible, SIZE, 8.0)
    layers = [Layer(still_corners(), None, False, "background", 0), Layer(grown, square.region, True, "square", 1)]
    found = dense_tracks(layers, 4.0)
    more = found.points[0, 8 * 12 :]
    assert len(more) == 3 * 4 * (3 * 3 - 1)
    assert ((more > [8, 8]) & (more < [20, 24])).all()


def test_cells_that_the_border_cuts_get_no_track_outside():
    tracks = scaled((3.0, 3.0))
    found = dense_tracks([Layer(tracks, None, False, "background", 0)], 7.0)
    assert (found.points[0] >= 0).all()
    assert (found.points[0] < [48, 32]).all()
