"""The motion that a training sample is shown: all flow of its clip, or that along a few trajectories.

Shapes: B clips, T frames, N tracks, H W pixels. Flow is (x, y) in pixels from a frame to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from motionloom.errors import InputError
from motionloom.methods.tora.flow import CHUNK, TRAINED_SIZE, Normalisation, dense_flow_video, flow_video
from motionloom.methods.tora.motion_latents import STILL
from motionloom.train.tora.denoising import MovingClips
from motionloom.train.tora.flow_tracks import MOST, chain, draw_starts
from motionloom.train.tora.selection import draw_blob, select_tracks

Kind = Literal["dense", "sparse"]
Following = Literal["flow", "published", "tracks"]
"""Where sparse trajectories come from: started on moving places and followed through the flow, smoothly or (published)
pixel by pixel; or chosen among the tracks that come with a clip."""


@dataclass(frozen=True)
class MotionMix:
    """How motion is drawn and shown.

    Attributes:
        following: see `Following`. Clips without tracks are followed through their flow in any case.
        most_tracks: each number from 1 to this is as likely.
        apart: pixels within which a second track adds little; see `select_tracks`.
        normalisation: of the colours; "training" as published, where speed is relative to a pair of frames, or
            "inference", as the motion will be shown later.
        scale_blob: Gaussians in proportion to the size of the clip; as published they are 10 pixels wide at any.
        blob_jitter: widths vary by this factor up and down.
        motion_dropout: chance of a sample that is shown no motion, a white clip. 0 as published; above it, white
            learns to mean "any motion", which guidance by motion can compare with.
    """

    following: Following = "published"
    most_tracks: int = MOST
    apart: float | None = None
    normalisation: Normalisation = "training"
    scale_blob: bool = False
    blob_jitter: float = 1.0
    motion_dropout: float = 0.0


def draw_motion(clips: MovingClips, kind: Kind, rng: np.random.Generator, mix: MotionMix | None = None) -> torch.Tensor:
    """The flow video of each clip, uint8 [B, 3, T, H, W].

    "dense" is all of its flow without blur, after a first frame without (the published first stage); "sparse" a few
    trajectories with their Gaussians.

    Raises:
        InputError: an unknown kind or way of following.
    """
    mix = mix or MotionMix()
    if kind not in ("dense", "sparse"):
        raise InputError(f"kind: found {kind!r}, expected 'dense' or 'sparse'")
    if mix.following not in ("flow", "published", "tracks"):
        raise InputError(f"following: found {mix.following!r}, expected 'flow', 'published' or 'tracks'")
    videos = []
    for index, flow in enumerate(clips.flow):
        frames, size = len(flow) + 1, (flow.shape[2], flow.shape[3])
        # Published: pairs of frames at 49 frames, more of longer clips.
        chunk = max(frames // 20, 1) if frames > 2 * 20 else CHUNK
        if rng.random() < mix.motion_dropout:
            videos.append(torch.full((frames, 3, *size), STILL, dtype=torch.uint8))
        elif kind == "dense":
            videos.append(dense_flow_video(flow, normalisation=mix.normalisation, chunk=chunk))
        else:
            points, visible = _trajectories(flow, clips.points[index], clips.visible[index], size, rng, mix)
            blob = draw_blob(rng, size if mix.scale_blob else TRAINED_SIZE, ratio=mix.blob_jitter)
            whole = mix.following == "published"
            videos.append(
                flow_video(
                    points, visible, size, normalisation=mix.normalisation, whole_pixels=whole, chunk=chunk, blob=blob
                )
            )
    return torch.stack(videos).transpose(1, 2)


def _trajectories(
    flow: torch.Tensor,
    points: torch.Tensor,
    visible: torch.Tensor,
    size: tuple[int, int],
    rng: np.random.Generator,
    mix: MotionMix,
) -> tuple[np.ndarray, np.ndarray]:
    """Points [T, N', 2] and visible [T, N'] of one clip."""
    if mix.following == "tracks" and points.shape[1]:
        chosen = select_tracks(points, visible, size, rng, most=mix.most_tracks, spacing=mix.apart)
        return points[:, chosen].numpy(), visible[:, chosen].numpy()
    start = draw_starts(flow[0], rng, most=mix.most_tracks)
    whole = mix.following == "published"
    return chain(flow, start if whole else start + 0.5, whole_pixels=whole)
