"""Procedural clips for Tora's training: latents, first frame, exact dense flow and exact tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F

from motionloom.prepare.procedural import Scene, dense_flow, render, sample_scene, trace
from motionloom.train.pool import RenewedPool
from motionloom.train.tora.base import TEXT_DIM, TEXT_TOKENS
from motionloom.train.tora.denoising import MovingClips, Vae, video_latents

TRACKS = 256
"""Exact tracks per clip; they start anywhere in the first frame."""

World = Literal["free", "grounded", "sliding"]
"""Clips as `motionloom.prepare.procedural` makes them; or with a ground that stands still, so that everything on it
moves as seen from there (the authors of Tora advise to train on such clips); or on such a ground one rigid thing, not
small, that slides, all in soft textures, which a model learns to move within minutes on a CPU."""

_SLIDING_SIZE = 0.45  # of a sliding thing at least, in half short sides
_SOFT = 8, 3  # places along a side in which the colours of the ground and of the thing differ


def procedural_pool(
    vae: Vae,
    size: tuple[int, int],
    num_frames: int,
    seed: int,
    *,
    world: World = "free",
    moving: bool = True,
    capacity: int = 512,
) -> RenewedPool[MovingClips]:
    """Clips of one data set, made on the fly.

    Args:
        vae: encodes the frames.
        seed: names the data set.
        world: see `World`.
        moving: with flow and tracks; the base is trained without.
    """

    def make(indices: range) -> MovingClips:
        return procedural_clips(vae, seed, indices, size, num_frames, world=world, moving=moving)

    return RenewedPool(make, seed, capacity=capacity)


def procedural_scene(
    seed: int, indices: Sequence[int], size: tuple[int, int], num_frames: int, *, world: World = "free"
) -> Scene:
    """Scenes with half the detail of their size, so that a tiny codec can show them."""
    scene = sample_scene(
        seed,
        indices,
        num_frames=num_frames,
        resolution=max(12, min(size) // 2),
        motion=1.5 if world == "sliding" else 1.0,
    )
    if world == "free":
        return scene
    zoom, pan = scene.scale[:, :1], scene.shift[:, :1]
    bend = scene.bend_gain.clone()
    bend[:, 0] = 0
    scene = replace(scene, scale=scene.scale / zoom, shift=(scene.shift - pan) / zoom, bend_gain=bend)
    if world == "grounded":
        return scene
    scale, sprites = scene.scale[..., :1].expand_as(scene.scale), scene.sprites.clone()
    sprites[:, 0, :3] = _soft(sprites[:, 0, :3], _SOFT[1])
    return replace(
        scene,
        scale=scale * (_SLIDING_SIZE / scale.abs()).clamp_min(1),
        bend_gain=torch.zeros_like(bend),
        background=_soft(scene.background, _SOFT[0]),
        sprites=sprites,
        present=torch.arange(scene.present.shape[1]).expand_as(scene.present) < 2,
    )


def _soft(textures: torch.Tensor, places: int) -> torch.Tensor:
    """Textures [B, 3, s, s] of so few places along a side, smooth between them."""
    coarse = F.adaptive_avg_pool2d(textures, places)
    return F.interpolate(coarse, textures.shape[-2:], mode="bicubic").clamp(0, 1)


@torch.no_grad()
def procedural_clips(
    vae: Vae,
    seed: int,
    indices: range,
    size: tuple[int, int],
    num_frames: int,
    *,
    world: World = "free",
    moving: bool = True,
) -> MovingClips:
    """Latents, frames and flow are kept in half precision, on the CPU."""
    scene = procedural_scene(seed, indices, size, num_frames, world=world)
    video = render(scene, size).transpose(1, 2) * 2 - 1
    latents, image = video_latents(vae, video).cpu().half(), video[:, :, 0].half()
    text = torch.zeros(len(indices), TEXT_TOKENS, TEXT_DIM)
    if not moving:
        flow, none = torch.zeros(len(indices), num_frames - 1, 2, 0, 0), torch.zeros(len(indices), num_frames, 0, 2)
        return MovingClips(latents, image, text, flow, none, none[..., 0].bool())
    starts = [np.random.default_rng([seed, index, 3]).uniform(0, 1, (TRACKS, 2)) for index in indices]
    start = torch.from_numpy(np.stack(starts) * [size[1], size[0]]).float()
    points, visible = trace(scene, start, size)
    return MovingClips(latents, image, text, dense_flow(scene, size).half(), points, visible)
