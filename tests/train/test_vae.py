from __future__ import annotations

from pathlib import Path

import pytest
import torch

from motionloom.errors import CheckpointError, InputError
from motionloom.prepare.procedural import render, sample_scene
from motionloom.train import vae
from motionloom.train.latents import to_latents, to_video


def error_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> float:
    ticks = iter(range(10_000))
    monkeypatch.setattr(vae.time, "monotonic", lambda: float(next(ticks)))
    codec = vae.train_vae(8, seconds=steps, base_dim=8, side=16, num_frames=5, batch=2, learning_rate=5e-3)
    video = render(sample_scene(99, range(4), num_frames=5, resolution=16), (16, 16)).transpose(1, 2) * 2 - 1
    latents = to_latents(codec, video)
    assert latents.shape == (4, 8, 2, 4, 4)
    return float((to_video(codec, latents) - video).square().mean())


@pytest.mark.slow
def test_training_lowers_the_error_on_held_out_clips(monkeypatch: pytest.MonkeyPatch):
    assert error_after(40, monkeypatch) < 0.7 * error_after(1, monkeypatch)


def test_latents_are_normalised(monkeypatch: pytest.MonkeyPatch):
    ticks = iter(range(10_000))
    monkeypatch.setattr(vae.time, "monotonic", lambda: float(next(ticks)))
    codec = vae.train_vae(6, seconds=3, base_dim=8, side=16, num_frames=5, batch=2)
    video = render(sample_scene(0, range(50, 62), num_frames=5, resolution=16), (16, 16)).transpose(1, 2) * 2 - 1
    latents = to_latents(codec, video)
    assert 0.4 < latents.std() < 2.5
    assert latents.mean().abs() < 0.5
    assert torch.isfinite(latents).all()


def test_refuses_other_lengths():
    with pytest.raises(InputError, match="expected 1 \\+ a multiple of 4"):
        vae.train_vae(4, seconds=0, num_frames=6)


def test_the_checkpoint_of_another_codec_is_refused(tmp_path: Path):
    def train(channels: int) -> None:
        vae.train_vae(
            channels,
            seconds=1e-9,
            base_dim=8,
            side=16,
            num_frames=5,
            batch=1,
            checkpoint=tmp_path / "codec.safetensors",
            checkpoint_every=0.0,
        )

    train(4)
    with pytest.raises(CheckpointError, match="different: latent_channels"):
        train(6)
