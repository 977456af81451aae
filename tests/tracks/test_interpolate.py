import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.tracks.interpolate import MAX_EXACT, complete, densify, interpolate_motion
from motionloom.tracks.tracks import Tracks

SIZE = (120, 200)


def make_tracks(points, visible=None, size=SIZE):
    points = np.asarray(points, np.float32)
    visible = np.ones(points.shape[:2], bool) if visible is None else np.asarray(visible, bool)
    return Tracks(points, visible, size, 16.0)


def similarity(points, scale, angle, shift):
    z = points[..., 0] + 1j * points[..., 1]
    moved = z * scale * np.exp(1j * angle) + complex(*shift)
    return np.stack([moved.real, moved.imag], -1)


def random_anchors(seed, count):
    rng = np.random.default_rng(seed)
    return rng.uniform([0, 0], [SIZE[1], SIZE[0]], (count, 2))


QUERIES = np.stack(np.meshgrid(np.linspace(-20, 220, 9), np.linspace(-20, 140, 7)), -1).reshape(-1, 2)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10_000),
    st.integers(2, 12),
    st.floats(0.5, 2.0),
    st.floats(-3.0, 3.0),
    st.floats(-50, 50),
    st.floats(-50, 50),
)
def test_similarity_is_reproduced(seed, count, scale, angle, dx, dy):
    anchors = random_anchors(seed, count)
    tracks = make_tracks(np.stack([anchors, similarity(anchors, scale, angle, (dx, dy))]))
    points, visible = interpolate_motion(tracks, QUERIES, reach=np.inf)
    rest = tracks.points[0].astype(np.float64)
    spread = np.abs(rest - rest.mean(0)).max()
    if spread > 5:
        assert np.abs(points[0] - QUERIES).max() < 1e-4
        assert np.abs(points[1] - similarity(QUERIES, scale, angle, (dx, dy))).max() < 5e-3
    assert visible.all()


def test_affine_is_reproduced():
    anchors = random_anchors(3, 10)
    matrix = np.array([[1.1, 0.3], [-0.2, 0.8]])
    tracks = make_tracks(np.stack([anchors, anchors @ matrix.T + [3, -4]]))
    points, _ = interpolate_motion(tracks, QUERIES, rigidity="affine", reach=np.inf)
    assert np.abs(points[1] - (QUERIES @ matrix.T + [3, -4])).max() < 1e-2
    similar, _ = interpolate_motion(tracks, QUERIES, reach=np.inf)
    assert np.abs(similar[1] - points[1]).max() > 1.0


@pytest.mark.parametrize("rigidity", ["similarity", "affine", "translation"])
@pytest.mark.parametrize("count", [1, 2, 7, MAX_EXACT + 50])
def test_exact_at_the_anchors(rigidity, count):
    rng = np.random.default_rng(count)
    anchors = rng.uniform([0, 0], [SIZE[1], SIZE[0]], (count, 2)).astype(np.float32)
    paths = anchors[None] + np.arange(5)[:, None, None] * rng.normal(0, 2, (1, count, 2))
    tracks = make_tracks(paths)
    points, _ = interpolate_motion(tracks, tracks.points[0], rigidity=rigidity)
    assert np.abs(points - tracks.points).max() < 0.02


def test_no_tracks_is_identity():
    points, visible = interpolate_motion(Tracks.empty(4, SIZE, 8.0), QUERIES)
    assert points.shape == (4, len(QUERIES), 2)
    assert np.array_equal(points[3], QUERIES.astype(np.float32))
    assert visible.all()


def test_one_track_drags_its_neighbourhood_only():
    tracks = make_tracks([[[60, 60]], [[75, 60]]])
    reach = 0.25 * 120
    points, _ = interpolate_motion(tracks, np.array([[60, 60], [60, 60 + reach], [60 + 2 * reach, 60], [190, 10]]))
    moved = points[1] - points[0]
    assert moved[0] == pytest.approx([15, 0], abs=1e-4)
    assert moved[1] == pytest.approx([7.5, 0], abs=1e-3)
    assert np.abs(moved[2:]).max() < 1e-5


def test_static_anchors_hold_and_do_not_spread_motion():
    static = [[20, 20], [180, 20], [20, 100], [180, 100]]
    tracks = make_tracks([[[100, 60], *static], [[110, 50], *static]])
    points, _ = interpolate_motion(tracks, np.array([*static, [100, 60], [5, 5]]))
    assert np.abs(points[1, :4] - static).max() < 1e-4
    assert points[1, 4] == pytest.approx([110, 50], abs=1e-3)
    assert np.abs(points[1, 5] - [5, 5]).max() < 1e-5


def test_a_zoom_drawn_as_a_circle_acts_on_the_whole_picture():
    angle = np.arange(6) * np.pi / 3
    ring = np.stack([np.cos(angle), np.sin(angle)], -1)
    centre = np.array([100, 60])
    tracks = make_tracks([centre + 40 * ring, centre + 60 * ring])
    points, _ = interpolate_motion(tracks, np.array([[0.0, 0.0], [200.0, 120.0]]))
    assert np.abs(points[1] - [[-50, -30], [250, 150]]).max() < 1e-2


