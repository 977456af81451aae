import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.tracks.camera import (
    apply_homography,
    hidden_by_depth,
    intrinsics,
    plane_homography,
    pose,
    project,
    project_grid,
    rotation,
    unproject,
    zoomed,
)

SIZE = (480, 832)
K = intrinsics(SIZE, fov=50)
MIDDLE = np.array([416.0, 240.0])
GRID = np.stack(np.meshgrid(np.arange(32.0, 832, 96), np.arange(24.0, 480, 72)), axis=-1).reshape(-1, 2)
ANGLE = st.floats(-30, 30)
SHIFT = st.floats(-0.3, 0.3)


def see(w2c, depth=1.0, points=GRID, lens=K, **options):
    rest = pose(1)
    lens = np.concatenate([K[None], np.broadcast_to(lens, (len(w2c), 3, 3))])
    found, visible = project_grid(depth, lens, np.concatenate([rest, w2c]), points, size=SIZE, **options)
    return found[1:], visible[1:]


def test_intrinsics():
    assert K[0, 0] == K[1, 1] == pytest.approx(416 / np.tan(np.radians(25)))
    assert K[:2, 2].tolist() == [416, 240]
    assert intrinsics(SIZE, focal=700)[0, 0] == 700
    for wrong, words in [
        ({}, "either"),
        ({"focal": 1, "fov": 1}, "either"),
        ({"fov": 180}, "fov"),
        ({"focal": 0}, "focal"),
    ]:
        with pytest.raises(InputError, match=words):
            intrinsics(SIZE, **wrong)
    assert zoomed(K, [1, 2])[1].tolist() == [[2 * K[0, 0], 0, 416], [0, 2 * K[0, 0], 240], [0, 0, 1]]


@given(ANGLE, ANGLE, ANGLE, SHIFT, SHIFT, SHIFT, ANGLE)
def test_poses_are_rigid_and_rest_is_the_identity(pan, tilt, roll, dolly, truck, pedestal, orbit):
    w2c = pose(1, pan=pan, tilt=tilt, roll=roll, dolly=dolly, truck=truck, pedestal=pedestal, orbit=orbit)[0]
    np.testing.assert_allclose(w2c[:, :3] @ w2c[:, :3].T, np.eye(3), atol=1e-12)
    assert np.linalg.det(w2c[:, :3]) == pytest.approx(1)
    np.testing.assert_array_equal(pose(2)[1], np.eye(4)[:3])


def test_rotations_are_right_handed():
    for axis in range(3):
        a, b = np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        np.testing.assert_allclose(rotation(axis, 90)[0] @ a, b, atol=1e-12)


@given(ANGLE, ANGLE, ANGLE, SHIFT, SHIFT, ANGLE, st.floats(0.5, 20))
def test_unprojecting_inverts_projecting(pan, tilt, roll, truck, dolly, orbit, depth):
    w2c = pose(1, pan=pan, tilt=tilt, roll=roll, truck=truck, dolly=dolly, orbit=orbit)
    world = unproject(GRID, depth, K, w2c[0])
    points, z = project(world, K, w2c)
    np.testing.assert_allclose(points[0], GRID, atol=1e-6)
    np.testing.assert_allclose(z, depth)


def centre_goes(**move):
    """Where the middle of the picture goes, in pixels from it."""
    return see(pose(1, **move), points=MIDDLE[None])[0][0, 0] - MIDDLE


def test_signs_and_sizes_of_every_move():
    f = K[0, 0]
    np.testing.assert_allclose(centre_goes(pan=10), [-f * np.tan(np.radians(10)), 0], atol=1e-3)
    np.testing.assert_allclose(centre_goes(tilt=10), [0, f * np.tan(np.radians(10))], atol=1e-3)
    np.testing.assert_allclose(centre_goes(truck=0.1), [-0.1 * f, 0], atol=1e-3)
    np.testing.assert_allclose(centre_goes(pedestal=0.1), [0, 0.1 * f], atol=1e-3)
    np.testing.assert_allclose(centre_goes(orbit=20), [0, 0], atol=1e-3)
    np.testing.assert_allclose(centre_goes(dolly=0.3), [0, 0], atol=1e-3)
    around = MIDDLE + np.array([[100.0, 0], [0, 100]])
    # The camera turns clockwise, so the picture turns the other way.
    np.testing.assert_allclose(see(pose(1, roll=90), points=around)[0][0] - MIDDLE, [[0, -100], [100, 0]], atol=1e-3)
    # At half the distance everything is twice as large.
    np.testing.assert_allclose(see(pose(1, dolly=0.5), points=around)[0][0] - MIDDLE, [[200, 0], [0, 200]], atol=1e-3)
    np.testing.assert_allclose(
        see(pose(1), points=around, lens=zoomed(K, 1.5))[0][0] - MIDDLE, [[150, 0], [0, 150]], atol=1e-3
    )


