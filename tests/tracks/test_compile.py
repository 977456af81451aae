import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.tracks.motion import Motion

WIDTH, HEIGHT, FRAMES, FPS = 320, 160, 11, 10.0
SQUARE = [[40, 40], [80, 40], [80, 80], [40, 80]]


def motion(*instructions, folder=None, **fields):
    document = {"format": "motionloom.motion", "version": 1, "canvas": {"width": WIDTH, "height": HEIGHT}}
    document |= {"num_frames": FRAMES, "fps": FPS, "instructions": list(instructions), **fields}
    return Motion.parse(document, folder=folder)


def compiled(*instructions, **fields):
    return motion(*instructions, **fields).compile()


def path(points=((10, 20), (110, 20)), **fields):
    return {"kind": "path", "points": [list(point) for point in points], **fields}


# --------------------------------------------------------------------------------------------------------------- time
def test_a_path_is_travelled_from_the_first_to_the_last_frame():
    tracks = compiled(path())
    assert (tracks.size, tracks.fps, tracks.num_frames) == ((HEIGHT, WIDTH), FPS, FRAMES)
    np.testing.assert_allclose(tracks.points[:, 0, 0], 10 + 10 * np.arange(11), atol=1e-4)
    assert tracks.visible.all()


def test_start_end_and_vanish():
    tracks = compiled(path(start=2, end=7, before="vanish", after="vanish"))
    np.testing.assert_allclose(tracks.points[:, 0, 0], [10, 10, 10, 30, 50, 70, 90, 110, 110, 110, 110], atol=1e-4)
    assert tracks.visible[:, 0].tolist() == [False] * 2 + [True] * 6 + [False] * 3


def test_points_with_frames_say_when_a_path_begins_and_ends():
    tracks = compiled(path([(10, 20, 2), (50, 20, 4), (60, 20, 9)], before="vanish", after="vanish", curve="polyline"))
    np.testing.assert_allclose(tracks.points[[0, 2, 3, 4, 9, 10], 0, 0], [10, 10, 30, 50, 60, 60], atol=1e-4)
    assert tracks.visible[:, 0].tolist() == [False] * 2 + [True] * 8 + [False]


@given(st.integers(1, 40))
def test_more_or_fewer_frames_stretch_the_motion(frames):
    tracks = motion(path(easing="ease-in-out")).compile(num_frames=frames)
    whole = motion(path(easing="ease-in-out")).compile(num_frames=10 * (frames - 1) + 1)
    assert tracks.num_frames == frames
    np.testing.assert_allclose(tracks.points, whole.points[::10], atol=1e-3)
    if frames > 1:
        assert tracks.duration == pytest.approx(1.0)


def test_another_rate_keeps_the_speed_and_both_hold_the_end():
    tracks = motion(path()).compile(fps=4)
    assert (tracks.num_frames, tracks.fps) == (5, 4)
    np.testing.assert_allclose(tracks.points[:, 0, 0], [10, 35, 60, 85, 110], atol=1e-4)
    held = motion(path()).compile(num_frames=8, fps=4)
    np.testing.assert_allclose(held.points[:, 0, 0], [10, 35, 60, 85, 110, 110, 110, 110], atol=1e-4)


# -------------------------------------------------------------------------------------------------------------- space
def test_each_axis_of_the_canvas_is_scaled():
    tracks = motion(path([(10, 20), (110, 120)])).compile(size=(80, 640))
    np.testing.assert_allclose(tracks.points[[0, -1], 0], [[20, 10], [220, 60]], atol=1e-4)
    assert tracks.size == (80, 640)
    with pytest.raises(InputError, match="size: found"):
        motion().compile(size=(0, 3))


def test_no_instruction_makes_no_track():
    tracks = motion().compile(size=(40, 80), num_frames=5)
    assert (tracks.num_tracks, tracks.num_frames, tracks.size) == (0, 5, (40, 80))


def test_order_ids_and_hidden_instructions():
    found = motion(
        {"kind": "static", "id": "pin", "points": [[1, 1], [2, 2]]},
        path(hidden=True),
        path([(5, 5), (9, 9)], id="mine"),
        {"kind": "camera", "spacing": 80, "id": "view"},
        path([(7, 7), (9, 9)]),
    )
    assert [each.id for each in found.instructions] == ["pin", "path-1", "mine", "view", "path-2"]
    assert found.owners() == ["pin", "pin", "mine", *["view"] * 8, "path-2"]
    tracks = found.compile()
    assert tracks.num_tracks == 12
    np.testing.assert_allclose(tracks.points[0, [0, 1, 2, 11]], [[1, 1], [2, 2], [5, 5], [7, 7]])
    assert tracks == found.compile()


# ----------------------------------------------------------------------------------------------------- pan, occlusion
def test_constant_velocities_are_added_to_some_or_all():
    fields = {"pan": [{"velocity": [1, 0]}, {"velocity": [0, -2], "instructions": ["b"]}]}
    found = motion(path(id="a"), path(id="b"), **fields)
    tracks = found.compile()
    np.testing.assert_allclose(tracks.points[10], [[120, 20], [120, 0]], atol=1e-4)
    # Pixels per frame of the motion, whatever the frames asked for.
    np.testing.assert_allclose(found.compile(num_frames=3).points[2], [[120, 20], [120, 0]], atol=1e-4)


def test_areas_hide_what_lies_behind_them():
    mover = {"kind": "region", "id": "mover", "polygon": SQUARE, "spacing": 40, "path": {"points": [[0, 0], [100, 0]]}}
    pins = {"kind": "static", "points": [[125, 60], [250, 60], [45, 45]]}
    tracks = compiled(mover, pins)
    # In frame k the square spans x from 40 + 10 k to 80 + 10 k.
    assert tracks.visible[:, 1].tolist() == [True] * 5 + [False] * 4 + [True] * 2
    assert tracks.visible[:, 2].all()
    # On the square from the beginning: part of it, never hidden by it.
    assert tracks.visible[:, 3].all()
    assert compiled(mover, pins, occlusion=False).visible.all()


def test_later_areas_are_in_front():
    right = {"kind": "region", "polygon": SQUARE, "spacing": 40, "path": {"points": [[0, 0], [100, 0]]}}
    there = [[140, 40], [180, 40], [180, 80], [140, 80]]
    still = {"kind": "region", "polygon": there, "spacing": 40}
    assert compiled(right, still).visible[10].tolist() == [False, True]
    assert compiled(still, right).visible[10].tolist() == [False, True]


def test_an_area_that_has_gone_or_shrunk_to_nothing_hides_nothing():
    mover = {"kind": "region", "polygon": SQUARE, "spacing": 40, "path": {"points": [[0, 0], [100, 0]]}, "end": 5}
    pin = {"kind": "static", "points": [[165, 60]]}
    assert compiled(mover, pin).visible[:, 1].tolist() == [True] * 5 + [False] * 6
    assert compiled({**mover, "after": "vanish"}, pin).visible[6:, 1].all()
    assert compiled({**mover, "scale": 0}, pin).visible[10, 1]


# --------------------------------------------------------------------------------------------------------------- cost
def test_too_many_points_are_refused_before_they_are_made():
    huge = motion({"kind": "static", "grid": {"spacing": 1}}, num_frames=100_000)
    with pytest.raises(InputError, match="51200 tracks in 100000 frames"):
        huge.compile()
