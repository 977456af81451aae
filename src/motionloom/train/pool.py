"""Encoded procedural clips, kept in memory and renewed while training goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.models.nano.codec import BLOCK
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.train.latents import Codec, to_latents

SCATTERED = 256
"""Tracks per clip that start anywhere, as drawn ones do, besides one per latent cell."""

Held = TypeVar("Held", bound=Any)


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


class RenewedPool(Generic[Held]):
    """Clips that are made in groups; each serves several steps, since making costs more than a training step.

    The clips used at a step depend on the seed and the step alone: `batch(step)` gives the same after a resume.

    Args:
        make: the clips of some indices, as a dataclass of tensors [B, ...].
        seed: names the data set.
        capacity: clips held.
        group: clips made at once; one group is replaced every ``renew_every`` steps, oldest first.
    """

    def __init__(
        self,
        make: Callable[[range], Held],
        seed: int,
        *,
        capacity: int = 512,
        group: int = 16,
        renew_every: int = 8,
    ) -> None:
        self._make, self.seed = make, seed
        self.group, self.renew_every = group, renew_every
        self.groups = capacity // group
        self._held: dict[int, Held] = {}

    def batch(self, step: int, size: int) -> Held:
        """``size`` random clips of those the pool holds at ``step``, in single precision where stored in half."""
        rng = np.random.default_rng([self.seed, step, 7])
        # At the start few groups exist: as many as the steps so far would have rendered, at least two.
        newest = 1 + step // self.renew_every
        oldest = max(0, newest - self.groups + 1)
        for number in list(self._held):
            if number < oldest:
                del self._held[number]
        picks = rng.integers(oldest * self.group, (newest + 1) * self.group, size)
        parts = [self._clip(int(pick)) for pick in picks]
        stacked = (torch.stack(column) for column in zip(*parts, strict=True))
        kind = type(next(iter(self._held.values())))
        return kind(*(value.float() if value.dtype == torch.float16 else value for value in stacked))

    def _clip(self, index: int) -> tuple[torch.Tensor, ...]:
        number, row = divmod(index, self.group)
        if number not in self._held:
            self._held[number] = self._make(range(number * self.group, (number + 1) * self.group))
        held = self._held[number]
        return tuple(getattr(held, field.name)[row] for field in fields(held))


class ClipPool(RenewedPool[Batch]):
    """Clips of one resolution for nano.

    Args:
        codec: encodes the frames.
        size: (height, width) in pixels.
        num_frames: 1 + 4n.
        seed, capacity, group, renew_every: see `RenewedPool`.
    """

    def __init__(self, codec: Codec, size: tuple[int, int], num_frames: int, seed: int, **how: int) -> None:
        super().__init__(lambda indices: encode_clips(codec, seed, indices, size, num_frames), seed, **how)


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
