from __future__ import annotations

import pytest

from motionloom.models.card import HubFile, Sampling


@pytest.mark.parametrize(
    ("size", "shift"),
    [
        ((480, 832), 3.0),
        ((464, 832), 3.0),  # within 15 % of the area
        ((720, 1280), 5.0),
        ((704, 1280), 5.0),
        ((240, 416), 1.5),  # a quarter of the area, half the shift
        ((1440, 2560), 10.0),
    ],
)
def test_shift_is_the_authors_near_their_sizes_and_grows_with_the_root_of_the_area(size, shift):
    sampling = Sampling(shift=3.0, area=480 * 832, known_shifts=((720 * 1280, 5.0),))
    assert sampling.shift_at(size) == pytest.approx(shift)


def test_patterns():
    assert HubFile("a/b", "model*.safetensors", "transformer").is_pattern
    assert not HubFile("a/b", "model.safetensors", "transformer").is_pattern
