"""What a motion is to the networks: a flow video, and its latents through the pipeline's VAE (or one tuned for it)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.tora.flow import Normalisation, flow_colours, flow_video
from motionloom.tracks.tracks import Tracks

Posterior = Literal["mode", "sample"]
"""The likeliest latents; or some drawn from the VAE's posterior, as the published program does."""

STILL = 255
"""Of a flow video where nothing moves: white."""

Flow = Tensor | NDArray[Any]
"""Displacements float [T, H, W, 2], (x, y) in pixels from the frame before, which are coloured as they are; or a flow
video uint8 [T, 3, H, W], whose colours are taken as they are."""


def tracks_videos(
    tracks: Sequence[Tracks],
    size: tuple[int, int],
    num_frames: int,
    *,
    normalisation: Normalisation = "inference",
    scale_blob: bool = False,
    whole_pixels: bool = False,
) -> tuple[list[Tensor], list[bool]]:
    """The flow video uint8 [3, T, H, W] of each motion, and whether anything of it can be seen.

    Tracks are stretched to ``size`` and fitted into the frames. A track is seen if at some frame its point is visible,
    on the canvas, and visible in the next frame too; so in a clip of one frame none is.

    Args:
        size: (height, width); the others: see `flow_video`.
    """
    videos: list[Tensor] = []
    seen: list[bool] = []
    for one in tracks:
        fitted = one.resize(size).resample(num_frames)
        options = {"normalisation": normalisation, "scale_blob": scale_blob, "whole_pixels": whole_pixels}
        videos.append(flow_video(fitted.points, fitted.visible, size, **options).transpose(0, 1))
        there = fitted.visible & fitted.inside()
        seen.append(bool((there[:-1] & fitted.visible[1:]).any()))
    return videos, seen


def given_video(
    flow: Flow, size: tuple[int, int], num_frames: int, *, normalisation: Normalisation = "inference"
) -> Tensor:
    """The flow video uint8 [3, T, H, W] of a caller's own `Flow`, cut to the first T frames.

    Raises:
        InputError: another shape or size, or fewer frames.
    """
    values = flow if isinstance(flow, Tensor) else torch.from_numpy(np.asarray(flow))
    coloured = values.dtype == torch.uint8
    if values.ndim != 4 or values.shape[1 if coloured else 3] != (3 if coloured else 2):
        raise InputError(
            f"flow: found {values.dtype} of shape {tuple(values.shape)}, expected displacements, float [T, H, W, 2], "
            "or a flow video, uint8 [T, 3, H, W]"
        )
    height, width = values.shape[2:] if coloured else values.shape[1:3]
    if (height, width) != tuple(size):
        raise InputError(f"flow: found {width}x{height}, expected {size[1]}x{size[0]}, the size of the video")
    if len(values) < num_frames:
        raise InputError(f"flow: found {len(values)} frames, expected at least the {num_frames} of the video")
    values = values[:num_frames]
    if not coloured:
        values = flow_colours(values.permute(0, 3, 1, 2), normalisation=normalisation)
    return values.transpose(0, 1)


def part_of(video: Tensor, first: int, frames: int) -> Tensor:
    """The flow video [3, frames, H, W] of a part of a clip, as a clip of its own: nothing has moved in its first frame.

    Its colours stay those of the whole clip, so that a speed looks the same in all parts.
    """
    part = video[:, first : first + frames]
    if first > 0:
        part = part.clone()
        part[:, 0] = STILL
    return part


@torch.no_grad()
def motion_latents(
    vae: Any, videos: Sequence[Tensor], *, posterior: Posterior = "mode", generator: torch.Generator | None = None
) -> Tensor:
    """Flow videos, coded as the checkpoints were shown them.

    They are coded one by one, with the slicing and tiling that is switched on in the VAE. Colours are brought to
    [-1, 1] in float32 and only then to the VAE's type, as in training (the published diffusers script rounds to
    bfloat16 first).

    Args:
        vae: an `AutoencoderKLCogVideoX`, or anything with its ``encode``.
        videos: uint8 [3, T, H, W] each, on the VAE's device.
        posterior: "sample" draws from ``generator`` (of the CPU), one video after the other.

    Returns:
        [B, C, T', h, w] in the VAE's type, multiplied by its scaling factor. They are never divided by it: a model with
        ``invert_scale_latents`` does so with photographs only, see `photograph_scale`.
    """
    coded: list[Tensor] = []
    for video in videos:
        pixels = (video.float() / 127.5 - 1).to(dtype=vae.dtype)[None]
        distribution = vae.encode(pixels).latent_dist
        coded.append(distribution.mode() if posterior == "mode" else distribution.sample(generator))
    return torch.cat(coded) * vae.config.scaling_factor


def photograph_scale(vae: Any) -> float:
    """What latents of a video are multiplied by to be those of a photograph that an image-to-video model starts from.

    1; but CogVideoX 1.5 was trained with photographs divided by the VAE's scaling factor instead of multiplied by it.
    """
    return vae.config.scaling_factor**-2 if vae.config.invert_scale_latents else 1.0
