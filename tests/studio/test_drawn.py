from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.studio.drawn import MAX_TRACKS, key_points, motion_of_tracks
from motionloom.tracks.tracks import Tracks

SIZE = (480, 832)


def walk(frames=49, count=7, seed=0):
    rng = np.random.default_rng(seed)
    points = np.cumsum(rng.normal(0, 4, (frames, count, 2)), axis=0) + 300
    return np.asarray(points, np.float32)


def largest_difference(motion, tracks):
    """Pixels between the visible points of both, frame by frame, whatever their order."""
    compiled, worst = motion.compile(), 0.0
    for frame in range(tracks.num_frames):
        ours = compiled.points[frame][compiled.visible[frame]]
        theirs = tracks.points[frame][tracks.visible[frame]]
        assert len(ours) == len(theirs)
        if len(ours):
            apart = np.abs(ours[:, None] - theirs[None]).max(axis=-1)
            worst = max(worst, float(apart.min(axis=0).max()), float(apart.min(axis=1).max()))
    return worst


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), hidden=st.floats(0, 0.4), frames=st.integers(1, 30))
def test_visible_points_compile_to_the_same_places(seed, hidden, frames):
    rng = np.random.default_rng(seed)
    points = walk(frames, 6, seed)
    points[:, 0] = points[0, 0]  # one that stays
    visible = rng.random((frames, 6)) >= hidden
    tracks = Tracks(points, visible, SIZE, 24.0)
    motion, _ = motion_of_tracks(tracks, SIZE)
    assert (motion.num_frames, motion.fps, motion.size) == (frames, 24.0, SIZE)
    assert largest_difference(motion, tracks) < 1e-3


def test_straight_ways_keep_two_points_and_turns_their_corner():
    straight = np.linspace([10, 20], [250, 100], 49)
    corner = np.concatenate([np.linspace([0, 0], [100, 0], 11), np.linspace([100, 0], [100, 30], 4)[1:]])
    assert key_points(straight, 1e-4) == [0, 48]
    assert key_points(corner, 1e-4) == [0, 10, 13]
    # A change of speed alone is one, too.
    assert key_points(np.array([[0, 0], [1, 0], [2, 0], [4, 0], [6, 0]], float), 1e-4) == [0, 2, 4]


def test_points_that_stay_become_one_instruction():
    points = np.repeat(np.array([[[10, 20], [30, 40], [50, 60]]], np.float32), 10, axis=0)
    motion, notes = motion_of_tracks(Tracks(points, np.ones((10, 3), bool), SIZE, 16.0), SIZE)
    assert [each.kind for each in motion.instructions] == ["static"]
    assert motion.instructions[0].points == ((10, 20), (30, 40), (50, 60))
    assert notes == []


def test_what_is_seen_twice_is_split_and_what_is_never_seen_left_out_with_a_note():
    points = walk(20, 2)
    visible = np.ones((20, 2), bool)
    visible[8:12, 0] = False
    visible[:, 1] = False
    motion, notes = motion_of_tracks(Tracks(points, visible, SIZE, 16.0), SIZE)
    first, second = motion.instructions
    assert (first.name, second.name) == ("Track 1 (1 of 2)", "Track 1 (2 of 2)")
    assert (first.start, first.end, first.before, first.after) == (None, 7, "hold", "vanish")
    assert (second.start, second.end, second.before, second.after) == (12, None, "vanish", "hold")
    assert notes == [
        "1 track seen several times: one instruction for each time",
        "1 track never visible: left out",
    ]


def test_another_rate_counts_frames_anew_and_keeps_every_place():
    tracks = Tracks(walk(121, 3), np.ones((121, 3), bool), SIZE, 24.0)
    motion, notes = motion_of_tracks(tracks, SIZE, fps=16.0)
    assert (motion.num_frames, motion.fps) == (81, 16.0)
    there = motion.compile(num_frames=121, fps=24.0)
    assert np.abs(there.points - tracks.points).max() < 1e-3
    assert notes == []


def test_what_is_longer_than_the_motion_is_kept_and_said():
    tracks = Tracks(walk(81, 2), np.ones((81, 2), bool), SIZE, 16.0)
    motion, notes = motion_of_tracks(tracks, SIZE, num_frames=49)
    assert motion.num_frames == 49
    assert motion.instructions[0].points[-1].frame == 80
    assert "what comes later is kept" in notes[0]


def test_the_canvas_is_scaled_axis_by_axis():
    tracks = Tracks(walk(5, 1), np.ones((5, 1), bool), SIZE, 16.0)
    motion, _ = motion_of_tracks(tracks, (240, 832))
    assert np.abs(motion.compile().points - tracks.points * [1, 0.5]).max() < 1e-3


def test_too_many_tracks_are_chosen_from_evenly_and_said():
    count = 2 * MAX_TRACKS
    points = np.repeat(np.arange(count, dtype=np.float32)[None, :, None], 2, axis=0) * np.ones(2, np.float32)
    motion, notes = motion_of_tracks(Tracks(points, np.ones((2, count), bool), SIZE, 16.0), SIZE)
    assert motion.instructions[0].points[:3] == ((0, 0), (2, 2), (4, 4))
    assert len(motion.instructions[0].points) == MAX_TRACKS
    assert f"{count} tracks are more than can be drawn" in notes[0]


def test_positions_beyond_reason_are_refused():
    points = np.full((2, 1, 2), 5e8, np.float32)
    with pytest.raises(InputError, match="near the picture"):
        motion_of_tracks(Tracks(points, np.ones((2, 1), bool), SIZE, 16.0), SIZE)
