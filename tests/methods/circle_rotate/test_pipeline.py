from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from motionloom.errors import InputError
from motionloom.methods.circle_rotate.circle_rotate import PLAIN, unshifted
from motionloom.methods.circle_rotate.pipeline import CircleRotatePipeline
from motionloom.methods.wan import published_scheduler

SIZE = {"height": 32, "width": 48, "num_frames": 9, "output_type": "latent"}


def test_scheduler_has_the_published_noise_levels():
    scheduler: Any = published_scheduler("euler", 8.0)
    scheduler.set_timesteps(4)
    assert (scheduler.sigmas - torch.tensor([1, 0.96, 8 / 9, 8 / 11, 0])).abs().max() < 1e-7
    assert (scheduler.timesteps - torch.tensor([1000, 960, 8000 / 9, 8000 / 11])).abs().max() < 1e-3
    for steps in (1, 2, 4, 7, 8, 40):
        scheduler.set_timesteps(steps)
        u = unshifted(steps)
        assert np.abs(scheduler.sigmas.numpy()[:-1] - 8 * u / (1 + 7 * u)).max() < 1e-6
    # Told the noise levels, it does as the stock scheduler does.
    scheduler.set_timesteps(sigmas=[1.0, 0.5])
    assert (scheduler.sigmas - torch.tensor([1, 8 / 9, 0])).abs().max() < 1e-7


def calls_of(pipe):
    calls = []
    for name in ("transformer", "transformer_2"):
        getattr(pipe, name).register_forward_pre_hook(
            lambda module, args, kwargs, name=name: calls.append((name, round(float(kwargs["timestep"][0]), 1))),
            with_kwargs=True,
        )
    return calls


def test_two_steps_of_each_expert(experts, photographs, embeddings):
    pipe = CircleRotatePipeline.from_pipe(experts())
    pipe.set_progress_bar_config(disable=True)
    before = pipe.scheduler
    calls = calls_of(pipe)
    pipe(*photographs, **SIZE, **embeddings, generator=torch.Generator().manual_seed(0))
    assert calls == [
        *[("transformer", 1000.0)] * 2,
        *[("transformer", 960.0)] * 2,
        *[("transformer_2", 888.9)] * 2,
        *[("transformer_2", 727.3)] * 2,
    ]
    assert pipe.scheduler is before
    calls.clear()
    pipe(*photographs, **SIZE, **embeddings, schedule=PLAIN)
    assert len(calls) == 80
    assert calls[0] == ("transformer", 999.0)
    assert sum(name == "transformer" for name, _ in calls) == 2 * 15  # of 40 steps at shift 5, 15 lie at 0.9 and above


def cover(image, height, width):
    """Cut about the centre to the shape, then bilinear, as ComfyUI's `common_upscale` does; by hand."""
    h, w = image.shape[:2]
    x = round((w - w * (width / height) / (w / h)) / 2) if w / h > width / height else 0
    y = round((h - h * (w / h) / (width / height)) / 2) if w / h < width / height else 0
    cut = torch.from_numpy(image[y : h - y, x : w - x].copy()).permute(2, 0, 1)[None].float() / 127.5 - 1
    return interpolate(cut, (height, width), mode="bilinear")


def test_equals_the_published_graph_by_hand(experts, photographs, embeddings):
    """Condition, noise levels, Euler steps, experts and guidance written out, without pipeline or scheduler."""
    pipe = CircleRotatePipeline.from_pipe(experts())
    pipe.set_progress_bar_config(disable=True)
    ours = pipe(*photographs, **SIZE, **embeddings, generator=torch.Generator().manual_seed(3)).frames
    video = torch.zeros(1, 3, 9, 32, 48)
    video[:, :, 0], video[:, :, 8] = (cover(each, 32, 48) for each in photographs)
    mask = torch.zeros(1, 4, 3, 4, 6)
    mask[:, :, 0] = 1
    mask[:, 3, 2] = 1
    with torch.no_grad():
        z = pipe.vae.encode(video).latent_dist.mode()
        mean, std = (torch.tensor(pipe.vae.config[key]).view(1, 16, 1, 1, 1) for key in ("latents_mean", "latents_std"))
        condition = torch.cat([mask, (z - mean) / std], 1)
        x = torch.randn(1, 16, 3, 4, 6, generator=torch.Generator().manual_seed(3))
        sigmas = [1.0, 0.96, 8 / 9, 8 / 11, 0.0]
        for sigma, following in pairwise(sigmas):
            model = pipe.transformer if sigma >= 0.9 else pipe.transformer_2
            time = torch.tensor([1000 * sigma])
            with_text, without = (
                model(torch.cat([x, condition], 1), time, text, return_dict=False)[0] for text in embeddings.values()
            )
            x = x + (following - sigma) * (without + 1.6 * (with_text - without))
    assert (ours - x).abs().max() < 1e-5


def test_first_photograph_alone_and_other_settings(experts, photographs, embeddings):
    pipe = CircleRotatePipeline.from_pipe(experts())
    pipe.set_progress_bar_config(disable=True)
    calls = calls_of(pipe)
    pipe(photographs[0], **SIZE, **embeddings, num_inference_steps=8, guidance_scale=1.0)
    assert [name for name, _ in calls] == ["transformer"] * 4 + ["transformer_2"] * 4


def test_refuses_other_pipelines(experts, photographs, embeddings):
    one = CircleRotatePipeline.from_pipe(experts(None, two=False))
    with pytest.raises(InputError, match=r"needs the two experts of Wan2.2-I2V-A14B"):
        one(*photographs, **SIZE, **embeddings)
    other = CircleRotatePipeline.from_pipe(experts(0.875))
    with pytest.raises(InputError, match=r"found boundary_ratio=0.875, expected 0.9"):
        other(*photographs, **SIZE, **embeddings)
    with pytest.raises(InputError, match=r"strength: found 0.5, but no orbit LoRA"):
        CircleRotatePipeline.from_pipe(experts())(*photographs, **SIZE, **embeddings, strength=0.5)
