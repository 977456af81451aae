"""Encoded procedural clips, kept in memory and renewed while training goes on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.models.nano.codec import BLOCK
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.train.latents import Codec, to_latents

SCATTERED = 256
"""Tracks per clip that start anywhere, as drawn ones do, besides one per latent cell."""


@dataclass
class Batch:
    """Encoded clips with exact tracks; see `encode_clips`.

    Attributes:
        latents: of the clip, normalised [B, C, T, h, w].
        plain: of its first frame followed by grey ones, what an image-to-video pipeline knows before any track.
        points, visible: [B, F, h * w + SCATTERED, 2] in pixels and [B, F, h * w + SCATTERED].
    """

    latents: torch.Tensor
    plain: torch.Tensor
    points: torch.Tensor
    visible: torch.Tensor


class ClipPool:
    """Clips of one resolution. Rendering costs more than a training step, so each clip serves several steps.

    The clips used at a step depend on the seed and the step alone: `batch(step)` gives the same after a resume.

    Args:
        codec: encodes the frames.
        size: (height, width) in pixels.
        num_frames: 1 + 4n.
        seed: names the data set.
        capacity: clips held.
        group: clips rendered at once; one group is replaced every ``renew_every`` steps, oldest first.
    """

    def __init__(
        self,
        codec: Codec,
        size: tuple[int, int],
        num_frames: int,
        seed: int,
        *,
        capacity: int = 512,
        group: int = 16,
        renew_every: int = 8,
    ) -> None:
        self.codec, self.size, self.num_frames, self.seed = codec, size, num_frames, seed
        self.group, self.renew_every = group, renew_every
        self.groups = capacity // group
        self._held: dict[int, Batch] = {}

    def batch(self, step: int, size: int) -> Batch:
        """``size`` random clips of those the pool holds at ``step``."""
        rng = np.random.default_rng([self.seed, step, 7])
        # At the start few groups exist: as many as the steps so far would have rendered, at least two.
        newest = 1 + step // self.renew_every
        oldest = max(0, newest - self.groups + 1)
        for number in list(self._held):
            if number < oldest:
                del self._held[number]
        picks = rng.integers(oldest * self.group, (newest + 1) * self.group, size)
        parts = [self._clip(int(pick)) for pick in picks]
        latents, plain, points, visible = (torch.stack(values) for values in zip(*parts, strict=True))
        return Batch(latents.float(), plain.float(), points, visible)

    def _clip(self, index: int) -> tuple[torch.Tensor, ...]:
        number, row = divmod(index, self.group)
        if number not in self._held:
            self._held[number] = encode_clips(
                self.codec, self.seed, range(number * self.group, (number + 1) * self.group), self.size, self.num_frames
            )
        held = self._held[number]
        return held.latents[row], held.plain[row], held.points[row], held.visible[row]


@torch.no_grad()
def encode_clips(codec: Codec, seed: int, indices: range, size: tuple[int, int], num_frames: int) -> Batch:
    """Procedural clips as half-precision latents with one track per latent cell.

    The first h * w tracks start at the centres of the latent cells, row by row; `SCATTERED` more start anywhere.
    """
    scene = sample_scene(seed, indices, num_frames=num_frames, resolution=min(size))
    video = render(scene, size).transpose(1, 2) * 2 - 1
    start = torch.from_numpy(np.stack([_starts(np.random.default_rng([seed, i, 3]), size) for i in indices]))
    points, visible = trace(scene, start, size)
    first = torch.cat([video[:, :, :1], torch.zeros_like(video[:, :, 1:])], dim=2)
    return Batch(to_latents(codec, video).half(), to_latents(codec, first).half(), points, visible)


def _starts(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.mgrid[BLOCK / 2 : size[0] : BLOCK, BLOCK / 2 : size[1] : BLOCK]
    centres = np.stack([x.ravel(), y.ravel()], axis=-1)
    anywhere = rng.uniform(0, 1, (SCATTERED, 2)) * [size[1], size[0]]
    return np.concatenate([centres, anywhere]).astype(np.float32)
