"""Tora on a sequence that several processes share: each fuses the frames in which it has tokens, and those whole.

The fuser's norm looks at a whole frame, and its convolutions at the frames next to it. So a process borrows from its
neighbours what it lacks of its first and last frame, computes gamma and beta for its frames alone, and keeps of the
result its own tokens. Nothing is as long as the video, and the work is divided but for the frames that are cut.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from motionloom.methods.tora.fuser import Condition, Fuser, Modulation, MotionFuser, Spatial
from motionloom.methods.tora.hooks import Attachment
from motionloom.scale.joint import Parts, exchanged


class WholeFrames:
    """Puts an adapter on the frames of this process; the `TokenSharding` of its attachment.

    Args:
        group: the processes that share the sequence.
    """

    def __init__(self, group: Any) -> None:
        self.group = group
        self.parts = Parts(0, 0, 1, 0)
        self.per_frame = 1
        self._adapter: Any = None
        self._handles: list[Any] = []

    def follow(self, block: nn.Module, parts: Parts) -> None:
        """See to the adapter that is attached to a transformer, if there is one, for a call in these parts.

        Pipelines attach their adapters in a call, when it is shared already.
        """
        attachment = _attachment(block)
        if attachment is None or attachment.features is None:
            return
        rows, columns = attachment.features[0].shape[-2:]
        self.parts, self.per_frame = parts, rows * columns
        attachment.tokens = self
        if self._adapter is not attachment.adapter:
            self._let_go()
            self._adapter = attachment.adapter
            self._handles = [fuser.register_forward_pre_hook(self._narrow) for fuser in attachment.adapter.fuser]

    def leave(self, block: nn.Module) -> None:
        """Leave the adapter as it was, whether it is still attached or not."""
        self._let_go()
        attachment = _attachment(block)
        if attachment is not None:
            attachment.tokens = None

    def gather(self, hidden: Tensor) -> Tensor:
        """Tokens of this process [B, L of it, C] to those of its frames [B, L of them, C]."""
        own, needed = self.parts.own_video, [self._tokens(rank) for rank in range(self.parts.world)]
        lent = [_common(own, other) for other in needed]
        rows = hidden.transpose(0, 1)
        sent = torch.cat([rows[part.start - own.start : part.stop - own.start] for part in lent])
        mine = needed[self.parts.rank]
        received = [_length(_common(self.parts.video_of(rank), mine)) for rank in range(self.parts.world)]
        return exchanged(sent, [_length(part) for part in lent], received, self.group).transpose(0, 1)

    def scatter(self, hidden: Tensor) -> Tensor:
        """Tokens of the frames of this process [B, L of them, C] to its own [B, L of it, C]."""
        own, start = self.parts.own_video, self._tokens(self.parts.rank).start
        return hidden[:, own.start - start : own.stop - start]

    def _tokens(self, rank: int) -> slice:
        """The video tokens of the frames in which a process has any; those of one frame at least."""
        own = self.parts.video_of(rank)
        first = min(own.start, self.parts.video - 1) // self.per_frame
        return slice(first * self.per_frame, max(-(-own.stop // self.per_frame), first + 1) * self.per_frame)

    def _narrow(self, fuser: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, condition = args
        mine = self._tokens(self.parts.rank)
        return hidden, of_frames(fuser, condition, range(mine.start // self.per_frame, mine.stop // self.per_frame))

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._adapter, self._handles = None, []


def of_frames(fuser: Fuser, condition: Condition, frames: range) -> Condition:
    """The condition with which a fuser makes of these frames what it makes of them in the whole video."""
    if isinstance(condition, Modulation):
        return Modulation(*(each[:, frames.start : frames.stop] for each in condition))
    if not isinstance(fuser, MotionFuser):
        assert isinstance(condition, Tensor)
        return condition[:, frames.start : frames.stop]
    # Its convolutions over time read one frame on either side; at the ends of the video they repeat the last one.
    around = slice(max(frames.start - 1, 0), frames.stop + 1)
    if isinstance(condition, Tensor):
        spatial = fuser.prepare(condition[:, around], "spatial")
    else:
        spatial = Spatial(*(each[:, around] for each in condition))
    own = range(frames.start - around.start, frames.stop - around.start)
    assert isinstance(spatial, Spatial)
    return Modulation(fuser.flow_gamma_temporal(spatial.gamma, own), fuser.flow_beta_temporal(spatial.beta, own))


def _attachment(block: Any) -> Attachment | None:
    """The adapter that is attached to a transformer, found in one of its blocks."""
    found = (getattr(hook, "attachment", None) for hook in block.norm1._forward_hooks.values())
    return next((attachment for attachment in found if isinstance(attachment, Attachment)), None)


def _common(one: slice, other: slice) -> slice:
    start = max(one.start, other.start)
    return slice(start, max(start, min(one.stop, other.stop)))


def _length(part: slice) -> int:
    return part.stop - part.start
