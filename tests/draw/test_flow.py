from pathlib import Path

import numpy as np
import pytest

from motionloom.draw import draw_flow, draw_flow_paths, draw_tora
from motionloom.draw.flow import LEGEND
from motionloom.errors import InputError
from motionloom.media import Clip
from motionloom.methods.tora.flow import flow_colours, flow_video
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

GOLDEN = Path(__file__).parents[1] / "golden" / "tora"
SIZE = (120, 200)
GREY = np.full((*SIZE, 3), 100, np.uint8)


def make_tracks(points, size=SIZE):
    points = np.asarray(points, np.float32)
    return Tracks(points, np.ones(points.shape[:2], bool), size, 10.0)


def two_ways(frames=5):
    """One track to the right, 8 pixels a frame, and one down at a quarter of the speed."""
    t = np.arange(frames, dtype=np.float32)[:, None]
    return make_tracks(np.stack([[30.5, 60.5] + t * [8, 0], [150.5, 40.5] + t * [0, 2]], 1))


def test_on_white_it_is_what_tora_is_given():
    tracks = two_ways()
    clip = draw_flow(tracks)
    expected = flow_video(tracks.points, tracks.visible, SIZE).numpy().transpose(0, 2, 3, 1)
    assert np.array_equal(clip.frames, expected)
    assert clip.fps == 10.0
    assert clip.frames[1, 60, 30].tolist() == [255, 0, 0]
    assert clip.frames[1, 40, 150].tolist() == pytest.approx([255, 248, 191], abs=1)
    larger = draw_flow(tracks, size=(240, 400), num_frames=9)
    fitted = tracks.resize((240, 400)).resample(9)
    assert np.array_equal(larger.frames.transpose(0, 3, 1, 2), flow_video(fitted.points, fitted.visible, (240, 400)))
    scaled = draw_flow(tracks, scale_blob=True).frames
    assert (scaled[1] < 255).any(-1).sum() < (expected[1] < 255).any(-1).sum() / 8


def test_a_picture_shows_where_nothing_moves():
    tracks = two_ways()
    clip = draw_flow(tracks, GREY)
    assert np.array_equal(clip.frames[0], GREY)
    assert clip.frames[1, 60, 30].tolist() == [255, 0, 0]
    # A quarter of the speed: half opaque.
    assert clip.frames[1, 40, 150].tolist() == pytest.approx([177, 164, 50], abs=2)
    assert np.array_equal(clip.frames[1, 112:], GREY[112:])
    faint = draw_flow(tracks).frames[1].min(-1) == 254  # no more than rounding
    assert faint.sum() > 100
    assert (clip.frames[1][faint] == 100).all()
    assert np.array_equal(GREY, np.full((*SIZE, 3), 100))


def test_over_a_clip():
    below = Clip(np.random.default_rng(0).integers(0, 256, (7, *SIZE, 3), np.uint8), 5.0, {"seed": 3})
    clip = draw_flow(two_ways(), below)
    assert (clip.num_frames, clip.fps, clip.provenance) == (7, 5.0, {"drawn_on": {"seed": 3}})
    assert np.array_equal(clip.frames[:, 112:], below.frames[:, 112:])
    with pytest.raises(InputError, match="picture: has a size and frames of its own"):
        draw_flow(two_ways(), below, num_frames=5)


def test_a_motion_is_compiled():
    path = {"kind": "path", "points": [[30.5, 60.5], [62.5, 60.5]], "curve": "polyline"}
    motion = Motion.model_validate(
        {"canvas": {"width": 200, "height": 120}, "num_frames": 5, "fps": 10.0, "instructions": [path]}
    )
    clip = draw_flow(motion)
    assert np.array_equal(clip.frames, draw_flow(motion.compile()).frames)
    assert (clip.num_frames, clip.size) == (5, SIZE)
    assert clip.frames[1, 60, 30].tolist() == [255, 0, 0]
    assert (draw_flow(motion, size=(60, 100), num_frames=3).frames[1, 30, 15] == [255, 0, 0]).all()


def test_one_picture_keeps_the_fastest_of_every_place():
    tracks = two_ways()
    still = draw_flow_paths(GREY, tracks, legend=False)
    assert still[60, [30, 38, 46, 54]].tolist() == [[255, 0, 0]] * 4
    assert still[40, 150].tolist() == pytest.approx([177, 164, 50], abs=3)
    assert np.array_equal(still[112:], GREY[112:])
    none = Tracks.empty(3, SIZE, 8)
    assert np.array_equal(draw_flow_paths(GREY, none, legend=False), GREY)


def test_the_legend_shows_the_directions_in_its_corner():
    bare, clip = draw_flow(two_ways()), draw_flow(two_ways(), legend=True)
    changed = np.argwhere((clip.frames != bare.frames).any((0, 3)))
    assert changed.min(0).tolist() > [80, 160]
    assert np.ptp(changed, axis=0) == pytest.approx([LEGEND * 120] * 2, abs=2)
    row, column = (changed.min(0) + changed.max(0)) // 2
    away = round(LEGEND * 120 / 2) - 3
    compass = {(0, 1): (1, 0), (1, 0): (0, 1), (0, -1): (-1, 0), (-1, 0): (0, -1)}
    for (down, right), flow in compass.items():
        full = flow_colours(np.array(flow, np.float32)[:, None, None])[:, 0, 0].numpy().astype(int)
        shown = clip.frames[0, row + away * down, column + away * right].astype(int)
        assert np.abs(shown - full).max() < 90, (flow, shown, full)
    assert clip.frames[0, row, column].tolist() == [255] * 3
    assert draw_flow(make_tracks(np.zeros((2, 1, 2)), (8, 8)), legend=True).frames.min() == 255  # no room


def test_tora_s_own_overlay():
    case = dict(np.load(GOLDEN / "overlay_a.npz"))
    clip = draw_tora(case["video"], make_tracks(case["points"].transpose(1, 0, 2), case["video"].shape[1:3]))
    assert np.abs(clip.frames.astype(int) - case["out"]).max() <= 1
    none = draw_tora(case["video"], Tracks.empty(6, case["video"].shape[1:3], 8))
    assert np.array_equal(none.frames, case["video"])


def test_far_away_points_and_bad_pictures():
    far = make_tracks([[[1e6, -1e6]], [[5, 5]]])
    assert draw_tora(GREY, far).num_frames == 2
    assert np.array_equal(draw_flow(far, GREY).frames[1], GREY)
    for use in (lambda: draw_tora(np.zeros((4, 4)), far), lambda: draw_flow(far, np.zeros((4, 4)))):
        with pytest.raises(InputError, match="picture: found float64"):
            use()
    with pytest.raises(InputError, match="image: found shape"):
        draw_flow_paths(np.zeros((2, *SIZE, 3), np.uint8), far)
