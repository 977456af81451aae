from __future__ import annotations

import numpy as np
import pytest

import motionloom as ml
from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks
from motionloom.tracks.words import describe, summarise

SIZE = (300, 400)  # a diagonal of 500


def tracks(*paths, frames=17, fps=16.0, visible=None):
    """Tracks from functions of the time 0..1 to (x, y)."""
    time = np.linspace(0, 1, frames)
    points = np.stack([np.stack([np.broadcast_to(v, time.shape) for v in path(time)], -1) for path in paths], 1)
    seen = np.ones(points.shape[:2], bool) if visible is None else visible
    return Tracks(points.astype(np.float32), seen, SIZE, fps)


def over_the_picture(move, count=6):
    """A grid of paths: move(time, x, y) -> (x, y), for places relative to the centre."""
    places = [(x, y) for x in np.linspace(-180, 180, count) for y in np.linspace(-130, 130, count)]
    return [lambda t, x=x, y=y: [c + v for c, v in zip((200, 150), move(t, x, y), strict=True)] for x, y in places]


def similarity(zoom=1.0, turn=0.0, shift=(0.0, 0.0)):
    def move(t, x, y):
        factor, angle = 1 + (zoom - 1) * t, np.radians(turn) * t
        c, s = factor * np.cos(angle), factor * np.sin(angle)
        return c * x - s * y + shift[0] * t, s * x + c * y + shift[1] * t

    return move


@pytest.mark.parametrize(
    ("path", "english", "chinese"),
    [
        (lambda t: (50 + 60 * t, 40), "The object in the upper left moves to the right.", "画面左上方的物体向右移动。"),
        (
            lambda t: (200, 150 - 10 * t),
            "The object in the middle moves slowly up.",
            "画面中央的物体缓慢向上移动。",
        ),
        (
            lambda t: (380 - 200 * t, 60 + 200 * t),
            "The object in the upper right moves quickly to the lower left.",
            "画面右上方的物体快速向左下移动。",
        ),
        (lambda t: (200, 280), "The object at the bottom stays still.", "画面下方的物体保持静止。"),
        (
            lambda t: (200 + 100 * np.sin(np.pi * t), 150),
            "The object in the middle moves quickly to the right and back again.",
            "画面中央的物体快速向右移动，随后回到原处。",
        ),
        (
            lambda t: (200 - 60 * np.cos(np.pi * t), 150 - 60 * np.sin(np.pi * t)),
            "The object in the middle moves in a curve to the right.",
            "画面中央的物体沿弧线向右移动。",
        ),
    ],
)
def test_one_thing(path, english, chinese):
    motion = tracks(path)
    assert describe(motion) == english
    assert describe(motion, "zh") == chinese


@pytest.mark.parametrize(
    ("move", "english", "chinese"),
    [
        (similarity(), "The camera stays still.", "镜头保持静止。"),
        (similarity(zoom=1.2), "The camera zooms in.", "镜头推近。"),
        (similarity(zoom=0.9), "The camera slowly zooms out.", "镜头缓慢拉远。"),
        # The picture goes left: the camera goes right.
        (similarity(shift=(-60, 0)), "The camera pans to the right.", "镜头向右移动。"),
        (similarity(shift=(0, 200)), "The camera quickly pans up.", "镜头快速向上移动。"),
        (
            similarity(zoom=1.2, turn=10),
            "The camera zooms in and rolls counterclockwise.",
            "镜头推近并逆时针旋转。",
        ),
    ],
)
def test_the_camera(move, english, chinese):
    motion = tracks(*over_the_picture(move))
    assert describe(motion) == english
    assert describe(motion, "zh") == chinese


def test_the_numbers_behind_the_words():
    summary = summarise(tracks(*over_the_picture(similarity(zoom=1.1, turn=-8, shift=(30, 40)))))
    assert summary.things == ()
    move = summary.picture
    assert move.zoom == pytest.approx(1.1, abs=1e-4)
    assert move.turn == pytest.approx(-8, abs=1e-2)
    assert move.shift == pytest.approx((0.06, 0.08), abs=1e-4)


def test_points_that_leave_the_picture_do_not_hide_the_camera():
    motion = tracks(*over_the_picture(similarity(zoom=2.0)))
    motion = Tracks(motion.points, motion.inside(), SIZE, 16.0)
    assert motion.visible[-1].mean() < 0.4
    assert describe(motion) == "The camera zooms in."
    assert summarise(motion).things == ()


def test_a_thing_before_a_moving_camera():
    thing = [lambda t, x=x: (80 + x + 120 * t, 60) for x in (0, 10, 20)]
    motion = tracks(*over_the_picture(similarity(zoom=1.2)), *thing)
    assert describe(motion) == "The camera zooms in. The object in the upper left moves to the right."


def test_neighbours_that_move_alike_are_one_thing():
    left = [lambda t, x=x: (60 + x, 150 - 100 * t) for x in (0, 15, 30)]
    right = [lambda t, x=x: (330 + x, 150 + 40 * t) for x in (0, 15, 30)]
    assert describe(tracks(*left, *right)) == ("The object on the left moves up. The object on the right moves down.")
    assert len(summarise(tracks(*left, *right)).things) == 2


def test_a_thing_that_turns_and_comes_closer():
    def turning(x, y):
        return lambda t: (
            200 + (1 + 0.5 * t) * (np.cos(t) * x - np.sin(t) * y),
            150 + (1 + 0.5 * t) * (np.sin(t) * x + np.cos(t) * y),
        )

    motion = tracks(*(turning(x, y) for x, y in ((-30, 0), (30, 0), (0, 30), (0, -30))))
    assert describe(motion) == "The object in the middle turns clockwise and comes closer."


def test_names_of_a_motion():
    def box(x):
        return {"x": x, "y": 210, "width": 50, "height": 50}

    motion = ml.Motion.parse(
        {
            "format": "motionloom.motion",
            "version": 1,
            "canvas": {"width": 400, "height": 300},
            "fps": 16,
            "num_frames": 17,
            "instructions": [
                {"kind": "path", "name": "left hand", "points": [[60, 150], [60, 60]]},
                {"kind": "path", "name": "Anna", "points": [[90, 150], [90, 60]]},
                {"kind": "box", "name": "ball", "source": box(300), "target": box(200)},
            ],
        }
    )
    assert describe(motion) == (
        "The ball in the lower right moves to the left. The left hand and Anna on the left move up."
    )
    assert describe(motion, "zh") == "画面右下方的ball向左移动。画面左侧的left hand、Anna向上移动。"


def test_canvas_and_rate_do_not_matter_but_the_speed_does():
    motion = tracks(*over_the_picture(similarity(zoom=1.2)), lambda t: (80 + 120 * t, 60))
    assert describe(motion.resize((600, 800)).resample(65)) == describe(motion)
    slow = Tracks(motion.points, motion.visible, SIZE, 1.0)
    assert "slowly" in describe(slow)


def test_nothing_to_say():
    assert describe(Tracks.empty(9, SIZE, 16.0)) == ""
    assert describe(tracks(lambda t: (200, 150), visible=np.zeros((17, 1), bool))) == ""
    assert describe(tracks(lambda t: (200, 150), frames=1)) == ""
    with pytest.raises(InputError, match="language: found 'de'"):
        describe(Tracks.empty(9, SIZE, 16.0), "de")
