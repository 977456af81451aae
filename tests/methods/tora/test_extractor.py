from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from motionloom.methods.tora.extractor import TrajectoryExtractor


@pytest.mark.parametrize("name", ["traj_extractor_a", "traj_extractor_oddsize"])
def test_published_extractor(golden, name: str):
    tensors, _ = golden(f"tora/{name}")
    levels, _, width = tensors["features"].shape[:3]
    step_t, step, _ = tensors["patch"].tolist()
    extractor = TrajectoryExtractor(tensors["x"].shape[1], width, levels, step, step_t).eval()
    extractor.load_state_dict({key[2:]: each for key, each in tensors.items() if key.startswith("w.")})
    with torch.no_grad():
        found = extractor(tensors["x"])
    for level, feature in enumerate(found):
        torch.testing.assert_close(feature.flatten(0, 1), tensors["features"][level], atol=1e-4, rtol=0)


@given(st.integers(1, 2), st.sampled_from([1, 2]), st.integers(1, 5), st.integers(1, 7), st.integers(1, 7))
@settings(max_examples=20)
def test_patches_are_the_published_ones(batch: int, step_t: int, frames: int, height: int, width: int):
    extractor = TrajectoryExtractor(3, 4, 1, patch_size_t=step_t).eval()
    seen: list[Tensor] = []
    extractor.conv_in.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    latents = torch.randn(batch, 3, frames, height, width)
    with torch.no_grad():
        (feature,) = extractor(latents)
    times, rows, columns = -(-frames // step_t), -(-height // 2), -(-width // 2)
    assert feature.shape == (batch, times, 4, rows, columns)
    expected = torch.zeros(batch * times, 12 * step_t, rows, columns)
    for video, channel, t, y, x in itertools.product(*map(range, latents.shape)):
        index = ((channel * step_t + t % step_t) * 2 + y % 2) * 2 + x % 2
        expected[video * times + t // step_t, index, y // 2, x // 2] = latents[video, channel, t, y, x]
    assert torch.equal(seen[0], expected)


@pytest.mark.parametrize(("pad", "where"), [("end", slice(0, 3)), ("front", slice(1, 4))])
def test_where_pairs_of_frames_are_filled_up(pad: Any, where: slice):
    extractor = TrajectoryExtractor(4, 8, 2, patch_size_t=2, pad=pad).eval()
    latents, filled = torch.randn(1, 4, 3, 4, 6), torch.zeros(1, 4, 4, 4, 6)
    filled[:, :, where] = latents
    with torch.no_grad():
        for found, expected in zip(extractor(latents), extractor(filled), strict=True):
            assert torch.equal(found, expected)
