"""Encoded procedural clips, kept in memory and renewed while training goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.models.nano.codec import BLOCK
from motionloom.prepare.procedural import Style, cropped, render, sample_scene, trace
from motionloom.prepare.procedural.sources import sources
from motionloom.train.latents import Codec, to_latents, with_provenance

SCATTERED = 256
"""Tracks per clip that start anywhere, as drawn ones do, besides one per latent cell."""

Held = TypeVar("Held", bound=Any)


@dataclass
class Batch:
    """Encoded clips with exact tracks; see `encode_clips`.

    Attributes:
        latents: of the clip, normalised [B, C, T, h, w].
        plain: of its first frame followed by grey ones, what an image-to-video pipeline knows before any track.
        ending: the last latent frame of the same with the last frame known too, [B, C, h, w].
        uncovered: bool [B, 1, T, h, w], what the first frame does not show.
        points, visible: [B, F, h * w + SCATTERED, 2] in pixels and [B, F, h * w + SCATTERED].
    """

    latents: torch.Tensor
    plain: torch.Tensor
    ending: torch.Tensor
    uncovered: torch.Tensor
    points: torch.Tensor
    visible: torch.Tensor


class RenewedPool(Generic[Held]):
    """Clips that are made in groups; each serves several steps, since making costs more than a training step.

    The clips used at a step depend on the seed and the step alone: `batch(step)` gives the same after a resume, and
    whether or not groups are made ahead of their time.

    Args:
        make: the clips of some indices, as a dataclass of tensors [B, ...].
        seed: names the data set.
        capacity: clips held.
        group: clips made at once; one group is replaced every ``renew_every`` steps, oldest first.
        ahead: groups made in a thread of their own before a step asks for them. With 0 a step that needs new clips
            waits for them.
        device: where clips are made. On a GPU those made ahead have a stream of their own: making them looks at what
            it made many times, and on the stream of the training each look would wait for a whole step.
    """

    def __init__(
        self,
        make: Callable[[range], Held],
        seed: int,
        *,
        capacity: int = 512,
        group: int = 16,
        renew_every: int = 8,
        ahead: int = 0,
        device: torch.device | None = None,
    ) -> None:
        self._make, self.seed = make, seed
        self.group, self.renew_every, self.ahead = group, renew_every, ahead
        self.groups = max(1, capacity // group)
        self._held: dict[int, Held] = {}
        self._coming: dict[int, Future[Held]] = {}
        self._maker = ThreadPoolExecutor(1, thread_name_prefix="clips") if ahead else None
        on_gpu = ahead and device is not None and device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None

    def batch(self, step: int, size: int) -> Held:
        """``size`` random clips of those the pool holds at ``step``, in single precision where stored in half."""
        rng = np.random.default_rng([self.seed, step, 7])
        # At the start few groups exist: as many as the steps so far would have rendered, at least two.
        newest = 1 + step // self.renew_every
        oldest = max(0, newest - self.groups + 1)
        for groups in (self._held, self._coming):
            for number in [number for number in groups if number < oldest]:
                del groups[number]
        picks = rng.integers(oldest * self.group, (newest + 1) * self.group, size)
        parts = [self._clip(int(pick)) for pick in picks]
        for number in range(newest + 1, newest + 1 + self.ahead):
            self._order(number)
        stacked = (torch.stack(column) for column in zip(*parts, strict=True))
        kind = type(next(iter(self._held.values())))
        return kind(*(value.float() if value.dtype == torch.float16 else value for value in stacked))

    def close(self) -> None:
        """Stop making clips ahead; waits for the group that is being made."""
        if self._maker is not None:
            self._maker.shutdown(cancel_futures=True)
        self._coming.clear()

    def _clip(self, index: int) -> tuple[torch.Tensor, ...]:
        number, row = divmod(index, self.group)
        if number not in self._held:
            coming = self._coming.pop(number, None)
            self._held[number] = self._group(number) if coming is None else self._handed_over(coming.result())
        held = self._held[number]
        return tuple(getattr(held, field.name)[row] for field in fields(held))

    def _order(self, number: int) -> None:
        if self._maker is not None and number not in self._held and number not in self._coming:
            self._coming[number] = self._maker.submit(self._made_apart, number)

    def _made_apart(self, number: int) -> Held:
        """A group made in the other thread, and finished on the device."""
        if self._stream is None:
            return self._group(number)
        with torch.cuda.stream(self._stream):
            group = self._group(number)
        self._stream.synchronize()
        return group

    def _handed_over(self, group: Held) -> Held:
        """A group that this thread goes on with: its memory is not taken again before this thread's stream is done."""
        if self._stream is not None:
            here = torch.cuda.current_stream(self._stream.device)
            for field in fields(group):
                getattr(group, field.name).record_stream(here)
        return group

    def _group(self, number: int) -> Held:
        return self._make(range(number * self.group, (number + 1) * self.group))


