import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from motionloom.errors import InputError, MotionloomError
from motionloom.tracks.tracks import Tracks, timeline

SIZE = (48, 64)
COORDINATES = st.floats(-1000, 1000, width=32)


@st.composite
def any_tracks(draw, min_frames=1, max_frames=12, max_tracks=5):
    frames = draw(st.integers(min_frames, max_frames))
    count = draw(st.integers(0, max_tracks))
    points = draw(hnp.arrays(np.float32, (frames, count, 2), elements=COORDINATES))
    visible = draw(hnp.arrays(np.bool_, (frames, count)))
    return Tracks(points, visible, SIZE, draw(st.sampled_from([1.0, 12.5, 16.0, 24.0, 30.0])))


def line(frames=25, fps=24.0, speed=(48.0, -24.0)):
    """One point that moves at ``speed`` pixels per second from (10, 40)."""
    seconds = np.arange(frames) / fps
    points = np.array([10.0, 40.0]) + seconds[:, None] * np.array(speed)
    return Tracks(points[:, None], np.ones((frames, 1), bool), SIZE, fps)


# --------------------------------------------------------------------------------------------------------- validation
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"points": np.zeros((3, 2))}, "points: found shape (3, 2)"),
        ({"points": np.zeros((3, 1, 3))}, "points: found shape (3, 1, 3)"),
        ({"points": [["a"]]}, "points: found values that are not an array of numbers"),
        ({"visible": np.ones((3, 2), bool)}, "visible: found shape (3, 2), expected (3, 1)"),
        ({"visible": np.ones((3, 1), np.uint8)}, "visible: found dtype uint8, expected bool"),
        ({"points": np.zeros((0, 1, 2)), "visible": np.zeros((0, 1), bool)}, "no frame"),
        ({"points": [[[0, 0]], [[0, np.nan]], [[0, 0]]]}, "not finite at frame 1, track 0"),
        ({"points": [[[0, 0]], [[0, 0]], [[1e39, 0]]]}, "not finite at frame 2, track 0"),
        ({"size": (0, 64)}, "size: found (0, 64)"),
        ({"size": (48, 70_000)}, "size: found (48, 70000)"),
        ({"size": (48.5, 64)}, "size: found (48.5, 64)"),
        ({"size": (48, 64, 3)}, "size: found (48, 64, 3)"),
        ({"size": None}, "size: found None"),
        ({"fps": 0}, "fps: found 0"),
        ({"fps": float("inf")}, "fps: found inf"),
        ({"fps": "fast"}, "fps: found fast"),
    ],
)
def test_what_makes_no_sense_is_refused(change, words):
    fields = {"points": np.zeros((3, 1, 2)), "visible": np.ones((3, 1), bool), "size": SIZE, "fps": 24.0}
    with pytest.raises(InputError) as caught:
        Tracks(**{**fields, **change})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, MotionloomError)


