from __future__ import annotations

import pytest
import torch

from motionloom.errors import InputError
from motionloom.models.nano.codec import BLOCK, BLOCK_VALUES, BlockCodec
from motionloom.prepare.procedural import render, sample_scene


@pytest.fixture(scope="module")
def videos() -> torch.Tensor:
    return render(sample_scene(0, range(12), num_frames=9, resolution=48), (48, 48)).transpose(1, 2) * 2 - 1


def psnr(a: torch.Tensor, b: torch.Tensor) -> float:
    return float(-10 * torch.log10(((a - b) / 2).square().mean()))


def test_all_channels_lose_nothing(videos: torch.Tensor):
    codec = BlockCodec.fit([videos], BLOCK_VALUES)
    torch.testing.assert_close(codec.pictures(codec.codes(videos)), videos, atol=1e-4, rtol=0)


def test_more_channels_lose_less(videos: torch.Tensor):
    scores = [psnr((c := BlockCodec.fit([videos[:8]], z)).pictures(c.codes(videos[8:])), videos[8:]) for z in (8, 40)]
    assert scores[1] > scores[0] + 3
    assert scores[1] > 27


def test_layout_is_that_of_the_wan_vae(videos: torch.Tensor):
    codec = BlockCodec.fit([videos], 16)
    latents = codec.encode(videos[:2]).latent_dist.mode()  # type: ignore[union-attr]
    assert latents.shape == (2, 16, 3, 12, 12)
    assert torch.equal(latents, codec.encode(videos[:2], return_dict=False)[0].sample())
    assert codec.decode(latents).sample.shape == (2, 3, 9, 48, 48)  # type: ignore[union-attr]
    assert torch.equal(codec.decode(latents, return_dict=False)[0], codec.pictures(latents))


def test_causal_and_first_frame_alone(videos: torch.Tensor):
    codec = BlockCodec.fit([videos], 32)
    whole = codec.codes(videos)
    assert torch.equal(codec.codes(videos[:, :, :1]), whole[:, :, :1])
    assert torch.equal(codec.codes(videos[:, :, :5]), whole[:, :, :2])


def test_first_frame_code_is_that_of_a_still_block(videos: torch.Tensor):
    codec = BlockCodec.fit([videos], 32)
    still = videos[:, :, :1].expand(-1, -1, 5, -1, -1)
    codes = codec.codes(still)
    torch.testing.assert_close(codes[:, :, 0], codes[:, :, 1])
    pictures = codec.pictures(codes)
    torch.testing.assert_close(pictures[:, :, 0], pictures[:, :, 1:].mean(2), atol=0.15, rtol=0)


def test_basis_is_orthonormal_and_std_is_tempered(videos: torch.Tensor):
    codec = BlockCodec.fit([videos], 40, tempering=0.5)
    torch.testing.assert_close(codec.basis @ codec.basis.T, torch.eye(40), atol=1e-4, rtol=0)
    std = torch.tensor(codec.config["latents_std"]).view(1, -1, 1, 1, 1)
    blocks = codec.codes(videos)[:, :, 1:]
    scaled = (blocks / std).std(dim=(0, 2, 3, 4))
    assert 0.7 < scaled.square().mean().sqrt() < 1.4
    assert scaled[0] > 2 * scaled[-1]


def test_saves_and_loads(videos: torch.Tensor, tmp_path):
    codec = BlockCodec.fit([videos], 8)
    codec.save_pretrained(tmp_path)
    again = BlockCodec.from_pretrained(tmp_path)
    assert torch.equal(codec.codes(videos[:1]), again.codes(videos[:1]))
    assert again.config["latents_std"] == codec.config["latents_std"]


@pytest.mark.parametrize("shape", [(1, 3, 4, 16, 16), (1, 3, 5, 18, 16), (1, 3, 5, 16, 10)])
def test_refuses_other_shapes(shape: tuple[int, ...]):
    with pytest.raises(InputError, match=f"multiples of {BLOCK}"):
        BlockCodec(z_dim=8).codes(torch.zeros(shape))


def test_refuses_impossible_channels():
    with pytest.raises(InputError, match="expected 1 to 192"):
        BlockCodec(z_dim=193)
