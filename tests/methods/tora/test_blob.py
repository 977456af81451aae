from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.errors import InputError
from motionloom.methods.tora.blob import Blob, Blur, Box

SIZE = (60, 90)


def boxes_of(places):
    row, column = np.array(places, int).reshape(-1, 2).T
    return Blur(SIZE, Blob(2.0, 5), True).boxes(row, column)


def flow_of(blur, row, column, value, box):
    flow = np.full((2, *blur.size), np.nan)
    for band, part in blur.bands(row, column, value, box):
        flow[(slice(None), *band.slices)] = part
    return flow[(slice(None), *box.slices)]


def area(boxes):
    return sum((box.bottom - box.top) * (box.right - box.left) for box in boxes)


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, SIZE[0] - 1), st.integers(0, SIZE[1] - 1)), max_size=40))
def test_boxes_hold_all_that_is_reached_and_no_more_than_they_must(places):
    boxes = boxes_of(places)
    reached, held = np.zeros(SIZE, bool), np.zeros(SIZE, bool)
    for row, column in places:
        reached[max(0, row - 5) : row + 6, max(0, column - 5) : column + 6] = True
    for box in boxes:
        assert reached[box.slices].any()
        held[box.slices] = True
    assert (held | ~reached).all()
    assert area(boxes) <= min(121 * len(places), SIZE[0] * SIZE[1])


def test_what_is_near_shares_a_box():
    assert boxes_of([]) == []
    assert boxes_of([[0, 0]]) == [Box(0, 0, 6, 6)]
    assert boxes_of([[10, 10], [10, 12], [50, 80]]) == [Box(5, 5, 16, 18), Box(45, 75, 56, 86)]
    # A row of neighbours, the last of which joins them all.
    assert boxes_of([[10, 10], [10, 30], [10, 20], [50, 80]]) == [Box(5, 5, 16, 36), Box(45, 75, 56, 86)]


@given(st.integers(1, 30), st.integers(1, 30), st.integers(0, 12))
def test_a_mirrored_frame_of_ones_stays_even(height, width, radius):
    """Sources everywhere: with mirrors, each pixel gets the whole sum of the weights; without, less at the border."""
    blob = Blob(3.0, radius)
    row, column = np.mgrid[:height, :width].reshape(2, -1)
    value = np.ones((row.size, 2), np.float32)
    whole = np.exp(-np.square(np.arange(-radius, radius + 1) / 3.0) / 2).sum() ** 2
    box = Box(0, 0, height, width)
    assert flow_of(Blur((height, width), blob, True), row, column, value, box) == pytest.approx(whole, rel=1e-5)
    bare = flow_of(Blur((height, width), blob, False), row, column, value, box)
    assert (bare <= whole * (1 + 1e-5)).all()
    if radius:
        assert bare[0, 0, 0] < whole * 0.999


def test_a_box_is_a_part_of_the_frame():
    rng = np.random.default_rng(0)
    row, column = rng.integers(0, 60, 30), rng.integers(0, 90, 30)
    order = np.argsort(row * 90 + column)
    row, column, value = row[order], column[order], rng.normal(size=(30, 2)).astype(np.float32)
    blur = Blur(SIZE, Blob(4.0, 20), True)
    whole = flow_of(blur, row, column, value, Box(0, 0, *SIZE))
    part = Box(7, 33, 41, 87)
    assert np.abs(flow_of(blur, row, column, value, part) - whole[(slice(None), *part.slices)]).max() < 1e-5


def test_blobs():
    assert Blob().scaled(0.5) == Blob(5.0, 24)
    assert Blob().scaled(1e-3).radius == 1
    for sigma, radius in ((0.0, 5), (np.nan, 5), (1.0, -1)):
        with pytest.raises(InputError, match="blob: found sigma"):
            Blob(sigma, radius)