def test_tracks_are_immutable_and_own_their_memory():
    points, visible = np.zeros((2, 1, 2), np.float32), np.ones((2, 1), bool)
    tracks = Tracks(points, visible, SIZE, 24)
    points[:] = 7
    visible[:] = False
    assert tracks.points.max() == 0
    assert tracks.visible.all()
    with pytest.raises(ValueError, match="read-only"):
        tracks.points[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        tracks.visible[0] = False
    with pytest.raises(AttributeError):
        tracks.fps = 3  # type: ignore[misc]


def test_facts():
    tracks = line(25)
    assert (tracks.num_frames, tracks.num_tracks, tracks.height, tracks.width) == (25, 1, 48, 64)
    assert tracks.duration == 1.0
    assert tracks.points.dtype == np.float32
    empty = Tracks.empty(5, SIZE, 16)
    assert (empty.num_frames, empty.num_tracks) == (5, 0)
    assert "0 tracks, 5 frames at 16 fps, 64x48" in repr(empty)
    edges = Tracks(np.array([[[0, 0], [63.9, 47.9], [64, 0], [0, 48], [-0.1, 0]]]), np.ones((1, 5), bool), SIZE, 1)
    assert edges.inside().tolist() == [[True, True, False, False, False]]


def test_equality_sees_every_field():
    tracks = line()
    assert tracks == line()
    assert tracks != line(fps=25.0)
    assert tracks != tracks.translate(1)
    assert tracks != tracks._replace(visible=~tracks.visible)
    assert tracks != tracks._replace(size=(48, 65))
    assert tracks != "tracks"


# --------------------------------------------------------------------------------------------------------------- time
@given(st.sampled_from([(24, 16), (16, 24), (30, 25), (24, 24), (12, 60)]), st.integers(2, 130))
def test_another_rate_keeps_the_speed(rates, frames):
    before, after = rates
    tracks = line(frames, float(before))
    found = tracks.resample(fps=after)
    assert found.fps == after
    assert found.duration <= tracks.duration + 1e-6
    assert found.duration > tracks.duration - 1 / after
    seconds = np.arange(found.num_frames) / after
    expected = np.array([10.0, 40.0]) + seconds[:, None] * np.array([48.0, -24.0])
    np.testing.assert_allclose(found.points[:, 0], expected, atol=1e-3)


def test_24_to_16_takes_every_one_and_a_half_frame():
    tracks = line(121).resample(fps=16)
    assert tracks.num_frames == 81
    np.testing.assert_allclose(tracks.points[2], line(121).points[3], atol=1e-4)
    np.testing.assert_allclose(tracks.points[80], line(121).points[120], atol=1e-3)


@given(any_tracks(), st.integers(1, 30))
def test_a_number_of_frames_keeps_the_ends_and_the_pixels_per_second(tracks, frames):
    found = tracks.resample(frames)
    assert found.num_frames == frames
    np.testing.assert_array_equal(found.points[0], tracks.points[0])
    np.testing.assert_array_equal(found.visible[0], tracks.visible[0])
    if frames > 1 and tracks.num_frames > 1:
        np.testing.assert_array_equal(found.points[-1], tracks.points[-1])
        assert found.duration == pytest.approx(tracks.duration)


@given(any_tracks())
def test_the_own_number_of_frames_changes_nothing(tracks):
    assert tracks.resample(tracks.num_frames) == tracks


def test_frames_and_rate_hold_the_end():
    found = line(3, 24.0).resample(6, fps=24)
    np.testing.assert_array_equal(found.points[2:], np.repeat(line(3, 24.0).points[2:], 4, axis=0))


def test_visibility_is_that_of_the_nearest_frame():
    visible = np.array([[True], [False], [True]])
    tracks = Tracks(np.array([[[0.0, 0]], [[99.0, 0]], [[10.0, 0]]]), visible, SIZE, 1)
    found = tracks.at([0, 0.4, 0.5, 0.6, 1, 1.4, 1.5, 1.6, 2])
    assert found.visible[:, 0].tolist() == [True, True, True, False, False, False, False, True, True]
    # Beside a hidden frame the visible neighbour alone says where the point is.
    assert found.points[[0, 1, 2, 7, 8], 0, 0].tolist() == [0, 0, 0, 10, 10]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "give num_frames, fps, or both"),
        ({"num_frames": 0}, "num_frames: found 0"),
        ({"num_frames": 200_000}, "num_frames: found 200000"),
        ({"num_frames": 2.5}, "num_frames: found 2.5"),
        ({"fps": -1}, "fps: found -1"),
        ({"fps": 1e9}, "fps: 1e+09 makes"),
    ],
)
def test_impossible_time_grids_are_refused(arguments, words):
    with pytest.raises(InputError, match=words.replace("+", r"\+")):
        line().resample(**arguments)


