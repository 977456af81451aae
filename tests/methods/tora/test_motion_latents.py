from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

from motionloom.errors import InputError
from motionloom.methods.tora.flow import flow_colours, flow_video
from motionloom.methods.tora.motion_latents import given_video, motion_latents, part_of, tracks_videos
from motionloom.tracks.tracks import Tracks

_tiny = runpy.run_path(str(Path(__file__).with_name("tiny.py")))
SIZE = (32, 48)


def make_tracks(start: tuple[float, float], step: tuple[float, float], frames: int = 9, **changes) -> Tracks:
    points = np.float32(start) + np.arange(frames)[:, None, None] * np.float32(step)
    visible = changes.get("visible", np.ones((frames, 1), np.bool_))
    return Tracks(points.astype(np.float32), visible, changes.get("size", SIZE), 8.0)


def test_tracks_are_stretched_and_fitted_into_the_frames():
    half = make_tracks((4, 8), (1, 0.5), frames=5, size=(16, 24))
    videos, seen = tracks_videos([half], SIZE, 9)
    whole = make_tracks((8, 16), (1, 0.5))
    assert videos[0].shape == (3, 9, *SIZE)
    assert torch.equal(videos[0], flow_video(whole.points, whole.visible, SIZE).transpose(0, 1))
    assert seen == [True]


@pytest.mark.parametrize(
    ("tracks", "frames", "seen"),
    [
        (make_tracks((8, 8), (0, 0)), 9, True),  # stands still: the model is shown that nothing moves
        (make_tracks((-50, 8), (2, 0)), 9, False),
        (make_tracks((-5, 8), (2, 0)), 9, True),  # comes in
        (make_tracks((8, 8), (1, 0), visible=np.zeros((9, 1), np.bool_)), 9, False),
        (make_tracks((8, 8), (1, 0), visible=np.eye(9, 1, dtype=np.bool_)), 9, False),  # one frame is no motion
        (Tracks.empty(9, SIZE, 8.0), 9, False),
        (make_tracks((8, 8), (1, 0)), 1, False),
    ],
)
def test_what_can_be_seen(tracks, frames, seen):
    videos, found = tracks_videos([tracks], SIZE, frames)
    assert found == [seen]
    moving = bool((videos[0] < 254).any())
    assert moving == (seen and bool(np.ptp(tracks.points, axis=0).any()))


def test_own_displacements_are_coloured_as_they_are():
    flow = np.random.default_rng(0).normal(0, 3, (11, *SIZE, 2)).astype(np.float32)
    expected = flow_colours(np.moveaxis(flow[:9], 3, 1)).transpose(0, 1)
    assert torch.equal(given_video(flow, SIZE, 9), expected)
    assert torch.equal(given_video(expected.transpose(0, 1), SIZE, 9), expected)


@pytest.mark.parametrize(
    ("flow", "message"),
    [
        (np.zeros((9, 2, *SIZE), np.float32), r"found torch.float32 of shape \(9, 2, 32, 48\)"),
        (np.zeros((9, *SIZE, 3), np.uint8), r"uint8 \[T, 3, H, W\]"),
        (np.zeros((9, 48, 32, 2), np.float32), "found 32x48, expected 48x32"),
        (np.zeros((8, 3, *SIZE), np.uint8), "found 8 frames, expected at least the 9"),
    ],
)
def test_a_flow_that_does_not_fit_is_refused(flow, message):
    with pytest.raises(InputError, match=message):
        given_video(flow, SIZE, 9)


def test_parts_keep_the_colours_of_the_whole():
    tracks = make_tracks((2, 8), (4, 0))
    video = tracks_videos([tracks], SIZE, 9)[0][0]
    assert torch.equal(part_of(video, 0, 5), video[:, :5])
    later = part_of(video, 4, 5)
    assert bool((later[:, 0] == 255).all())
    assert torch.equal(later[:, 1:], video[:, 5:9])
    assert not bool((video[:, 4] == 255).all())  # the clip itself is untouched


@pytest.mark.parametrize("newer", [False, True])
def test_latents_are_scaled_and_never_divided(newer):
    vae = _tiny["vae"](newer)
    video = tracks_videos([make_tracks((8, 8), (2, 1))], SIZE, 9)[0][0]
    with torch.no_grad():
        expected = vae.encode(video[None].float() / 127.5 - 1).latent_dist.mean * vae.config.scaling_factor
    found = motion_latents(vae, [video, video])
    assert found.shape == (2, 4, 3, 4, 6)
    assert torch.equal(found[:1], expected)
    assert torch.equal(found[1:], expected)


def test_a_sample_follows_its_generator():
    vae, video = _tiny["vae"](), tracks_videos([make_tracks((8, 8), (2, 1))], SIZE, 9)[0][0]

    def drawn(seed: int) -> torch.Tensor:
        return motion_latents(vae, [video], posterior="sample", generator=torch.Generator().manual_seed(seed))

    state = torch.get_rng_state()
    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    assert torch.equal(torch.get_rng_state(), state)
    spread = torch.stack([drawn(seed) for seed in range(20)])
    mode = motion_latents(vae, [video])
    assert (spread.mean(0) - mode).abs().mean() < 0.5 * (spread - mode).abs().mean()
