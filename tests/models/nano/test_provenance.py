from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from motionloom.models.nano.codec import BlockCodec
from motionloom.models.nano.deblocking import deblocked
from motionloom.models.nano.provenance import WAVELENGTHS, WHISPER, cell_centres, compensate, phases, places
from motionloom.prepare.procedural import render, sample_scene
from motionloom.prepare.procedural.sources import sources

SIZE = (48, 64)
coordinate = st.floats(-100, 300)


@given(coordinate, coordinate, st.floats(-120, 120), st.floats(-120, 120), st.floats(0.05, 3))
def test_places_come_back_whatever_the_length(x: float, y: float, dx: float, dy: float, length: float):
    place, near = torch.tensor([x, y]), torch.tensor([x + dx, y + dy])
    found, measured = places(phases(place, SIZE) * length, near, SIZE)
    torch.testing.assert_close(found, place, atol=0.01, rtol=0)
    assert float(measured) == pytest.approx(length, rel=1e-3)


def test_weighted_sums_are_weighted_means_and_disagreement_shortens():
    left, right = torch.tensor([20.0, 30.0]), torch.tensor([23.0, 30.0])
    mixed = 0.9 * phases(left, SIZE) + 0.6 * phases(right, SIZE)
    found, length = places(mixed, left, SIZE)
    torch.testing.assert_close(found, torch.tensor([21.2, 30.0]), atol=0.05, rtol=0)
    far = (phases(left, SIZE) + phases(left + torch.tensor([16.0, 0]), SIZE)) / 2
    assert float(places(far, left, SIZE)[1]) < 0.01 < 1.4 < float(length)


def smooth_picture(seed: int = 0) -> torch.Tensor:
    coarse = torch.rand(1, 3, 8, 10, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, SIZE, mode="bicubic").clamp(0, 1)


def shifted(picture: torch.Tensor, by: torch.Tensor) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(SIZE[0]) + 0.5, torch.arange(SIZE[1]) + 0.5, indexing="ij")
    grid = (torch.stack([x, y], -1) - by) / torch.tensor([SIZE[1], SIZE[0]]) * 2 - 1
    sampled = torch.nn.functional.grid_sample
    return sampled(picture, grid[None], mode="bicubic", align_corners=False, padding_mode="border")


def test_fine_stripes_keep_their_contrast_between_pixels():
    across = torch.cos((torch.arange(SIZE[1]) + 0.5) * torch.pi / 2)  # four pixels long; straight lines would keep 0.7
    first = across.expand(1, 3, *SIZE)
    moved = (cell_centres(12, 16) + torch.tensor([0.5, 0.0])).expand(1, 1, -1, -1, -1)
    pictures, _ = compensate(first, moved, torch.ones(1, 1, 12, 16))
    inner = pictures[0, 0, 1:3, 8:-8, 8:-8].mean(0)  # the places hold between these two
    assert 0.85 < float(inner.std() / first.std()) < 1.05


def test_cells_that_keep_their_place_keep_the_picture():
    first = smooth_picture()
    own = cell_centres(12, 16).expand(1, 2, -1, -1, -1)
    pictures, share = compensate(first, own, torch.ones(1, 2, 12, 16))
    torch.testing.assert_close(pictures, first[:, :, None].expand(-1, -1, 8, -1, -1), atol=1e-5, rtol=0)
    torch.testing.assert_close(share, torch.ones_like(share), atol=1e-5, rtol=0)  # up to the border
    assert not compensate(first, own, torch.zeros(1, 2, 12, 16))[1].any()


def test_a_steady_motion_is_steady_within_latent_frames():
    """Places say where things are every fourth frame; between, they move on."""
    first, speed = smooth_picture(1), torch.tensor([0.7, -0.45])
    middles = torch.tensor([2.5, 6.5, 10.5])
    moved = cell_centres(12, 16) - middles.view(1, 3, 1, 1, 1) * speed
    pictures, _ = compensate(first, moved, torch.ones(1, 3, 12, 16))
    for frame in range(12):
        wanted = shifted(first, (frame + 1) * speed)
        inner = (..., slice(6, -14), slice(14, -6))
        torch.testing.assert_close(pictures[:, :, frame][inner], wanted[inner], atol=0.01, rtol=0)


@given(st.floats(-3.9, 3.9), st.floats(-3.9, 3.9))
@settings(max_examples=20, deadline=None)
def test_patches_leave_no_gap_wherever_between_pixels_they_lie(x: float, y: float):
    moved = (cell_centres(12, 16) - torch.tensor([x, y])).expand(1, 1, -1, -1, -1)
    share = compensate(smooth_picture(), moved, torch.ones(1, 1, 12, 16))[1]
    inner = share[..., 8:-8, 8:-8]  # frames go on at the same speed: at most 1.6 times as far
    torch.testing.assert_close(inner, torch.ones_like(inner), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 5), (6, 1)])
def test_pictures_of_a_single_cell_across(rows: int, columns: int):
    first = torch.rand(2, 3, 4 * rows, 4 * columns, generator=torch.Generator().manual_seed(0))
    own = cell_centres(rows, columns).expand(2, 3, -1, -1, -1)
    pictures, share = compensate(first, own, torch.ones(2, 3, rows, columns))
    torch.testing.assert_close(pictures, first[:, :, None].expand(-1, -1, 12, -1, -1), atol=1e-4, rtol=0)
    torch.testing.assert_close(share, torch.ones(2, 1, 12, 4 * rows, 4 * columns), atol=1e-4, rtol=0)