def test_tracks_covering_the_picture_have_no_falloff():
    grid = np.stack(np.meshgrid(np.arange(20, 200, 40), np.arange(20, 120, 40)), -1).reshape(-1, 2).astype(float)
    pan = np.stack([grid, grid + np.array([30, 0])])
    pan[1, 0] += [1, 5]  # not one similarity: only the coverage can say it
    points, _ = interpolate_motion(make_tracks(pan), np.array([[200.0, 120.0]]))
    assert np.abs(points[1, 0] - [230, 120]).max() < 1.0


def test_coincident_and_collinear_anchors():
    same = make_tracks([[[50, 50], [50, 50]], [[60, 50], [50, 60]]])
    points, _ = interpolate_motion(same, np.array([[50.0, 50.0]]))
    assert points[1, 0] == pytest.approx([55, 55], abs=1e-3)
    line = np.array([[x, 60.0] for x in range(20, 190, 20)])
    for rigidity in ("similarity", "affine"):
        points, _ = interpolate_motion(
            make_tracks([line, line + np.array([0, 9])]), np.array([[90.0, 20.0]]), rigidity=rigidity, reach=np.inf
        )
        assert points[1, 0] == pytest.approx([90, 29], abs=1e-2)


def test_two_close_tracks_that_part_do_not_throw_the_picture_about():
    tracks = make_tracks([[[100, 60], [101, 60]], [[90, 60], [111, 60]]])
    points, _ = interpolate_motion(tracks, QUERIES)
    assert np.hypot(*(points[1] - points[0]).T).max() <= 12.5 + 1e-3


def test_hidden_stretches_follow_the_neighbours():
    frames = np.arange(9)[:, None, None]
    rest = np.array([[40, 40], [60, 40], [50, 60], [52, 48]], float)
    paths = rest[None] + frames * np.array([3.0, 1.0])
    visible = np.ones((9, 4), bool)
    visible[5:, 3] = False
    junk = paths.copy()
    junk[5:, 3] = 0
    full, _ = complete(make_tracks(junk, visible))
    assert np.abs(full - paths).max() < 1e-3
    visible[:, 3] = [False, False, False, True, True, True, False, True, True]
    junk = np.where(visible[..., None], paths, 0)
    full, seen = complete(make_tracks(junk, visible))
    assert np.abs(full - paths).max() < 1e-3
    assert np.array_equal(seen, visible)


def test_a_track_that_vanishes_alone_holds_and_one_that_appears_late_waits():
    paths = np.zeros((6, 1, 2))
    paths[:, 0, 0] = 50 + 4 * np.arange(6)
    paths[:, 0, 1] = 60
    visible = np.array([[1], [1], [1], [0], [0], [0]], bool)
    points, seen = interpolate_motion(make_tracks(paths, visible), np.array([[50.0, 60.0], [190.0, 60.0]]))
    assert points[:, 0, 0] == pytest.approx([50, 54, 58, 58, 58, 58], abs=1e-3)
    assert seen[:, 0].tolist() == [True, True, True, False, False, False]
    assert seen[:, 1].all()
    late = interpolate_motion(make_tracks(paths, ~visible), np.array([[62.0, 60.0]]))[0]
    assert late[:, 0, 0] == pytest.approx([62, 62, 62, 62, 66, 70], abs=1e-3)


def test_many_tracks_take_the_nearest_and_stay_smooth():
    rng = np.random.default_rng(0)
    anchors = rng.uniform([0, 0], [SIZE[1], SIZE[0]], (600, 2))
    wave = np.stack([4 * np.sin(anchors[:, 1] / 30), 4 * np.cos(anchors[:, 0] / 40)], -1)
    tracks = make_tracks(np.stack([anchors, anchors + wave]))
    queries = np.stack([np.linspace(10, 190, 500), np.full(500, 61.3)], -1)
    points, _ = interpolate_motion(tracks, queries)
    moved = points[1] - queries
    expected = np.stack([4 * np.sin(queries[:, 1] / 30), 4 * np.cos(queries[:, 0] / 40)], -1)
    assert np.abs(moved - expected).max() < 0.6
    assert np.abs(np.diff(moved, axis=0)).max() < 0.25


def test_densify_grid_and_region():
    tracks = make_tracks([[[60, 60]], [[70, 60]]])
    dense = densify(tracks, spacing=8)
    assert dense.num_tracks == 1 + 25 * 15
    assert dense.points[0, 1].tolist() == [4.0, 4.0]
    assert np.array_equal(dense.points[:, :1], tracks.points)
    region = np.zeros(SIZE, bool)
    region[40:80, 150:190] = True  # beyond the reach, but named: it follows
    inside = densify(tracks, spacing=8, region=region, keep=False)
    assert inside.num_tracks == 25
    assert np.abs(inside.points[1] - inside.points[0] - [10, 0]).max() < 1e-4
    assert region[inside.points[0, :, 1].astype(int), inside.points[0, :, 0].astype(int)].all()
    assert densify(Tracks.empty(3, SIZE, 8.0)).num_tracks == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": 0.2}, "spacing"),
        ({"region": np.ones((3, 3), bool)}, r"region: found bool \(3, 3\), expected bool \(120, 200\)"),
        ({"rigidity": "rubber"}, "rigidity"),
        ({"reach": 0.0}, "reach"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(InputError, match=message):
        densify(make_tracks([[[60, 60]]]), **arguments)
