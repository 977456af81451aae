import numpy as np
import pytest

from motionloom.methods.warp.field import background_field, scale_of, similarities, upsample, whole_field

SIZE = (96, 160)


def source_at(field, points):
    """Where the full-size field says that points [N, 2] come from (bilinear)."""
    fine = upsample(field, SIZE).astype(float)
    x, y = points[:, 0] - 0.5, points[:, 1] - 0.5
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    a, b = (x - x0)[:, None], (y - y0)[:, None]
    mixed = (1 - b) * ((1 - a) * fine[y0, x0] + a * fine[y0, x0 + 1])
    mixed += b * ((1 - a) * fine[y0 + 1, x0] + a * fine[y0 + 1, x0 + 1])
    return points + mixed


def moving(rest, shift, frames=9):
    return rest[None] + np.linspace(0, 1, frames)[:, None, None] * shift


def test_zoom_is_inverted_exactly():
    angle = np.arange(5) * 1.2566
    rest = np.array([80, 48]) + 40 * np.stack([np.cos(angle), np.sin(angle)], -1)
    paths = np.stack([np.array([80, 48]) + (rest - [80, 48]) * s for s in (1, 1.5)])
    field = background_field(paths, np.ones((2, 5), bool), SIZE)
    probe = np.array([[10.5, 10.5], [100.5, 70.5]])
    assert source_at(field[1], probe) == pytest.approx((probe - [80, 48]) / 1.5 + [80, 48], abs=1e-3)
    assert scale_of(field, SIZE) == pytest.approx([1.0, 1 / 1.5], abs=1e-4)


@pytest.mark.parametrize("shift", [(6.0, -4.0), (40.0, 12.0)])
def test_a_dragged_point_arrives_and_static_anchors_stay(shift):
    static = np.array([[40.0, 30], [40, 66], [140, 20], [140, 80]])
    rest = np.concatenate([[[60.0, 48.0]], static])
    paths = moving(rest, np.array([shift, *[(0.0, 0.0)] * 4]))
    field = background_field(paths, np.ones(paths.shape[:2], bool), SIZE)
    for t in range(len(paths)):
        assert np.abs(source_at(field[t], paths[t]) - rest).max() < 0.25
    assert np.abs(source_at(field[-1], np.array([[8.0, 8.0], [152.0, 90.0]])) - [[8, 8], [152, 90]]).max() < 1e-3


def test_dragging_far_never_folds():
    paths = moving(np.array([[50.0, 48.0]]), np.array([[70.0, 0.0]]), frames=5)
    field = background_field(paths, np.ones((5, 1), bool), SIZE)
    fine = upsample(field[-1], SIZE).astype(float)
    across = 1 + np.diff(fine[..., 0], axis=1)
    assert across.min() > 0  # the source moves on to the right as the target does: order is kept


def test_bending_field_meets_every_track():
    rng = np.random.default_rng(1)
    rest = rng.uniform([10, 10], [150, 86], (12, 2))
    paths = moving(rest, rng.normal(0, 4, (12, 2)))
    field = whole_field(paths, np.ones(paths.shape[:2], bool), SIZE)
    near = np.abs(source_at(field[-1], paths[-1]) - rest)
    assert np.median(near) < 0.25
    assert near.max() < 1.0


def test_similarities():
    rest = np.array([[0.0, 0], [10, 0], [0, 10]])
    z = rest[:, 0] + 1j * rest[:, 1]
    moved = z * 2 * np.exp(0.3j) + (5 - 1j)
    paths = np.stack([rest, np.stack([moved.real, moved.imag], -1)])
    turn, shift, error = similarities(paths)
    assert abs(turn[1] - 2 * np.exp(0.3j)) < 1e-12
    assert abs(shift[1] - (5 - 1j)) < 1e-12
    assert error < 1e-12
    turn, shift, _ = similarities(paths[:, :1])
    assert turn.tolist() == [1, 1]
    assert shift[1] == pytest.approx(5 - 1j)


def test_points_that_leave_the_frame_do_not_spoil_a_zoom():
    rest = np.stack(np.meshgrid(np.arange(8, 160, 16), np.arange(8, 96, 16)), -1).reshape(-1, 2).astype(float)
    paths = np.stack([np.array([80, 48]) + (rest - [80, 48]) * s for s in np.linspace(1, 2, 9)])
    seen = (paths >= 0).all(-1) & (paths < [160, 96]).all(-1)
    paths[~seen] += 3.0  # hidden positions mean nothing
    turn, shift, error = similarities(paths, seen)
    assert error < 1e-9
    assert turn == pytest.approx(np.linspace(1, 2, 9))
    assert shift[-1] == pytest.approx(-80 - 48j)
    field = whole_field(paths, seen, SIZE)
    probe = np.array([[10.5, 10.5], [100.5, 70.5]])
    assert source_at(field[-1], probe) == pytest.approx((probe - [80, 48]) / 2 + [80, 48], abs=1e-3)
