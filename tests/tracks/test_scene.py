import numpy as np
import pytest

from motionloom.errors import InputError
from motionloom.tracks.instructions import Circle, FreePath, Keyframe
from motionloom.tracks.scene import Scene


def test_the_span_of_an_instruction():
    scene = Scene((160, 320), np.zeros(1), 48.0)
    assert scene.span(FreePath(points=[(0, 0), (1, 1)])) == (0, 48)
    assert scene.span(FreePath(points=[(0, 0, 3), (1, 1), (2, 2, 9)])) == (3, 9)
    assert scene.span(FreePath(points=[(0, 0, 3), (1, 1)], end=7)) == (3, 7)
    assert scene.span(FreePath(points=[(0, 0)], start=60)) == (60, 60)


def test_a_number_is_reached_and_keyframes_are_absolute():
    scene = Scene((160, 320), np.array([0.0, 12, 24, 36, 48]), 48.0)
    circle = Circle(center=(0, 0), radius=10, radius_curve=30, start=12, end=36)
    assert scene.curve(30.0, circle, 10.0).tolist() == [10, 10, 20, 30, 30]
    keys = (Keyframe(frame=12, value=5), Keyframe(frame=36, value=-5))
    assert scene.curve(keys, circle, 10.0).tolist() == [5, 5, 0, -5, -5]
    with pytest.raises(InputError, match="expected them to increase"):
        scene.curve(keys[::-1], circle, 10.0)


def test_points_beyond_the_bound_are_refused():
    Scene((160, 320), np.zeros(1000), 48.0).afford(20_000)
    with pytest.raises(InputError, match="20001 tracks in 1000 frames"):
        Scene((160, 320), np.zeros(1000), 48.0).afford(20_001)
