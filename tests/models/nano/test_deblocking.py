"""Deblocking smooths what blocks left and leaves what the picture shows."""

from __future__ import annotations

import torch

from motionloom.models.nano.deblocking import deblocked


def frames(picture: torch.Tensor) -> torch.Tensor:
    """The picture [H, W] as two grey frames [1, 3, 2, H, W]."""
    return picture.expand(1, 3, 2, *picture.shape).clone()


def steps(video: torch.Tensor) -> float:
    """The largest difference of neighbouring pixels."""
    return max(float(video.diff(dim=axis).abs().max()) for axis in (-1, -2))


def test_a_small_step_between_flat_blocks_becomes_a_ramp():
    flat = torch.zeros(8, 12)
    flat[:, 4:] = 0.1
    found = deblocked(frames(flat), 4)
    assert steps(found) < 0.06
    assert (found.diff(dim=-1) > -1e-6).all()  # a ramp, no ringing
    torch.testing.assert_close(found.mean(), frames(flat).mean(), atol=2e-3, rtol=0)
    assert torch.equal(found[..., 8:], frames(flat)[..., 8:])
    turned = deblocked(frames(flat.T.contiguous()), 4)
    torch.testing.assert_close(turned, found.transpose(-1, -2))


def test_edges_detail_and_slopes_of_the_picture_stay():
    edge = torch.zeros(8, 12)
    edge[:, 4:] = 0.6
    stripes = 0.3 * (torch.arange(12) % 2).expand(8, 12)
    slope = torch.linspace(-0.3, 0.3, 12).expand(8, 12)
    for picture in (edge, stripes, slope):
        torch.testing.assert_close(deblocked(frames(picture), 4), frames(picture), atol=1e-6, rtol=0)


def test_a_step_of_one_colour_fringes_none():
    video = torch.zeros(1, 3, 1, 8, 8)
    video[:, 0, :, :, 4:] = 0.9  # red only: an edge
    video[:, 1, :, :, 4:] = 0.05
    torch.testing.assert_close(deblocked(video, 4), video, atol=1e-6, rtol=0)


def test_borders_of_the_picture_and_insides_of_blocks_stay():
    video = torch.rand(1, 3, 2, 8, 12, generator=torch.Generator().manual_seed(0)) * 0.1
    found = deblocked(video, 4)
    changed = (found != video).any(dim=(0, 1, 2))
    within = torch.zeros(8, 12, dtype=torch.bool)
    within[3:5], within[:, 3:5], within[:, 7:9] = True, True, True
    assert changed.any()
    assert not (changed & ~within).any()
    assert torch.equal(deblocked(video[..., :4, :4], 4), video[..., :4, :4])


def test_blocks_that_a_network_makes_come_nearer_to_the_picture():
    """Errors of such blocks are those of their means above all."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 6, 8, generator=generator) - 0.5
    picture = torch.nn.functional.interpolate(coarse, (48, 64), mode="bicubic")[:, :, None]
    errors = 0.1 * torch.randn(2, 3, 12, 16, generator=generator)
    blocky = picture + errors.repeat_interleave(4, 2).repeat_interleave(4, 3)[:, :, None]
    for dtype, tolerance in ((torch.float32, 1e-6), (torch.float16, 2e-3)):
        found = deblocked(blocky.to(dtype), 4)
        assert found.dtype == dtype
        assert (found.float() - picture).square().mean() < 0.9 * (blocky - picture).square().mean()
        torch.testing.assert_close(found[1:].float(), deblocked(blocky[1:], 4), atol=tolerance, rtol=0)
