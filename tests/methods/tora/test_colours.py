from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from motionloom.methods.tora.colours import ColourWheel
from motionloom.methods.tora.flow import flow_colours

MAIN = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255], [255, 0, 0]])
"""Hues 0, 15, 21, 25, 36, 49 and 55 of the wheel."""


def plain(flow):
    """The definition in float64, pixel by pixel: [3, h, w] before rounding down, and the hue."""
    starts = np.cumsum([0, 15, 6, 4, 11, 13, 6])
    wheel = []
    for part, (first, last) in enumerate(itertools.pairwise(MAIN)):
        count = starts[part + 1] - starts[part]
        for step in range(count):
            wheel.append(first + np.sign(last - first) * (255 * step // count))
    wheel.append(wheel[0])
    length = np.hypot(*flow)
    hue = (np.arctan2(-flow[1], -flow[0]) / np.pi + 1) / 2 * 54
    low = np.floor(hue).astype(int)
    colour = np.array(wheel)[low] * (1 - hue + low)[..., None] + np.array(wheel)[low + 1] * (hue - low)[..., None]
    return np.moveaxis(255 - length[..., None] / length.max() * (255 - colour), -1, 0)


@given(st.integers(0, 2**32), st.integers(1, 40), st.integers(1, 40))
def test_any_flow_of_any_size(seed, height, width):
    flow = np.random.default_rng(seed).normal(size=(2, height, width)).astype(np.float32)
    before = flow.copy()
    exact = plain(flow.astype(np.float64))
    found = flow_colours(flow).numpy()
    assert (found <= exact + 1e-2).all()
    assert (found >= exact - 1 - 1e-2).all()
    assert np.array_equal(flow, before)


def test_tall_pictures_are_painted_band_by_band():
    flow = np.random.default_rng(0).normal(size=(2, 250, 3)).astype(np.float32)
    flow[:, [0, 120, 249], 1] = 5.0
    whole = flow_colours(flow)
    for part in (slice(0, 100), slice(100, 200), slice(200, 250)):
        assert np.array_equal(flow_colours(flow[:, part]), whole[:, part])


def test_the_wheel_knows_the_fastest():
    wheel = ColourWheel(12)
    flow = np.zeros((2, 3, 4), np.float32)
    assert wheel.fastest(flow) == 0.0
    flow[:, 1, 2] = 3.0, -4.0
    assert wheel.fastest(flow) == 5.0
    out = np.empty((3, 3, 4), np.uint8)
    wheel.paint(flow, 10.0, out)
    assert out[:, 0, 0].tolist() == [255, 255, 255]
    assert out.min() == pytest.approx(127, abs=1)  # half the full speed: half the colour
