from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from motionloom.errors import InputError
from motionloom.evaluate import flow


def test_error_is_the_mean_distance_over_pixels_and_pairs():
    true = np.zeros((2, 3, 4, 2), np.float32)
    made = true.copy()
    made[0] = (3, 4)
    made[1, 0, 0] = (0, -12)
    np.testing.assert_allclose(flow.flow_errors(made, true), [5, 1])
    assert flow.epe_flow(made, true) == pytest.approx(3)
    assert flow.epe_flow(true, true) == 0


def test_a_distance_does_not_depend_on_which_flow_is_called_true():
    a, b = np.random.default_rng(0).normal(size=(2, 3, 5, 6, 2))
    assert flow.epe_flow(a, b) == flow.epe_flow(b, a) > 0


def test_no_pair_is_no_number():
    assert flow.epe_flow(np.zeros((0, 3, 4, 2)), np.zeros((0, 3, 4, 2))) is None


@pytest.mark.parametrize(
    ("made", "true"),
    [
        (np.zeros((1, 3, 4, 2)), np.zeros((1, 3, 5, 2))),
        (np.zeros((1, 3, 4, 3)), np.zeros((1, 3, 4, 3))),
        (np.zeros((3, 4, 2)), np.zeros((3, 4, 2))),
        (np.zeros((1, 0, 4, 2)), np.zeros((1, 0, 4, 2))),
    ],
)
def test_other_shapes_are_refused(made, true):
    with pytest.raises(InputError, match=r"expected \[N, H, W, 2\]"):
        flow.flow_errors(made, true)


def test_values_that_are_not_numbers_are_refused():
    bad = np.full((1, 2, 2, 2), np.nan)
    with pytest.raises(InputError, match="not numbers"):
        flow.flow_errors(bad, np.zeros_like(bad))


def test_frames_are_compared_at_the_size_of_movebench():
    frames = np.random.default_rng(0).integers(0, 256, (2, 60, 104, 3), dtype=np.uint8)
    found = flow.resized(frames)
    assert found.shape == (2, 480, 832, 3)
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float()
    expected = interpolate(pixels, (480, 832), mode="bilinear", align_corners=False).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(found, expected, atol=1)
    assert flow.resized(found) is found
