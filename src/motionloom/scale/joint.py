"""Ulysses on sequences of text and video tokens that need not divide evenly: who holds what, and how it is exchanged.

Letters in shapes: B videos, S tokens of the sequence (text first, then video), H attention heads, D channels of a head,
C channels; N processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed._functional_collectives as collectives
from torch import Tensor, distributed
from torch.nn import functional


@dataclass(frozen=True)
class Parts:
    """The sequence [text, video] cut into consecutive parts whose lengths differ by one at most.

    Consecutive, so that put together again they are in their old order. The text is then with the first process or
    two, and the others hold video alone.

    Attributes:
        text, video: tokens.
        world, rank: processes that share the sequence, and which of them this is.
    """

    text: int
    video: int
    world: int
    rank: int

    @property
    def lengths(self) -> list[int]:
        """Tokens of every process."""
        whole, more = divmod(self.text + self.video, self.world)
        return [whole + (process < more) for process in range(self.world)]

    @property
    def video_lengths(self) -> list[int]:
        """Video tokens of every process."""
        return [part.stop - part.start for part in map(self.video_of, range(self.world))]

    @property
    def own_text(self) -> slice:
        """The text tokens of this process."""
        start, end = self._bounds(self.rank)
        return slice(min(start, self.text), min(end, self.text))

    @property
    def own_video(self) -> slice:
        """The video tokens of this process."""
        return self.video_of(self.rank)

    def video_of(self, process: int) -> slice:
        """The video tokens of a process, counted from the first video token."""
        start, end = self._bounds(process)
        return slice(max(start - self.text, 0), max(end - self.text, 0))

    def _bounds(self, process: int) -> tuple[int, int]:
        start = sum(self.lengths[:process])
        return start, start + self.lengths[process]


def all_tokens_of_some_heads(part: Tensor, parts: Parts, group: Any) -> Tensor:
    """This process's tokens [B, S of it, H, D] to all tokens of its heads [B, H / N, S, D]."""
    own, heads = part.shape[1:3]
    if heads % parts.world:
        raise ValueError(f"{heads} attention heads cannot be divided by {parts.world}")
    by_receiver = part.unflatten(2, (parts.world, heads // parts.world)).permute(2, 1, 0, 3, 4)
    found = exchanged(by_receiver.flatten(0, 1), [own] * parts.world, parts.lengths, group)
    return found.permute(1, 2, 0, 3)


def some_tokens_of_all_heads(found: Tensor, parts: Parts, group: Any) -> Tensor:
    """The way back: [B, H / N, S, D] to [B, S of this process, H, D]."""
    own = parts.lengths[parts.rank]
    received = exchanged(found.permute(2, 0, 1, 3), parts.lengths, [own] * parts.world, group)
    return received.unflatten(0, (parts.world, own)).permute(2, 1, 0, 3, 4).flatten(2, 3)


def gathered(part: Tensor, lengths: list[int], group: Any) -> Tensor:
    """The tokens of all processes [B, S, C], of parts [B, S of each, C]."""
    longest = max(lengths)
    padded = functional.pad(part, (0, 0, 0, longest - part.shape[1])).transpose(0, 1).contiguous()
    found = [torch.empty_like(padded) for _ in lengths]
    distributed.all_gather(found, padded, group=group)
    return torch.cat([one[:length] for one, length in zip(found, lengths, strict=True)]).transpose(0, 1)


def exchanged(tensor: Tensor, sent: list[int], received: list[int], group: Any) -> Tensor:
    """Rows of the first axis: so many sent to every process, so many received from every process, in their order."""
    rest = tensor.shape[1:]
    size = rest.numel()
    # Flat: what torch.compile makes of a permuted tensor need not be contiguous, even if it was made so.
    flat = collectives.all_to_all_single(
        tensor.flatten(), [rows * size for rows in received], [rows * size for rows in sent], group
    )
    return collectives.wait_tensor(flat).reshape(-1, *rest)
