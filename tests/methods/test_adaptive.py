from __future__ import annotations

import math

import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.adaptive import AdaptiveWeight

STRIDES = (4, 8, 8)


def weights(x, visible=None, weight=None, strides=STRIDES):
    """Weights of one track whose latent frames are at these x, in pixels."""
    points = torch.zeros(strides[0] * (len(x) - 1) + 1, 1, 2)
    points[:: strides[0], 0, 0] = torch.tensor(x, dtype=torch.float32)
    seen = torch.ones(points.shape[:2], dtype=torch.bool)
    if visible is not None:
        seen[:: strides[0], 0] = torch.tensor(visible)
    return (weight or AdaptiveWeight())(points, seen, strides)[:, 0].tolist()


def test_numbers_by_hand():
    # 0, 1 and 3 cells of 8 pixels: 0.8 - 0.3 exp(-m).
    assert weights([0, 0, 8, 32]) == pytest.approx([0.5, 0.5, 0.689636, 0.785064], abs=1e-6)
    assert weights([0, 8], weight=AdaptiveWeight(0.2, 1.2, 0.5)) == pytest.approx([0.2, 1.2 - math.exp(-2)])
    assert weights([0, 8], strides=(2, 4, 4)) == pytest.approx([0.5, 0.8 - 0.3 * math.exp(-2)])


def test_only_the_last_frame_of_a_latent_frame_counts():
    points = torch.zeros(5, 1, 2)
    points[1:4, 0, 0] = 100.0
    assert AdaptiveWeight()(points, torch.ones(5, 1), STRIDES).tolist() == [[0.5], [0.5]]


def test_hidden_positions_mean_nothing():
    # Seen at 0 and, two latent frames later, at 16: one cell per latent frame. The place between is not looked at.
    found = weights([0, 999, 16], [True, False, True])
    assert found == pytest.approx([0.5, 0.5, 0.8 - 0.3 * math.exp(-1)])
    assert weights([float("nan"), 80, 88]) == pytest.approx([0.5, 0.5, 0.8 - 0.3 * math.exp(-1)])


def test_batches_and_no_track():
    points = torch.rand(3, 9, 5, 2) * 64
    together = AdaptiveWeight()(points, torch.ones(3, 9, 5), STRIDES)
    assert together.shape == (3, 3, 5)
    for index in range(3):
        assert torch.equal(together[index], AdaptiveWeight()(points[index], torch.ones(9, 5), STRIDES))
    assert AdaptiveWeight()(torch.zeros(9, 0, 2), torch.zeros(9, 0), STRIDES).shape == (3, 0)


def test_numbers_and_texts():
    assert AdaptiveWeight.of([0.4, 0.9]) == AdaptiveWeight(0.4, 0.9, 1.0)
    assert AdaptiveWeight.of("") == AdaptiveWeight(0.5, 0.8, 1.0)
    assert AdaptiveWeight.of("0.4:0.9") == AdaptiveWeight(0.4, 0.9, 1.0)
    assert AdaptiveWeight.of("0.4:0.9:2") == AdaptiveWeight(0.4, 0.9, 2.0)


@pytest.mark.parametrize("text", [5, [1], [1, "x"], "0.5", "a:b", "1:2:3:4", "-1:1", "0:inf", "0:1:0", "nan:1"])
def test_refused(text):
    with pytest.raises(InputError, match="adaptive: "):
        AdaptiveWeight.of(text)