def test_clips_of_a_batch_do_not_mix():
    generator = torch.Generator().manual_seed(0)
    first = torch.rand(2, 3, *SIZE, generator=generator)
    moved = cell_centres(12, 16) + 6 * torch.randn(2, 2, 12, 16, 2, generator=generator)
    sure = torch.rand(2, 2, 12, 16, generator=generator)
    together = compensate(first, moved, sure)
    for row in range(2):
        alone = compensate(first[row : row + 1], moved[row : row + 1], sure[row : row + 1])
        assert all(torch.equal(both[row], one[0]) for both, one in zip(together, alone, strict=True))


def test_a_turning_picture_turns():
    first = smooth_picture(2)
    middle, angle = torch.tensor([32.0, 24.0]), 0.3
    turn = torch.tensor([[1.0, -angle], [angle, 1.0]]) / (1 + angle**2) ** 0.5
    centres = cell_centres(12, 16)
    there = ((centres - middle) @ turn + middle)[None, None]
    pictures, _ = compensate(first, there, torch.ones(1, 1, 12, 16))
    y, x = torch.meshgrid(torch.arange(48) + 0.5, torch.arange(64) + 0.5, indexing="ij")
    grid = ((torch.stack([x, y], -1) - middle) @ turn + middle) / torch.tensor([64.0, 48.0]) * 2 - 1
    wanted = torch.nn.functional.grid_sample(first, grid[None], align_corners=False)
    middle_frames = pictures[:, :, 1:3].mean(2)  # the places hold between these two
    inner = (..., slice(12, -12), slice(12, -12))
    assert float((middle_frames - wanted)[inner].abs().mean()) < 0.01


@pytest.fixture(scope="module")
def codec() -> BlockCodec:
    videos = render(sample_scene(0, range(12), num_frames=9, resolution=48), SIZE).transpose(1, 2) * 2 - 1
    return BlockCodec.fit([videos], 24 + 4 * len(WAVELENGTHS), wavelengths=WAVELENGTHS)


def test_the_encoder_knows_the_first_frame_alone_and_the_rest_is_blocks(codec: BlockCodec, tmp_path):
    video = render(sample_scene(3, [5], num_frames=9, resolution=48), SIZE).transpose(1, 2) * 2 - 1
    codes = codec.codes(video)
    assert codes.shape == (1, 36, 3, 12, 16)
    found, length = places(codes[0, 24:].movedim(0, -1), cell_centres(12, 16), SIZE)
    torch.testing.assert_close(found, cell_centres(12, 16).expand_as(found), atol=1e-3, rtol=0)
    torch.testing.assert_close(length, torch.tensor([1.0, WHISPER, WHISPER])[:, None, None].expand(-1, 12, 16))
    plain = BlockCodec(z_dim=24)
    plain.basis.data.copy_(codec.basis)
    plain.mean.data.copy_(codec.mean)
    blocks = plain.pictures(codes[:, :24])
    assert torch.equal(codec.pictures(codes)[:, :, :1], blocks[:, :, :1])
    assert torch.equal(codec.pictures(codes)[:, :, 1:], deblocked(blocks[:, :, 1:], 4))
    codec.save_pretrained(tmp_path)
    assert torch.equal(BlockCodec.from_pretrained(tmp_path).codes(video), codes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_moves_things_as_far(codec: BlockCodec, dtype: torch.dtype):
    """Places are told to a small part of a pixel, though bfloat16 has eight bits."""
    video = render(sample_scene(3, [5], num_frames=9, resolution=48), SIZE).transpose(1, 2) * 2 - 1
    codes = codec.codes(video)
    moved = phases(cell_centres(12, 16) - torch.tensor([5.3, -2.6]), SIZE)
    codes[:, 24:, 1:] = moved.permute(2, 0, 1)[None, :, None]
    found, _ = places(codes[0, 24:, 1].to(dtype).movedim(0, -1).float(), cell_centres(12, 16), SIZE)
    torch.testing.assert_close(found, cell_centres(12, 16) - torch.tensor([5.3, -2.6]), atol=0.05, rtol=0)
    half = BlockCodec(36, codec.config["latents_mean"], codec.config["latents_std"], WAVELENGTHS)  # type: ignore[index]
    half.load_state_dict(codec.state_dict())
    half.to(dtype)
    decoded = half.pictures(codes.to(dtype))
    assert decoded.dtype == dtype
    assert float((decoded.float() - codec.pictures(codes)).abs().mean()) < 0.02


def test_true_places_show_moving_things_better_than_their_blocks(codec: BlockCodec):
    """At 24 channels blocks are soft; what the first frame shows is as sharp as that frame."""
    scene = sample_scene(9, range(6), num_frames=9, resolution=48)
    video = render(scene, SIZE).transpose(1, 2) * 2 - 1
    first = video.clone()
    first[:, :, 1:] = 0
    codes = codec.codes(first)
    found, seen = sources(scene, SIZE)
    codes[:, 24:, 1:] = (phases(found, SIZE) * seen[..., None]).permute(0, 4, 1, 2, 3)
    decoded = codec.pictures(codes)
    where = (compensate(first[:, :, 0], found, seen.float())[1] > 0.9).expand_as(video[:, :, 1:])

    def psnr(other: torch.Tensor) -> float:
        return float(-10 * torch.log10(((other - video)[:, :, 1:] / 2)[where].square().mean()))

    still = video[:, :, :1].expand_as(video)
    assert psnr(decoded) > psnr(still) + 6
    assert psnr(decoded) > 25
