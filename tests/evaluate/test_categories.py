import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.evaluate.categories import camera_similarity, categorise, similarities
from motionloom.tracks.tracks import Tracks

SIZES = [(64, 64), (128, 128), (480, 832), (720, 404)]


def moved(size, scale, angle, shift, *, frames=17, count=16, seed=0, reach=0.2, centre=None):
    """[T, N, 2]: a thing of ``reach`` short sides around ``centre``, under a similarity about it."""
    rng = np.random.default_rng(seed)
    short = min(size)
    middle = np.array(centre if centre is not None else [size[1] / 2, size[0] / 2])
    start = rng.uniform(-reach, reach, (count, 2)) * short
    a = np.asarray(scale) * np.exp(1j * np.radians(angle))
    offset = start @ np.array([1, 1j])
    places = a[:, None] * offset[None]
    return np.stack([places.real, places.imag], -1) + middle + np.asarray(shift)[:, None]


def tracks(points, size, visible=None):
    seen = np.ones(points.shape[:2], bool) if visible is None else visible
    return Tracks(points.astype(np.float32), seen, size, 16.0)


def motion(kind, size, frames, amount, heading):
    """Scale, angle and shift of a motion of ``amount`` (0.1 to 1) of one kind."""
    t = np.linspace(0, 1, frames)
    one, none = np.ones(frames), np.zeros((frames, 2))
    way = np.array([np.cos(heading), np.sin(heading)])
    across = np.array([-way[1], way[0]])
    length = amount * 0.6 * min(size)
    if kind == "translation":
        return one, 0 * t, np.outer(t * t * (3 - 2 * t), way) * length
    if kind == "rotation":
        return one, 100 * amount * t, none
    if kind == "zoom":
        return np.exp(np.sign(np.cos(heading)) * 0.9 * amount * t), 0 * t, none
    if kind == "curve":  # half a circle
        return one, 0 * t, (np.outer(1 - np.cos(np.pi * t), way) + np.outer(np.sin(np.pi * t), across)) * length / 2
    return one, 0 * t, np.outer(t, way) * 0.004 * min(size)


@settings(max_examples=60)
@given(
    st.sampled_from(["translation", "rotation", "zoom", "curve", "static"]),
    st.sampled_from(SIZES),
    st.integers(5, 81),
    st.floats(0.25, 1.0),
    st.floats(0, 6.28),
    st.integers(0, 10**6),
)
@example("zoom", (64, 64), 5, 1.0, 0.0, 408170)  # the points lie on one side of the middle
def test_each_kind_is_named_at_every_size_and_in_noise(kind, size, frames, amount, heading, seed):
    points = moved(size, *motion(kind, size, frames, amount, heading), frames=frames, seed=seed)
    noise = np.random.default_rng(seed).normal(0, 0.001 * np.hypot(*size), points.shape)
    noise[0] = 0
    assert categorise(tracks(points, size)) == kind
    assert categorise(tracks(points + noise, size)) == kind


@pytest.mark.parametrize("kind", ["translation", "rotation", "zoom", "curve"])
def test_a_quarter_of_wrong_and_hidden_tracks_does_not_change_the_kind(kind):
    size = (128, 128)
    points = moved(size, *motion(kind, size, 17, 0.7, 0.4), count=40)
    points[:, :10] += np.linspace(0, 1, 17)[:, None, None] * np.random.default_rng(1).normal(0, 60, (10, 2))
    seen = np.random.default_rng(2).random((17, 40)) < 0.8
    points[~seen] = 1e6
    assert categorise(tracks(points, size, seen)) == kind


def test_the_larger_part_names_a_mixed_motion():
    size, t = (128, 128), np.linspace(0, 1, 17)
    # 16 points within 0.2 short sides: root mean square radius about 21 px.
    shift = np.outer(t, [30.0, 0.0])
    assert categorise(tracks(moved(size, 1 + 0 * t, 20 * t, shift), size)) == "translation"  # 7 px around, 30 px along
    assert categorise(tracks(moved(size, 1 + 0 * t, 170 * t, shift), size)) == "rotation"  # 60 px around
    assert categorise(tracks(moved(size, 1 + 0.2 * t, 90 * t, 0 * shift), size)) == "rotation"
    assert categorise(tracks(moved(size, 1 + 1.5 * t, 20 * t, 0 * shift), size)) == "zoom"


def test_one_point():
    size, t = (128, 128), np.linspace(0, 1, 17)
    line, arc = np.outer(t, [40.0, 10.0]), 20 * np.stack([1 - np.cos(4 * t), np.sin(4 * t)], -1)
    back = np.outer(np.sin(np.pi * t), [40.0, 10.0])
    for path, kind in ((line, "translation"), (back, "translation"), (arc, "curve"), (0 * line, "static")):
        assert categorise(tracks(path[:, None] + 30, size)) == kind
    # 40 degrees of an arc still count as straight, 55 do not.
    for degrees, kind in ((40, "translation"), (55, "curve")):
        angle = np.radians(degrees) * t
        path = 100 / np.radians(degrees) * 0.4 * np.stack([np.sin(angle), 1 - np.cos(angle)], -1)
        assert categorise(tracks(path[:, None] + 30, size)) == kind


