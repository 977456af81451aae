from __future__ import annotations

import cv2
import numpy as np
import pytest

from motionloom.media.flow import between, fetch, flow_both_ways, optical_flow


@pytest.fixture(scope="module")
def picture():
    noise = np.random.default_rng(0).random((96, 128, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), 2.0)
    return np.clip((smooth - 0.5) * 1200 + 128, 0, 255).astype(np.uint8)


def test_flow_points_to_the_same_thing(picture):
    moved = np.roll(picture, (2, 5), (0, 1))
    for coarse in (False, True):
        flow = optical_flow(picture, moved, coarse=coarse)[16:-16, 16:-16]
        np.testing.assert_allclose(np.median(flow, (0, 1)), [5, 2], atol=0.1)
    back = fetch(moved, np.full((96, 128, 2), (5, 2), np.float32))
    np.testing.assert_array_equal(back[:-2, :-5], picture[:-2, :-5])


def test_frames_too_small_for_flow_do_not_move():
    small = np.random.default_rng(0).integers(0, 255, (8, 40, 3), dtype=np.uint8)
    assert not optical_flow(small, small[::-1].copy()).any()


def test_flow_does_not_depend_on_what_was_looked_at_before(picture):
    small, moved = np.ascontiguousarray(picture[:17, :33]), np.roll(picture, (2, 5), (0, 1))
    for coarse in (False, True):
        for frame, other in ((picture, 255 - moved), (small, 255 - small)):
            before = optical_flow(frame, other, coarse=coarse)
            for each in (small, picture):
                optical_flow(each, each[::-1].copy(), coarse=coarse)
            np.testing.assert_array_equal(optical_flow(frame, other, coarse=coarse), before)


def test_the_frame_between_has_no_ghosts(picture):
    """A dark square slides over a bright ground: what it uncovers is only in the second frame, what it covers only in
    the first. A blend would be half dark there."""
    ground, shift = np.roll(picture, 40, 1) // 4 + 190, 12

    def frame(x):
        out = ground.copy()
        out[20:76, x : x + 60] = picture[10:66, 10:70] // 4
        return out

    first, middle, second = frame(30), frame(30 + shift // 2), frame(30 + shift)
    found = between(first, second, *flow_both_ways(first, second), 0.5).astype(float)
    inside = np.s_[26:70, 30 + shift : 85]
    assert np.abs(found - middle)[inside].mean() < 1
    blend = (first.astype(float) + second) / 2
    assert np.abs(blend - middle)[inside].mean() > 5
    for columns in (slice(31, 30 + shift // 2 - 1), slice(91 + shift // 2, 89 + shift)):
        strip = np.s_[30:66, columns]
        assert blend[strip].mean() < 150
        assert found[strip].mean() > 200
    assert np.abs(found - middle)[:8].mean() < 0.5
