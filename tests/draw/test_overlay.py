import numpy as np
import pytest

from motionloom.draw import ANCHOR, PALETTE, Style, draw, draw_paths
from motionloom.errors import InputError
from motionloom.media import Clip
from motionloom.tracks.tracks import Tracks

SIZE = (240, 320)
GREY = np.full((*SIZE, 3), 128, np.uint8)


def make_tracks(points, visible=None, fps=10.0, size=SIZE):
    points = np.asarray(points, np.float32)
    visible = np.ones(points.shape[:2], bool) if visible is None else np.asarray(visible, bool)
    return Tracks(points, visible, size, fps)


def sweep(frames=11):
    """One track from (60.5, 80.5) to (260.5, 80.5), one anchor at (160.5, 200.5)."""
    x = np.linspace(60.5, 260.5, frames)
    moving = np.stack([x, np.full(frames, 80.5)], -1)
    return np.stack([moving, np.repeat([[160.5, 200.5]], frames, 0)], axis=1)


def test_the_pixel_at_a_point_has_its_colour():
    clip = draw(GREY, make_tracks(sweep()))
    assert clip.frames.shape == (11, *SIZE, 3)
    assert clip.fps == 10.0
    for t in (0, 5, 10):
        assert clip.frames[t, 80, 60 + 20 * t].tolist() == list(PALETTE[0])
        assert clip.frames[t, 200, 160].tolist() == list(ANCHOR)
    assert clip.frames[0, 80, 200].tolist() == [128] * 3
    assert np.array_equal(clip.frames[5, 110:190], np.broadcast_to(GREY[110:190], (80, 320, 3)))


def test_points_are_drawn_at_continuous_positions():
    clip = draw(GREY, make_tracks([[[100.0, 80.0]], [[200.0, 90.0]]]), style=Style(outline=False))
    frame = np.abs(clip.frames[0].astype(float) - 128).sum(-1)
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]] + 0.5
    assert (x * frame).sum() / frame.sum() == pytest.approx(100.0, abs=0.1)
    assert (y * frame).sum() / frame.sum() == pytest.approx(80.0, abs=0.1)


def test_trails_fade_and_end():
    frames = draw(GREY, make_tracks(sweep()), trail=0.4, style=Style(outline=False, start=False)).frames.astype(int)
    strength = np.abs(frames[8, 80] - 128).sum(-1)
    assert strength[210] > strength[190] > strength[165] > 0
    assert strength[100:135].max() == 0
    whole = draw(GREY, make_tracks(sweep()), trail=None, style=Style(outline=False)).frames.astype(int)
    assert np.abs(whole[8, 80, 100:135] - 128).sum() > 0
    alone = draw(GREY, make_tracks(sweep()), trail=0, style=Style(start=False)).frames.astype(int)
    assert np.abs(alone[8, 80, 60:210] - 128).sum() == 0


def test_hidden_points_are_rings_and_can_be_left_out():
    visible = np.ones((11, 2), bool)
    visible[6:, 0] = False
    tracks = make_tracks(sweep(), visible)
    dim = draw(GREY, tracks, trail=0, style=Style(start=False)).frames
    around = dim[8, 74:87, 214:227].astype(int)
    assert np.abs(around - 128).sum() > 0
    assert np.abs(around - PALETTE[0]).sum(-1).min() > 60  # fainter than the colour itself
    none = draw(GREY, tracks, trail=0, style=Style(hidden="none", start=False)).frames
    assert np.array_equal(none[8, :150], GREY[:150])


def test_paths_with_start_and_arrow_head():
    still = draw_paths(GREY, make_tracks(sweep()))
    assert still[80, 60].tolist() == list(PALETTE[0])
    assert np.abs(still[80, 236].astype(int) - PALETTE[0]).max() < 60  # a line one pixel wide is smoothed
    height = [int((np.abs(still[60:100, x].astype(int) - PALETTE[0]).sum(-1) < 30).sum()) for x in (160, 258)]
    assert height[1] > height[0] + 2  # the head is wider than the line
    assert still[200, 160].tolist() == list(ANCHOR)
    assert np.array_equal(still[110:190], GREY[110:190])


def test_sizes_grow_with_the_picture():
    def painted(size):
        scale = size[0] / 240
        clip = draw(np.full((*size, 3), 128, np.uint8), make_tracks(sweep()[:2] * scale, size=size))
        return (np.abs(clip.frames[0].astype(int) - 128) > 60).any(-1).mean()

    assert painted((960, 1280)) == pytest.approx(painted((240, 320)), rel=0.35)


def test_tracks_are_fitted_to_the_clip():
    clip = Clip(np.repeat(GREY[None], 21, 0), 20.0, {"model": "warp"})
    small = make_tracks(sweep() / 2, size=(120, 160))
    drawn = draw(clip, small)
    assert drawn.frames.shape == clip.frames.shape
    assert drawn.fps == 20.0
    assert drawn.provenance == {"drawn_on": {"model": "warp"}}
    assert drawn.frames[10, 80, 160].tolist() == list(PALETTE[0])
    assert np.array_equal(draw(clip, Tracks.empty(4, SIZE, 8.0)).frames, clip.frames)


def test_many_tracks_far_outside_and_own_colours():
    grid = np.stack(np.meshgrid(np.arange(4, 320, 12), np.arange(4, 240, 12)), -1).reshape(-1, 2)
    paths = grid[None] + np.array([[[0, 0]], [[5, 0]], [[1e7, -1e7]]])
    clip = draw(GREY, make_tracks(paths))
    assert (clip.frames[1] != 128).any(-1).mean() > 0.02
    own = draw(GREY, make_tracks(sweep()), colours=[(1, 2, 3), (250, 0, 0)])
    assert own.frames[0, 80, 60].tolist() == [1, 2, 3]
    with pytest.raises(InputError, match=r"colours: found 1, expected 2"):
        draw(GREY, make_tracks(sweep()), colours=[(1, 2, 3)])


@pytest.mark.parametrize("trail", [-1.0, float("nan")])
def test_trail_that_makes_no_sense(trail):
    with pytest.raises(InputError, match="trail"):
        draw(GREY, make_tracks(sweep()), trail=trail)


def test_picture_that_is_none():
    with pytest.raises(InputError, match=r"picture: found float64"):
        draw(np.zeros((4, 4, 3)), make_tracks(sweep()))
    with pytest.raises(InputError, match="image: found shape"):
        draw_paths(np.zeros((1, 4, 4, 3), np.uint8), make_tracks(sweep()))