def test_an_orbit_to_the_right_brings_the_right_side_of_a_plane_nearer():
    left, right = MIDDLE + np.array([[-100.0, 0], [100, 0]])
    (points,), _ = see(pose(1, orbit=20), points=np.stack([left, right]))
    assert points[1, 0] - MIDDLE[0] > MIDDLE[0] - points[0, 0]
    # Behind the target things go with the camera, before it against it.
    for depth, sign in [(2.0, 1), (0.5, -1)]:
        (moved,), _ = see(pose(1, orbit=5, orbit_depth=1.0), depth=depth, points=MIDDLE[None])
        assert np.sign(moved[0, 0] - MIDDLE[0]) == sign


@given(ANGLE, ANGLE, ANGLE, SHIFT, SHIFT, ANGLE, st.floats(0.5, 2), st.floats(0.8, 5))
def test_a_plane_moves_by_its_homography(pan, tilt, roll, truck, dolly, orbit, zoom, depth):
    w2c = np.concatenate([pose(1), pose(1, pan=pan, tilt=tilt, roll=roll, truck=truck, dolly=dolly, orbit=orbit)])
    lens = zoomed(K, [1, zoom])
    points, z = project(unproject(GRID, depth, K, w2c[0]), lens, w2c)
    mapped, front = apply_homography(plane_homography(K, lens, w2c, depth), GRID)
    np.testing.assert_array_equal(front, z / depth > 1e-3)
    np.testing.assert_allclose(mapped[front], points[front], rtol=1e-6, atol=1e-4)


def test_a_first_pose_that_is_not_the_identity_makes_no_difference():
    w2c = pose(5, pan=np.linspace(0, 8, 5), dolly=np.linspace(0, 0.2, 5))
    world = np.vstack([np.concatenate([rotation(1, 70)[0], [[3.0], [1], [-2]]], axis=1), [0, 0, 0, 1]])
    expected = project_grid(1.0, K, w2c, GRID, size=SIZE)
    found = project_grid(1.0, K, w2c @ world, GRID, size=SIZE)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-3)


def test_points_out_of_the_picture_or_behind_the_camera_are_not_visible():
    points, visible = see(pose(3, pan=[0, 20, 90]))
    assert visible[0].all()
    inside = (points >= 0).all(axis=2) & (points < [832, 480]).all(axis=2)
    np.testing.assert_array_equal(visible[1], inside[1])
    assert 0 < visible[1].sum() < len(GRID)
    assert not visible[2][GRID[:, 0] <= 416].any()
    assert np.isfinite(points).all()
    behind, seen = see(pose(1, dolly=2.0))
    assert not seen.any()
    np.testing.assert_array_equal(behind[0], GRID)


def test_the_picture_size_comes_from_the_lens():
    points, visible = project_grid(1.0, K, pose(2, truck=[0, 0.1]), np.array([[831.5, 479.5], [10, 10], [500, 5]]))
    assert visible.tolist() == [[True] * 3, [True, False, True]]
    assert points.dtype == np.float32


# ------------------------------------------------------------------------------------------------------------ depth map
def scene_with_a_post():
    """A wall at 4 and a post at 1 in the middle, 100 pixels wide."""
    depth = np.full(SIZE, 4.0)
    depth[:, 366:466] = 1.0
    return depth


def test_near_things_move_more():
    points, _ = see(pose(1, truck=0.1), depth=scene_with_a_post(), points=np.array([[416.0, 240], [200, 240]]))
    shift = points[0] - [[416, 240], [200, 240]]
    np.testing.assert_allclose(shift[:, 0], [-0.1 * K[0, 0], -0.025 * K[0, 0]], atol=1e-3)