@given(
    st.integers(1, 50),
    st.sampled_from([1.0, 16.0, 24.0, 30.0]),
    st.none() | st.integers(1, 50),
    st.none() | st.sampled_from([1.0, 16.0, 25.0]),
)
def test_the_timeline_agrees_with_resampling_tracks(frames, fps, wanted_frames, wanted_fps):
    times, rate = timeline(frames, fps, wanted_frames, wanted_fps)
    ramp = Tracks(
        np.repeat(np.arange(float(frames))[:, None, None], 2, axis=2), np.ones((frames, 1), bool), (9, 9), fps
    )
    if wanted_frames or wanted_fps:
        ramp = ramp.resample(wanted_frames, fps=wanted_fps)
    assert rate == pytest.approx(ramp.fps)
    np.testing.assert_allclose(times, ramp.points[:, 0, 0], atol=1e-4)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((0, None), "num_frames: found 0"),
        ((None, 0.0), "fps: found 0"),
        ((None, 1e12), "makes"),
        ((None, 1e-320), "fps: found"),
    ],
)
def test_impossible_timelines_are_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        timeline(10, 10.0, *arguments)


def test_a_motion_slower_than_time_is_refused():
    """A rate so small that its duration is no number."""
    with pytest.raises(InputError, match="fps: 16 makes inf frames"):
        Tracks.empty(5, SIZE, 1e-320).resample(fps=16)
    with pytest.raises(InputError, match="frames: found shape"):
        line().at([0.0, np.nan])
    with pytest.raises(InputError, match="frames: found shape"):
        line().at([])


@given(any_tracks())
def test_reversing_twice_is_the_identity(tracks):
    assert tracks.reverse().reverse() == tracks
    np.testing.assert_array_equal(tracks.reverse().points[0], tracks.points[-1])


@given(any_tracks(), st.floats(0, 5))
def test_smoothing_keeps_what_stands_still(tracks, sigma):
    still = tracks._replace(points=np.repeat(tracks.points[:1], tracks.num_frames, axis=0))
    np.testing.assert_allclose(still.smooth(sigma).points, still.points, rtol=1e-5, atol=1e-4)


@given(any_tracks(), st.floats(0.1, 5))
def test_smoothing_leaves_hidden_frames_and_visibility_alone(tracks, sigma):
    found = tracks.smooth(sigma)
    np.testing.assert_array_equal(found.visible, tracks.visible)
    np.testing.assert_array_equal(found.points[~tracks.visible], tracks.points[~tracks.visible])


def test_smoothing_averages_and_ignores_hidden_values():
    points = np.zeros((9, 1, 2), np.float32)
    points[4] = 8.0
    seen = Tracks(points, np.ones((9, 1), bool), SIZE, 1)
    assert 0 < seen.smooth(1.0).points[4, 0, 0] < 8
    assert seen.smooth(1.0).points[3, 0, 0] == pytest.approx(
        8 * np.exp(-0.5) / np.exp(-0.5 * np.arange(-4, 5) ** 2).sum(), abs=0.01
    )
    visible = np.ones((9, 1), bool)
    visible[4] = False
    assert np.abs(Tracks(points, visible, SIZE, 1).smooth(1.0).points[[3, 5]]).max() == 0
    with pytest.raises(InputError, match="sigma: found -1"):
        seen.smooth(-1)


# -------------------------------------------------------------------------------------------------------------- space
@given(any_tracks(), st.integers(1, 500), st.integers(1, 500))
def test_resizing_there_and_back(tracks, height, width):
    there = tracks.resize((height, width))
    assert there.size == (height, width)
    back = there.resize(SIZE)
    np.testing.assert_allclose(back.points, tracks.points, rtol=1e-5, atol=1e-4)
    np.testing.assert_array_equal(back.visible, tracks.visible)


def test_resizing_scales_each_axis_and_keeps_the_corners():
    corners = Tracks(np.array([[[0, 0], [64, 48], [32, 24]]]), np.ones((1, 3), bool), SIZE, 1)
    assert corners.resize((96, 32)).points.tolist() == [[[0, 0], [32, 96], [16, 48]]]
    with pytest.raises(InputError, match="size"):
        corners.resize((0, 32))


