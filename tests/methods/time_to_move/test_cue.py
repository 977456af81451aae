from __future__ import annotations

import numpy as np
import pytest

from motionloom.methods.time_to_move.cue import motion_cue
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks

SIZE = (64, 96)


@pytest.fixture(scope="module")
def photograph() -> np.ndarray:
    """A red square of 16 pixels at (40, 32) on a textured ground."""
    rng = np.random.default_rng(0)
    ground = rng.integers(90, 130, (8, 12, 1), dtype=np.uint8).repeat(8, 0).repeat(8, 1).repeat(3, 2)
    ground[24:40, 32:48] = (220, 30, 30)
    return ground


def moved(points: list[tuple[float, float]], way: tuple[float, float], frames: int = 9) -> Tracks:
    path = np.array(points, np.float32)[None] + np.linspace((0, 0), way, frames)[:, None]
    return Tracks(path.astype(np.float32), np.ones(path.shape[:2], np.bool_), SIZE, 8.0)


def square() -> np.ndarray:
    region = np.zeros(SIZE, np.bool_)
    region[24:40, 32:48] = True
    return region


def test_a_moved_thing_is_determined_where_it_is_in_each_frame(photograph):
    tracks = moved([(40.0, 32.0)], (32.0, 0.0))
    layers = [
        Layer(Tracks.empty(9, SIZE, 8.0), None, False, "background", 0),
        Layer(tracks, square(), True, "square", 1),
    ]
    frames, mask = motion_cue(photograph, tracks, layers, SIZE, 9)
    assert frames.shape == (9, *SIZE, 3)
    assert np.array_equal(frames[0], photograph)
    for t in (0, 4, 8):
        place = np.zeros(SIZE, np.bool_)
        place[24:40, 32 + 4 * t : 48 + 4 * t] = True
        assert (mask[t] & place).sum() >= 0.9 * place.sum()
        assert (mask[t] & ~place).sum() <= 0.15 * place.sum()
    # Where it was the ground is filled in: not determined.
    assert not mask[8, 26:38, 34:46].any()
    assert abs(int(frames[8, 32, 40, 0]) - 220) > 60


def test_a_camera_move_determines_all_that_the_photograph_shows(photograph):
    tracks = moved([(x, y) for x in (8, 48, 88) for y in (8, 32, 56)], (24.0, 0.0))
    _, mask = motion_cue(photograph, tracks, None, SIZE, 9)
    assert mask[0].all()
    assert mask[8, :, 26:].all()
    assert not mask[8, :, :22].any()  # comes in over the left rim


def test_free_paths_and_static_points_determine_their_surroundings(photograph):
    path, anchor = moved([(20.0, 20.0)], (0.0, 16.0)), moved([(80.0, 48.0)], (0.0, 0.0))
    _, mask = motion_cue(photograph, path.concat(anchor), None, SIZE, 9)
    assert mask[8, 36, 20]
    assert mask[:, 48, 80].all()
    assert not mask[:, 6, 90].any()  # more than a quarter of the height from both
    assert 0.2 < mask.mean() < 0.6
    _, only_held = motion_cue(photograph, anchor, None, SIZE, 9)
    assert only_held[:, 48, 80].all()
    assert not only_held[:, 20, 20].any()


def test_hidden_stretches_determine_nothing(photograph):
    path = moved([(20.0, 20.0)], (0.0, 16.0))
    visible = path.visible.copy()
    visible[5:] = False
    _, mask = motion_cue(photograph, path._replace(visible=visible), None, SIZE, 9)
    assert mask[4].any()
    assert not mask[5:].any()


@pytest.mark.parametrize("tracks", [None, Tracks.empty(9, SIZE, 8.0)])
def test_without_tracks_the_mask_is_empty(photograph, tracks):
    frames, mask = motion_cue(photograph, tracks, None, SIZE, 5)
    assert frames.shape == (5, *SIZE, 3)
    assert not mask.any()


def test_photograph_and_motion_are_brought_to_the_clip(photograph):
    large = photograph.repeat(2, 0).repeat(2, 1)
    tracks = moved([(x, y) for x in (8, 48, 88) for y in (8, 32, 56)], (24.0, 0.0))
    frames, mask = motion_cue(large, tracks, None, (32, 48), 5)
    assert frames.shape == (5, 32, 48, 3)
    assert mask[4, :, 13:].all()
    assert not mask[4, :, :11].any()
