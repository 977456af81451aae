from __future__ import annotations

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from motionloom.errors import InputError
from motionloom.prepare.procedural import (
    layer_at,
    outline,
    render,
    sample_scene,
    texture,
    trace,
    visible_before,
    with_photographs,
)

SIZE = (48, 64)
SIMPLE_MOTION = "c86f22e887369de4"


def colours(video: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
    """[B, T, N, 3] of video [B, T, 3, H, W] at points [B, T, N, 2]."""
    limit = torch.tensor([video.shape[-1], video.shape[-2]])
    grid = (points / limit * 2 - 1).expand(-1, video.shape[1], -1, -1).flatten(0, 1)[:, None]
    taken = F.grid_sample(video.flatten(0, 1), grid, align_corners=False)[:, :, 0]
    return taken.unflatten(0, video.shape[:2]).movedim(2, -1)


def some_points(clips: int, count: int = 150, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(clips, count, 2, generator=generator) * torch.tensor([SIZE[1], SIZE[0]])


def test_clip_depends_on_seed_and_index_alone():
    together = render(sample_scene(5, [3, 8], num_frames=5, resolution=48), SIZE)
    alone = render(sample_scene(5, [8], num_frames=5, resolution=48), SIZE)
    assert torch.equal(together[1], alone[0])
    assert not torch.equal(together[0], together[1])
    other = render(sample_scene(6, [8], num_frames=5, resolution=48), SIZE)
    assert not torch.equal(alone, other)


def test_tracks_start_where_asked_and_keep_their_colour():
    scene = sample_scene(1, range(12), num_frames=9, resolution=48)
    video = render(scene, SIZE)
    start = some_points(12)
    points, visible = trace(scene, start, SIZE)
    torch.testing.assert_close(points[:, 0], start, atol=2e-4, rtol=0)
    assert visible[:, 0].all()
    taken = colours(video, points)
    difference = (taken - taken[:, :1]).abs().mean(-1)
    # What is visible looks the same; what is hidden shows something else.
    assert difference[visible].median() < 0.01
    assert difference[~visible].median() > 5 * difference[visible].median()
    moved = (points[:, -1] - points[:, 0]).norm(dim=-1)
    assert moved.mean() > 1.5


def test_trace_from_another_frame_comes_back():
    scene = sample_scene(2, range(6), num_frames=7, resolution=48)
    there, seen_there = trace(scene, some_points(6), SIZE, frame=4)
    torch.testing.assert_close(there[:, 4], some_points(6), atol=2e-4, rtol=0)
    back, _ = trace(scene, there[:, 0].contiguous(), SIZE, frame=0)
    both = seen_there[:, 0] & seen_there[:, 4]
    assert both.float().mean() > 0.5
    error = (back[:, 4] - there[:, 4]).norm(dim=-1)[both]
    assert error.quantile(0.98) < 1e-2


def test_uncovered_pixels_are_not_visible_before():
    scene = sample_scene(1, range(4), num_frames=3, resolution=48)
    seen = visible_before(scene, SIZE)
    assert seen.shape == (4, 3, *SIZE)
    assert seen[:, 0].all()
    assert 0.5 < seen[:, -1].float().mean() < 0.999


def test_no_motion_gives_a_still_clip():
    scene = sample_scene(1, range(4), num_frames=5, resolution=48, motion=0.0)
    video = render(scene, SIZE)
    assert torch.equal(video[:, :1].expand_as(video), video)
    points, visible = trace(scene, some_points(4), SIZE)
    assert (points - points[:, :1]).abs().max() < 1e-4
    assert visible.all()


def test_photographs_keep_the_motion():
    scene = sample_scene(1, range(2), num_frames=5, resolution=48)
    grey = np.full((60, 80, 3), 128, np.uint8)
    red = np.zeros((50, 50, 3), np.uint8)
    red[..., 0] = 255
    photographed = with_photographs(scene, [grey, red], seed=0)
    assert torch.equal(photographed.scale, scene.scale)
    torch.testing.assert_close(photographed.background[0], torch.full_like(scene.background[0], 128 / 255))
    video = render(replace(photographed, present=torch.zeros_like(scene.present)), SIZE)
    torch.testing.assert_close(video[0], torch.full_like(video[0], 128 / 255))
    assert (video[1, :, 0] > 0.99).all()
    assert (video[1, :, 1:] < 0.01).all()


def test_photographs_go_where_the_scene_is():
    scene = sample_scene(1, range(2), num_frames=2, resolution=16).to("meta")
    photographed = with_photographs(scene, [np.zeros((20, 20, 3), np.uint8)], seed=0)
    assert {getattr(photographed, name).device.type for name in ("background", "sprites", "scale")} == {"meta"}
    with pytest.raises(InputError, match="photographs: found none"):
        with_photographs(scene, [], seed=0)


@pytest.mark.parametrize("style", ["simple", "natural"])
def test_points_of_any_type_mean_the_same(style):
    size = (31, 33)  # whose middle is between pixels
    scene = sample_scene(1, range(2), num_frames=3, resolution=31, style=style)
    points = torch.randint(0, 31, (2, 40, 2), generator=torch.Generator().manual_seed(0))
    expected, seen = trace(scene, points.float(), size)
    for other in (points, points.double()):
        tracks, visible = trace(scene, other, size)
        assert torch.equal(tracks, expected)
        assert torch.equal(visible, seen)
        assert torch.equal(layer_at(scene, other, size), layer_at(scene, points.float(), size))


@pytest.mark.parametrize(
    ("shape", "frame", "words"),
    [
        ((3, 5, 2), 0, r"points: found shape \(3, 5, 2\), expected \[2, N, 2\]"),
        ((5, 2), 0, r"points: found shape \(5, 2\)"),
        ((2, 5, 2), 3, "frame: found 3, expected 0 to 2"),
        ((2, 5, 2), -1, "frame: found -1"),
    ],
)
def test_tracing_refuses_nonsense(shape: tuple[int, ...], frame: int, words: str):
    scene = sample_scene(1, range(2), num_frames=3, resolution=16)
    for ask in (trace, layer_at):
        with pytest.raises(InputError, match=words):
            ask(scene, torch.zeros(shape), (16, 16), frame=frame)


def test_outlines_stay_inside_their_texture():
    for seed in range(30):
        alpha = outline(np.random.default_rng(seed), 64, softness=0.02)
        border = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
        assert border.max() < 0.05
        assert 0.02 < (alpha > 0.5).mean() < 0.9


def test_textures_are_pictures():
    stacks = np.stack([texture(np.random.default_rng(seed), 64) for seed in range(20)])
    assert stacks.shape == (20, 3, 64, 64)
    assert stacks.min() >= 0
    assert stacks.max() <= 1
    assert (stacks.std(axis=(1, 2, 3)) > 0.02).all()


@pytest.mark.parametrize(("frames", "side"), [(0, 64), (5, 4)])
def test_refuses_nonsense(frames: int, side: int):
    with pytest.raises(InputError, match="expected at least 1 frame and 8 pixels"):
        sample_scene(0, [0], num_frames=frames, resolution=side)


def test_simple_clips_stay_as_they_were():
    """Committed numbers, and what Tora learned, rest on these very clips."""
    scene = sample_scene(7, range(3), num_frames=5, resolution=32)
    sums = {
        "scale": 0.7857823014259339,
        "shift": 0.2613622752080361,
        "bend_wave": 0.7818690718875991,
        "bend_phase": 1.2136449528651105,
        "bend_gain": 0.0038496355784849987,
        "background": 0.5468474784930998,
        "sprites": 0.22697355422048351,
    }
    for name, expected in sums.items():
        assert getattr(scene, name).abs().double().mean().item() == pytest.approx(expected, rel=1e-6), name
    video = render(scene, (32, 48))
    assert video.double().mean().item() == pytest.approx(0.5463034678954972, rel=1e-5)
    torch.testing.assert_close(video[1, 2, :, 10, 20], torch.tensor([0.9404, 0.8644, 0.9306]), atol=2e-4, rtol=0)
    drawn = scene.scale.numpy().tobytes() + scene.shift.numpy().tobytes()
    assert hashlib.sha256(drawn).hexdigest().startswith(SIMPLE_MOTION)


def test_layers_are_those_that_are_rendered():
    scene = sample_scene(1, range(6), num_frames=2, resolution=48)
    flat, layers = scene.sprites.clone(), scene.sprites.shape[1]
    flat[:, :, :3] = (torch.arange(1, layers + 1) / (layers + 1)).reshape(1, -1, 1, 1, 1)
    shown = render(replace(scene, sprites=flat, background=torch.zeros_like(scene.background)), SIZE)
    y, x = (torch.arange(extent) + 0.5 for extent in SIZE)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(1, -1, 2).expand(6, -1, -1)
    found = layer_at(scene, centres, SIZE, frame=1).unflatten(1, SIZE)
    # Rounding is right where nothing is mixed; pixels on edges are a few.
    assert ((shown[:, 1, 0] * (layers + 1)).round() == found).float().mean() > 0.95
    assert (found.amax((1, 2)) > 0).sum() >= 3