class ClipPool(RenewedPool[Batch]):
    """Clips of one resolution for nano.

    Args:
        codec: encodes the frames; where it is, the clips are made and kept.
        size: (height, width) in pixels.
        num_frames: 1 + 4n.
        style, photographs, view: see `encode_clips`.
        rank, processes: this process and how many there are; each has clips of its own.
        seed, capacity, group, renew_every, ahead: see `RenewedPool`.
    """

    def __init__(
        self,
        codec: Codec,
        size: tuple[int, int],
        num_frames: int,
        seed: int,
        *,
        style: Style = "simple",
        photographs: Sequence[NDArray[np.uint8]] | None = None,
        view: float = 1.0,
        rank: int = 0,
        processes: int = 1,
        **how: int,
    ) -> None:
        def make(indices: range) -> Batch:
            mine = range(indices.start * processes + rank, indices.stop * processes + rank, processes)
            return encode_clips(codec, seed, mine, size, num_frames, style=style, photographs=photographs, view=view)

        super().__init__(make, seed, device=next(codec.parameters()).device, **how)


@torch.no_grad()
def encode_clips(
    codec: Codec,
    seed: int,
    indices: Sequence[int],
    size: tuple[int, int],
    num_frames: int,
    *,
    style: Style = "simple",
    photographs: Sequence[NDArray[np.uint8]] | None = None,
    view: float = 1.0,
) -> Batch:
    """Procedural clips as half-precision latents with one track per latent cell, on the codec's device.

    The first h * w tracks start at the centres of the latent cells, row by row; `SCATTERED` more start anywhere.

    Args:
        style, photographs: see `motionloom.prepare.procedural.sample_scene`.
        view: part of the picture's short side that a clip shows, at a random place; pictures have the detail and the
            speeds of those that are 1 / ``view`` times as large.

    Raises:
        InputError: a view that is no part of the picture, or what `sample_scene`, `sources` and the codec refuse.
    """
    if not 0 < view <= 1:
        raise InputError(f"view: found {view}, expected a share of the picture, above 0 to 1")
    device = next(codec.parameters()).device
    resolution = round(min(size) / view)
    scene = sample_scene(
        seed, indices, num_frames=num_frames, resolution=resolution, style=style, photographs=photographs, device=device
    )
    if view < 1:
        middles = [np.random.default_rng([seed, i, 5]).uniform(view - 1, 1 - view, 2) for i in indices]
        scene = cropped(scene, torch.tensor(np.stack(middles), dtype=torch.float32, device=device), view)
    video = render(scene, size).transpose(1, 2) * 2 - 1
    start = torch.from_numpy(np.stack([_starts(np.random.default_rng([seed, i, 3]), size) for i in indices]))
    points, visible = trace(scene, start.to(device), size)
    known = torch.cat([video[:, :, :1], torch.zeros_like(video[:, :, 1:])], dim=2)
    plain = to_latents(codec, known)
    known[:, :, -1] = video[:, :, -1]
    ending = to_latents(codec, known)[:, :, -1]
    places, seen = sources(scene, size, block=BLOCK)
    latents = with_provenance(codec, to_latents(codec, video), places, seen)
    uncovered = F.pad(~seen, (0, 0, 0, 0, 1, 0))[:, None]
    return Batch(latents.half(), plain.half(), ending.half(), uncovered, points, visible)


def _starts(rng: np.random.Generator, size: tuple[int, int]) -> NDArray[np.float32]:
    y, x = np.mgrid[BLOCK / 2 : size[0] : BLOCK, BLOCK / 2 : size[1] : BLOCK]
    centres = np.stack([x.ravel(), y.ravel()], axis=-1)
    anywhere = rng.uniform(0, 1, (SCATTERED, 2)) * [size[1], size[0]]
    return np.concatenate([centres, anywhere]).astype(np.float32)
