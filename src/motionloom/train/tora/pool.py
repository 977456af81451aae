"""Procedural clips for Tora's training: latents, first frame, exact dense flow and exact tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from motionloom.prepare.procedural import Scene, dense_flow, render, sample_scene, trace
from motionloom.train.pool import RenewedPool
from motionloom.train.tora.base import TEXT_DIM, TEXT_TOKENS
from motionloom.train.tora.denoising import MovingClips, Vae, video_latents

TRACKS = 256
"""Exact tracks per clip; they start anywhere in the first frame."""


def procedural_pool(
    vae: Vae,
    size: tuple[int, int],
    num_frames: int,
    seed: int,
    *,
    camera: bool = True,
    moving: bool = True,
    capacity: int = 512,
) -> RenewedPool[MovingClips]:
    """Clips of one data set, made on the fly.

    Args:
        vae: encodes the frames.
        seed: names the data set.
        camera: see `procedural_scene`.
        moving: with flow and tracks; the base is trained without.
    """

    def make(indices: range) -> MovingClips:
        return procedural_clips(vae, seed, indices, size, num_frames, camera=camera, moving=moving)

    return RenewedPool(make, seed, capacity=capacity)


def procedural_scene(
    seed: int, indices: Sequence[int], size: tuple[int, int], num_frames: int, *, camera: bool = True
) -> Scene:
    """Scenes with half the detail of their size, so that a tiny codec can show them.

    Args:
        camera: off, the ground stands still and everything on it moves as seen from there. The authors of Tora advise
            to train on such clips.
    """
    scene = sample_scene(seed, indices, num_frames=num_frames, resolution=max(12, min(size) // 2))
    if camera:
        return scene
    zoom, pan = scene.scale[:, :1], scene.shift[:, :1]
    bend = scene.bend_gain.clone()
    bend[:, 0] = 0
    return replace(scene, scale=scene.scale / zoom, shift=(scene.shift - pan) / zoom, bend_gain=bend)


@torch.no_grad()
def procedural_clips(
    vae: Vae,
    seed: int,
    indices: range,
    size: tuple[int, int],
    num_frames: int,
    *,
    camera: bool = True,
    moving: bool = True,
) -> MovingClips:
    """Latents, frames and flow are kept in half precision."""
    scene = procedural_scene(seed, indices, size, num_frames, camera=camera)
    video = render(scene, size).transpose(1, 2) * 2 - 1
    latents, image = video_latents(vae, video).half(), video[:, :, 0].half()
    text = torch.zeros(len(indices), TEXT_TOKENS, TEXT_DIM)
    if not moving:
        flow, none = torch.zeros(len(indices), num_frames - 1, 2, 0, 0), torch.zeros(len(indices), num_frames, 0, 2)
        return MovingClips(latents, image, text, flow, none, none[..., 0].bool())
    starts = [np.random.default_rng([seed, index, 3]).uniform(0, 1, (TRACKS, 2)) for index in indices]
    start = torch.from_numpy(np.stack(starts) * [size[1], size[0]]).float()
    points, visible = trace(scene, start, size)
    return MovingClips(latents, image, text, dense_flow(scene, size).half(), points, visible)