def test_cropping_moves_the_origin_and_keeps_visibility():
    tracks = Tracks(np.array([[[10, 20], [0, 0]]]), np.array([[True, False]]), SIZE, 1)
    found = tracks.crop(4, 8, (16, 32))
    assert found.points.tolist() == [[[6, 12], [-4, -8]]]
    assert found.size == (16, 32)
    assert found.visible.tolist() == [[True, False]]
    assert found.inside().tolist() == [[True, False]]


@given(any_tracks(), st.floats(-50, 50, width=16), st.floats(-50, 50, width=16))
def test_a_pan_adds_its_velocity_each_frame(tracks, vx, vy):
    found = tracks.translate(1, 2, per_frame=(vx, vy))
    steps = np.arange(tracks.num_frames)[:, None, None]
    np.testing.assert_allclose(found.points, tracks.points + [1, 2] + steps * [vx, vy], rtol=1e-5, atol=1e-3)


# ---------------------------------------------------------------------------------------------------------- selection
@given(any_tracks(max_tracks=5), st.data())
def test_selecting_and_joining_are_inverse(tracks, data):
    cut = data.draw(st.integers(0, tracks.num_tracks))
    first, rest = tracks.select(range(cut)), tracks.select(range(cut, tracks.num_tracks))
    assert first.num_tracks == cut
    assert first.concat(rest) == tracks


def test_ways_to_select():
    tracks = Tracks(np.arange(12, dtype=float).reshape(2, 3, 2), np.array([[1, 0, 1], [1, 1, 1]], bool), SIZE, 1)
    assert tracks.select([2, 0]).points[0].tolist() == [[4, 5], [0, 1]]
    assert tracks.select([-1]).points[0].tolist() == [[4, 5]]
    assert tracks.select([]).num_tracks == 0
    assert tracks.select(lambda each: each.visible.all(axis=0)).points[0].tolist() == [[0, 1], [4, 5]]
    assert tracks.select(np.array([False, True, False])).points[0].tolist() == [[2, 3]]


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ([3], "found index 3, expected 0 to 2"),
        ([0, -4], "found index -4"),
        (np.ones(2, bool), "found a mask of shape"),
        ([0.5], "expected a list of indices"),
    ],
)
def test_wrong_selections_are_refused(chosen, words):
    tracks = Tracks(np.zeros((2, 3, 2)), np.ones((2, 3), bool), SIZE, 1)
    with pytest.raises(InputError, match=words):
        tracks.select(chosen)


@pytest.mark.parametrize(
    ("other", "name"),
    [
        (Tracks.empty(2, SIZE, 24), "num_frames differs, 25 and 2"),
        (Tracks.empty(25, SIZE, 16), "fps differs"),
        (Tracks.empty(25, (9, 9), 24), "size differs"),
    ],
)
def test_only_tracks_alike_are_joined(other, name):
    with pytest.raises(InputError, match=name):
        line().concat(other)


@settings(max_examples=5)
@given(any_tracks())
def test_joining_nothing_changes_nothing(tracks):
    assert tracks.concat() == tracks
    assert tracks.concat(Tracks.empty(tracks.num_frames, SIZE, tracks.fps)) == tracks


def test_densifying_fills_a_region_that_moves_with_the_tracks():
    tracks = Tracks(np.array([[[30.0, 20]], [[34, 18]]]), np.ones((2, 1), bool), SIZE, 1)
    region = np.zeros(SIZE, bool)
    region[16:24, 24:40] = True
    dense = tracks.densify(spacing=4, region=region)
    near = np.linalg.norm(dense.points[0] - [30, 20], axis=1) < 1.5
    assert dense.num_tracks >= 8
    assert near.any()
    np.testing.assert_allclose((dense.points[1] - dense.points[0])[near], [[4, -2]] * int(near.sum()), atol=0.5)