def test_what_the_post_covers_is_hidden():
    f = K[0, 0]
    columns = np.arange(4.5, 832, 6)
    points = np.stack([columns, np.full(len(columns), 240.0)], axis=1)
    truck = 0.1
    found, visible = see(pose(1, truck=truck), depth=scene_with_a_post(), points=points)
    post = (columns > 366) & (columns < 466)
    at = found[0, :, 0]
    low, high = 366 - truck * f, 466 - truck * f
    inside = (at >= 0) & (at < 832)
    assert visible[0][post].all()
    hidden = ~post & (at > low) & (at < high)
    assert hidden.sum() > 8
    assert not visible[0][hidden].any()
    # Away from the outline by one cell nothing else is hidden.
    clear = ~post & inside & ((at < low - 6) | (at > high + 6))
    assert visible[0][clear].all()


def test_turning_and_zooming_hide_nothing_and_rest_sees_all():
    depth = scene_with_a_post()
    points, visible = see(pose(3, pan=[0, 3, 0], roll=[0, 5, 0]), depth=depth, lens=zoomed(K, [1, 1, 0.7]))
    inside = (points >= 0).all(axis=2) & (points < [832, 480]).all(axis=2)
    np.testing.assert_array_equal(visible, inside)


def test_a_slanted_floor_does_not_hide_itself():
    rows = np.linspace(8, 1, SIZE[0])[:, None]
    depth = np.repeat(rows, SIZE[1], axis=1)
    for move in ({"dolly": 0.4}, {"truck": 0.3}, {"pedestal": 0.2}, {"orbit": 4, "orbit_depth": 3.0}):
        points, visible = see(pose(1, **move), depth=depth)
        inside = (points >= 0).all(axis=2) & (points < [832, 480]).all(axis=2)
        assert visible[inside].mean() == 1.0, move


def test_the_tolerance_decides():
    depth = np.full(SIZE, 1.1)
    depth[:, 366:466] = 1.0
    points = np.stack([np.arange(476.5, 520, 4), np.full(11, 240.0)], axis=1)
    w2c = pose(1, truck=-0.3)
    assert not see(w2c, depth=depth, points=points, tolerance=0.02)[1].all()
    assert see(w2c, depth=depth, points=points, tolerance=0.2)[1].all()


def test_a_near_surface_stays_closed_when_the_camera_comes_close():
    depth = scene_with_a_post()
    w2c = np.concatenate([pose(1), pose(1, dolly=0.7)])
    rest, _ = project(unproject(np.array([[340.0, 240.0]]), 4.0, K, w2c[0]), K, w2c)
    # The wall beside the post is behind its blown-up side after the move; try many places of it.
    points = np.stack([np.arange(340.5, 365, 1.0), np.linspace(150, 330, 25)], axis=1)
    found, visible = see(w2c[1:], depth=depth, points=points)
    covered = np.abs(found[0, :, 0] - 416) < 50 / 0.3 - 12
    assert covered.sum() >= 20
    assert not visible[0][covered].any()
    assert np.isfinite(rest).all()


def test_hidden_by_depth_with_other_sizes_of_maps():
    for factor in (0.25, 2):
        size = (int(480 * factor), int(832 * factor))
        lens = intrinsics(size, fov=50)
        depth = np.full(size, 4.0)
        depth[:, int(366 * factor) : int(466 * factor)] = 1.0
        w2c = np.concatenate([pose(1), pose(1, truck=0.1)])
        points = np.array([[200.0, 240], [600, 240]]) * factor
        at, z = project(unproject(points, 4.0, lens, w2c[0]), lens, w2c)
        assert hidden_by_depth(depth, lens, w2c, at, z).tolist() == [[False, False], [False, False]]
        onto = at.copy()
        onto[1] = [416 * factor - 0.1 * lens[0, 0], 240 * factor]
        assert hidden_by_depth(depth, lens, w2c, onto, z)[1].all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w2c": np.zeros((3, 4))}, "w2c: found shape"),
        ({"K": np.zeros((2, 3, 3))}, "K: found shape"),
        ({"points": np.zeros((2, 3))}, "points: found shape"),
        ({"depth": np.zeros(3)}, "depth: found shape"),
        ({"depth": 0.0}, "depth: found 0"),
        ({"depth": np.full((4, 4), np.nan)}, "depth: found a value that is not finite"),
        ({"w2c": np.full((1, 3, 4), np.inf)}, "w2c: found a value that is not finite"),
    ],
)
def test_wrong_input_is_refused(change, words):
    with pytest.raises(InputError, match=words):
        project_grid(**{"depth": 1.0, "K": K, "w2c": pose(1), "points": GRID, **change})