def test_several_things_take_the_kind_of_the_larger_motion():
    size, t = (128, 128), np.linspace(0, 1, 17)
    still = moved(size, 1 + 0 * t, 0 * t, np.zeros((17, 2)), centre=(30, 30), reach=0.1, count=8)
    right = moved(size, 1 + 0 * t, 0 * t, np.outer(t, [60, 0]), centre=(30, 100), reach=0.1, count=8)
    left = moved(size, 1 + 0 * t, 0 * t, np.outer(t, [-50, 0]), centre=(100, 60), reach=0.1, count=8)
    assert categorise(tracks(np.concatenate([still, right, left], 1), size)) == "translation"
    arc = moved(size, 1 + 0 * t, 0 * t, 40 * np.stack([1 - np.cos(3 * t), np.sin(3 * t)], -1), reach=0.1, count=8)
    assert categorise(tracks(np.concatenate([still, arc], 1), size)) == "curve"


def test_nothing_seen_and_no_track_is_static():
    empty = Tracks.empty(5, (64, 64), 16.0)
    assert categorise(empty) == "static"
    hidden = Tracks(np.ones((5, 2, 2), np.float32), np.zeros((5, 2), bool), (64, 64), 16.0)
    assert categorise(hidden) == "static"
    assert similarities(np.zeros((5, 2, 2)), np.zeros((5, 2), bool)) is None


def test_the_fit_finds_shift_turn_and_scale_beyond_half_a_turn():
    t = np.linspace(0, 1, 33)
    points = moved((200, 200), np.exp(0.5 * t), 400 * t, np.outer(t, [30, -12]), count=12)
    fit = similarities(points)
    assert fit is not None
    np.testing.assert_allclose(fit.scale, np.exp(0.5 * t), rtol=1e-9)
    np.testing.assert_allclose(fit.angle, 400 * t, atol=1e-7)
    turn = np.exp(0.5 * t + 1j * np.radians(400 * t))
    away = complex(*(np.array(fit.centre) - 100))
    wanted = (turn - 1) * away + t * (30 - 12j)
    np.testing.assert_allclose(fit.shift @ [1, 1j], wanted, atol=1e-9)
    assert fit.missed.max() < 1e-9


def test_the_fit_starts_at_the_first_frame_with_a_point_and_holds_where_there_is_none():
    t = np.arange(6.0)
    points = moved((64, 64), 1 + 0 * t, 0 * t, np.outer(t, [3, 0]), frames=6, count=5)
    seen = np.ones((6, 5), bool)
    seen[[0, 3]] = False
    fit = similarities(points, seen)
    assert fit is not None
    assert fit.known.tolist() == [False, True, True, False, True, True]
    np.testing.assert_allclose(fit.shift[:, 0], [0, 0, 3, 3, 9, 12], atol=1e-12)


def test_camera_similarity_of_known_differences():
    size, t = (128, 128), np.linspace(0, 1, 9)
    wanted = moved(size, 1 + 0.5 * t, 0 * t, np.outer(t, [10, 0]), reach=0.5, count=30)
    found = moved(size, (1 + 0.5 * t) * (1 + 0.1 * t), 8 * t, np.outer(t, [10, 4]), reach=0.5, count=30)
    error = camera_similarity(found, wanted)
    assert error is not None
    assert error.frames == 8
    assert error.scale == pytest.approx((0.1 * t[1:]).mean())
    assert error.rotation == pytest.approx((8 * t[1:]).mean())
    assert error.scale_curve[0] is None
    assert error.rotation_curve[-1] == pytest.approx(8)
    # At the middle of the points, which is not quite that of the picture.
    middle = complex(*(wanted[0].mean(0) - 64))
    turn = (1 + 0.5 * t) * ((1 + 0.1 * t) * np.exp(1j * np.radians(8 * t)) - 1)
    assert error.translation == pytest.approx(np.abs(turn * middle + 4j * t)[1:].mean())
    same = camera_similarity(wanted, wanted)
    assert same is not None
    assert (same.scale, same.rotation, same.translation) == pytest.approx((0, 0, 0), abs=1e-12)


def test_camera_similarity_without_anything_to_compare():
    one = np.arange(8.0).reshape(4, 1, 2)
    error = camera_similarity(one + 1, one)
    assert error is not None
    assert (error.scale, error.rotation) == (None, None)
    assert error.translation == pytest.approx(0)
    assert error.scale_curve == (None,) * 4
    assert camera_similarity(one[:1], one[:1]) is None
    assert camera_similarity(one, one, np.zeros((4, 1), bool)) is None
    first_only = np.zeros((4, 1), bool)
    first_only[0] = True
    assert camera_similarity(one, one, first_only) is None
    with pytest.raises(InputError, match="expected"):
        camera_similarity(one, one[:2])
    with pytest.raises(InputError, match="not finite"):
        camera_similarity(one * np.nan, one)
