import numpy as np
import pytest

from motionloom.draw import draw_flow
from motionloom.media import Clip, read_image
from motionloom.tracks.motion import Motion


@pytest.fixture
def tracks(folder):
    return Motion.load(folder / "slide.motion.json").compile()


def test_flow_on_white_is_what_tora_is_given(folder, call, tracks):
    done = call("tracks", "draw", "slide.motion.json", "--flow", "-o", "flow.webp")
    assert done.code == 0, done.err
    # Animated pictures are compressed; what is white stays nearly so.
    apart = np.abs(Clip.load("flow.webp").frames.astype(int) - draw_flow(tracks).frames)
    assert apart.mean() < 8


def test_flow_over_a_photograph_as_clip_and_as_still(folder, call, tracks):
    for out in ("moving.webp", "still.png"):
        done = call("tracks", "draw", "slide.motion.json", "--flow", "--image", "photo.png", "-o", out)
        assert done.code == 0, done.err
    assert Clip.load("moving.webp").num_frames == 9
    still = read_image("still.png")
    assert still.shape == (32, 48, 3)
    # The square slides to the right: red.
    assert still[15, 14].tolist() == pytest.approx([255, 0, 0], abs=60)
    done = call("tracks", "draw", "slide.motion.json", "--flow", "-o", "white.png")
    assert done.code == 0, done.err
    assert read_image("white.png")[15, 14, 0] > 250


def test_paths_need_a_picture(folder, call):
    done = call("tracks", "draw", "slide.motion.json", "-o", "still.png")
    assert done.code == 2
    assert "--image: found none" in done.err
    assert "--flow draws without" in done.err
