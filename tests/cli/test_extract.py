from __future__ import annotations

import json
import sys

import numpy as np
import pytest

from motionloom.media import Clip, write_image
from motionloom.tracks.formats import read_tracks


@pytest.fixture
def moving(folder):
    """video.webp, 9 frames of 96x64, a texture that goes left by a pixel a frame."""
    rng = np.random.default_rng(0)
    texture = np.kron(rng.integers(0, 256, (24, 32, 3), np.uint8), np.ones((4, 4, 1), np.uint8))
    Clip(np.stack([texture[10:74, 10 + t : 106 + t] for t in range(9)]), 12).save("video.webp", lossless=True)
    return folder


def extract(call, *arguments):
    done = call("tracks", "extract", "video.webp", "-o", "found.tracks.safetensors", *arguments, "--overwrite")
    assert done.code == 0, done.err
    return read_tracks("found.tracks.safetensors")


def test_points_on_a_frame_are_followed_both_ways(moving, call):
    tracks = extract(call, "--points", "40,30;50.5,20.25", "--frame", "4")
    assert tracks.num_frames == 9
    expected = np.array([[40, 30], [50.5, 20.25]]) - (np.arange(9)[:, None, None] - 4) * [1, 0]
    np.testing.assert_allclose(tracks.points, expected, atol=0.1)


@pytest.mark.parametrize("text", ["40 30\n\n8,50.5,20.25\n", json.dumps([[40, 30], [8, 50.5, 20.25]])])
def test_points_from_a_file(moving, call, text):
    (moving / "points.txt").write_text(text)
    tracks = extract(call, "--points", "points.txt")
    np.testing.assert_allclose(tracks.points[[0, 8], [0, 1]], [[40, 30], [50.5, 20.25]])
    np.testing.assert_allclose(tracks.points[0, 1], [58.5, 20.25], atol=0.1)


def test_a_grid_inside_a_mask_on_a_part_of_the_video(moving, call):
    mask = np.zeros((64, 96, 3), np.uint8)
    mask[16:48, 32:64] = 255
    write_image(moving / "mask.png", mask)
    tracks = extract(call, "--grid", "12", "--mask", "mask.png", "--range", "2:7")
    assert tracks.num_frames == 5
    assert tracks.num_tracks == 16
    assert tracks.points[0].min(0).tolist() == [36, 20]
    assert extract(call, "--range", "6:").num_frames == 3


def test_a_learned_tracker_says_its_licence_and_what_it_needs(moving, call, monkeypatch):
    monkeypatch.setitem(sys.modules, "cotracker", None)  # as if not installed
    monkeypatch.delitem(sys.modules, "cotracker.predictor", raising=False)
    done = call("tracks", "extract", "video.webp", "-o", "a.tracks.safetensors", "--tracker", "cotracker3")
    assert done.code != 0
    assert "CC-BY-NC 4.0, code and weights (no commercial use)" in done.out
    assert "clone https://github.com/facebookresearch/co-tracker" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--points", "1,2,3,4"), "--points: found '1,2,3,4', expected x,y;x,y"),
        (("--points", "1,2", "--grid", "3"), "goes without --grid"),
        (("--points", "200,2"), "outside the 96x64 video"),
        (("--range", "3"), "--range: found '3', expected a:b"),
        (("--range", "3:30"), "a part of the 9 frames"),
        (("--frame", "9"), "frame numbers from 0 to 8"),
        (("--mask", "photo.png"), "found 48x32, expected the size of the video, 96x64"),
        (("--tracker", "pips"), "found 'pips', expected offline"),
    ],
)
def test_refusals(moving, call, arguments, message):
    done = call("tracks", "extract", "video.webp", "-o", "a.tracks.safetensors", *arguments)
    assert done.code == 2
    assert message in " ".join(done.err.split())
    assert "name one, after the video or with -o" in " ".join(call("tracks", "extract", "video.webp").err.split())
