from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.evaluate.artifacts import blockiness, flicker, gradient_energy, light, pulse, sharpness_kept


def grey(values):
    """uint8 [T, H, W] to frames."""
    return np.repeat(np.asarray(values, np.uint8)[..., None], 3, axis=-1)


def test_flicker_of_noise_is_its_deviation_and_of_a_steady_change_nothing():
    noise = np.random.default_rng(0).normal(128, 10, (24, 48, 48))
    assert flicker(grey(noise.round())) == pytest.approx(10, rel=0.02)
    ramp = np.broadcast_to(np.arange(0, 90, 5)[:, None, None], (18, 8, 8))
    assert flicker(grey(ramp)) == pytest.approx(0, abs=1e-4)
    alternating = np.broadcast_to((np.arange(6) % 2 * 30)[:, None, None], (6, 8, 8))
    assert flicker(grey(alternating)) == pytest.approx(60 / 6**0.5, rel=1e-5)
    assert flicker(grey(ramp[:2])) is None


def test_pulse_is_the_ratio_of_the_jumps():
    # Frame 0, then latent frames 1-4 and 5-8: the value jumps by 9 into each and creeps by 3 inside.
    steps = [9, 3, 3, 3, 9, 3, 3, 3]
    values = np.concatenate([[0], np.cumsum(steps)])
    frames = grey(np.broadcast_to(values[:, None, None], (9, 4, 4)))
    assert pulse(frames) == pytest.approx(3.0, rel=1e-5)
    assert pulse(frames, stride=8) == pytest.approx(9 / (27 / 7), rel=1e-5)
    assert pulse(grey(np.zeros((9, 4, 4)))) is None
    with pytest.raises(InputError, match="stride: found 1"):
        pulse(frames, stride=1)


def test_sharpness_and_light_compare_the_last_frame_with_the_first():
    columns = np.broadcast_to(np.where(np.arange(16) % 2, 150, 50), (16, 16))
    faded = 100 + (columns - 100) // 2
    frames = grey(np.stack([columns, columns, faded + 7]))
    assert gradient_energy(frames)[0] == pytest.approx(100**2, rel=1e-5)
    assert sharpness_kept(frames) == pytest.approx(0.25, rel=1e-5)
    found = light(frames)
    assert found.shift == pytest.approx(7, abs=1e-4)
    assert found.contrast == pytest.approx(0.5, rel=1e-5)
    flat = grey(np.full((2, 8, 8), 9))
    assert sharpness_kept(flat) is None
    assert light(flat).contrast is None


def test_blocks_are_seen_at_their_own_side_only():
    y, x = np.mgrid[:32, :32]
    ramp = 2 * x + 2 * y
    stepped = ramp + 6 * (x // 8) + 6 * (y // 8)
    frames = grey(np.stack([ramp, stepped]))
    assert blockiness(frames, 8) == pytest.approx(8 / 2, rel=1e-5)
    # Every second border of the finer grid has a step of 8, the others of 2: 3 of 7 in either direction.
    assert blockiness(frames, 4) == pytest.approx((3 * 8 + 4 * 2) / 7 / 2, rel=1e-5)
    assert blockiness(grey(np.stack([stepped, ramp])), 8) == pytest.approx(1, rel=1e-5)
    assert blockiness(frames[:1], 8) is None
    assert blockiness(grey(np.full((2, 16, 16), 5)), 4) is None


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_a_brighter_video_has_the_same_artifacts(seed, amount):
    video = np.random.default_rng(seed).integers(0, 190, (6, 16, 16), np.uint8)
    dark, bright = grey(video), grey(video + np.uint8(amount))
    for measure in (flicker, pulse, sharpness_kept, lambda frames: blockiness(frames, 4)):
        assert measure(dark) == pytest.approx(measure(bright), rel=1e-4)
    assert light(bright)[0] == pytest.approx(light(dark)[0], abs=1e-3)


def test_other_arrays_are_refused():
    with pytest.raises(InputError, match="frames: found float64"):
        flicker(np.zeros((3, 8, 8, 3)))
    with pytest.raises(InputError, match="side: found 1"):
        blockiness(grey(np.zeros((2, 8, 8))), 1)
