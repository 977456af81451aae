"""Procedural clips for Tora's training: latents, first frame, exact dense flow and exact tracks."""

from __future__ import annotations

import numpy as np
import torch

from motionloom.prepare.procedural import dense_flow, render, sample_scene, trace
from motionloom.train.pool import RenewedPool
from motionloom.train.tora.base import TEXT_DIM, TEXT_TOKENS
from motionloom.train.tora.denoising import MovingClips, Vae, video_latents

TRACKS = 256
"""Exact tracks per clip; they start anywhere in the first frame."""


def procedural_pool(
    vae: Vae, size: tuple[int, int], num_frames: int, seed: int, *, moving: bool = True, capacity: int = 512
) -> RenewedPool[MovingClips]:
    """Clips of one data set, made on the fly.

    Args:
        vae: encodes the frames.
        seed: names the data set.
        moving: with flow and tracks; the base is trained without.
    """
    return RenewedPool(
        lambda indices: procedural_clips(vae, seed, indices, size, num_frames, moving=moving), seed, capacity=capacity
    )


@torch.no_grad()
def procedural_clips(
    vae: Vae, seed: int, indices: range, size: tuple[int, int], num_frames: int, *, moving: bool = True
) -> MovingClips:
    """Latents, frames and flow are kept in half precision."""
    scene = sample_scene(seed, indices, num_frames=num_frames, resolution=min(size) // 2)
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
