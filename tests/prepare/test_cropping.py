from __future__ import annotations

import pytest
import torch

from motionloom.errors import InputError
from motionloom.prepare.procedural import cropped, render, sample_scene, trace


def test_crop_of_a_simple_scene_is_a_part_of_the_picture():
    scene = sample_scene(3, range(3), num_frames=3, resolution=48)
    centres = torch.tensor([[0.0, 0.0], [0.25, -0.25], [-0.5, 0.125]])
    part = cropped(scene, centres, 0.5)
    whole, small = render(scene, (48, 48)), render(part, (24, 24))
    for clip, (x, y) in enumerate((centres * 24).long().tolist()):
        there = whole[clip, ..., 12 + y : 36 + y, 12 + x : 36 + x]
        torch.testing.assert_close(small[clip], there, atol=2e-3, rtol=0)
    corner = 12 + centres[:, None] * 24
    start = torch.rand(3, 20, 2, generator=torch.Generator().manual_seed(0)) * 24
    big, seen = trace(scene, start + corner, (48, 48))
    little, seen_little = trace(part, start, (24, 24))
    torch.testing.assert_close(little, big - corner[:, None], atol=1e-3, rtol=1e-5)
    assert (seen_little <= seen).all(), "a crop shows nothing that the picture hides"


def test_complex_and_shared_centres_mean_the_same():
    scene = sample_scene(3, range(2), num_frames=2, resolution=48)
    expected = cropped(scene, torch.tensor([[0.25, -0.5]] * 2), 0.5)
    for centre in ((0.25, -0.5), torch.tensor(0.25 - 0.5j), torch.tensor([0.25 - 0.5j] * 2)):
        assert torch.equal(cropped(scene, centre, 0.5).shift, expected.shift)


@pytest.mark.parametrize(
    ("centre", "share", "words"),
    [((0, 0), 0.0, "share: found 0.0"), ((0, 0, 0), 0.5, r"centre: found shape \(3,\)")],
)
def test_refuses_nonsense(centre: tuple[float, ...], share: float, words: str):
    with pytest.raises(InputError, match=words):
        cropped(sample_scene(0, [0], num_frames=2, resolution=16), centre, share)
