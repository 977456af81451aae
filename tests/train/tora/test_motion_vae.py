"""A motion VAE: clips, loss, PSNR, and that tuning helps."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKLCogVideoX

from motionloom.errors import CheckpointError, InputError
from motionloom.tracks.tracks import Tracks
from motionloom.train.tora.motion_vae import (
    MotionVaeRecipe,
    load_vae,
    motion_clips,
    motion_psnr,
    reconstruction_loss,
    tune_motion_vae,
)

tiny = runpy.run_path(str(Path(__file__).parents[2] / "methods" / "tora" / "tiny.py"))
RECIPE = MotionVaeRecipe(size=(16, 16), num_frames=9, batch=1, steps=1, held_out=1)


def test_clips_are_motion():
    for kind in ("dense", "sparse"):
        video = motion_clips(RECIPE, 1, range(3), kind, np.random.default_rng(0))
        assert video.shape == (3, 3, 9, 16, 16)
        assert float(video.min()) >= -1
        assert float(video[:, :, 0].min()) > 0.98  # nothing has moved yet
        assert float(video[:, :, 1:].min()) < 0


def test_loss_is_the_mean_error_of_the_code_and_kl_counts_a_little():
    vae = tiny["vae"]()
    video = motion_clips(RECIPE, 1, range(1), "dense", np.random.default_rng(0))
    with torch.no_grad():
        plain, more = (
            reconstruction_loss(vae, video, torch.Generator().manual_seed(0), kl_weight=weight) for weight in (0.0, 1.0)
        )
        posterior = vae.encode(video).latent_dist
    assert float(more - plain) == pytest.approx(float(posterior.kl().mean()), rel=1e-3)
    assert 0.1 < float(plain) < 3


@pytest.mark.slow
def test_tuning_codes_held_out_motion_better_and_leaves_the_vae_alone(tmp_path):
    vae = tiny["vae"]()
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    recipe = replace(RECIPE, steps=12, learning_rate=2e-2, averaging=0.5, held_out=2)
    told = []
    folder = tune_motion_vae(tmp_path, vae, recipe=recipe, device="cpu", on_progress=told.append)
    assert [facts["step"] for facts in told] == list(range(1, 13))
    assert all(torch.equal(before[name], value) for name, value in vae.state_dict().items())
    facts = json.loads((folder / "training.json").read_text())
    tuned = load_vae(folder)
    assert type(tuned) is AutoencoderKLCogVideoX
    assert facts["psnr_before"] == motion_psnr(vae, recipe)
    assert facts["psnr_after"] == pytest.approx(motion_psnr(tuned, recipe), abs=1e-2)
    for kind in ("dense", "sparse"):
        assert facts["psnr_after"][kind] > facts["psnr_before"][kind] + 1

    pipe = tiny["i2v"]("i2v")
    from motionloom.methods.tora.pipeline import ToraImageToVideoPipeline

    adapter = tiny["adapter"](pipe.transformer)
    points = np.linspace([[8, 8]], [[24, 20]], 9, dtype=np.float32)
    tracks = Tracks(points, np.ones((9, 1), bool), (32, 32), 8.0)
    parts = {name: getattr(pipe, name) for name in ("tokenizer", "text_encoder", "vae", "transformer", "scheduler")}
    latents = []
    for motion_vae in (None, tuned):
        made = ToraImageToVideoPipeline(**parts, adapter=adapter, motion_vae=motion_vae)
        made.set_progress_bar_config(disable=True)
        latents.append(made(**tiny["inputs"]("i2v"), tracks=tracks).frames)
    assert not torch.equal(*latents)


@pytest.mark.slow
def test_resumes_and_refuses(tmp_path):
    vae = tiny["vae"]()
    tune_motion_vae(tmp_path, vae, recipe=RECIPE, device="cpu")
    told = []
    tune_motion_vae(tmp_path, vae, recipe=RECIPE, device="cpu", on_progress=told.append)
    assert told == []
    with pytest.raises(CheckpointError, match="different: sparse"):
        tune_motion_vae(tmp_path, vae, recipe=replace(RECIPE, sparse=0.1), device="cpu")
    with pytest.raises(InputError, match="holds an earlier training"):
        tune_motion_vae(tmp_path, vae, recipe=RECIPE, resume=False)
    with pytest.raises(InputError, match="size: found 20x16, expected multiples of 8"):
        tune_motion_vae(tmp_path, vae, recipe=replace(RECIPE, size=(16, 20)))
    with pytest.raises(InputError, match="num_frames: found 5"):
        tune_motion_vae(tmp_path, vae, recipe=replace(RECIPE, num_frames=5))
    with pytest.raises(InputError, match="found no model, expected the folder of an AutoencoderKLCogVideoX"):
        load_vae(tmp_path)
