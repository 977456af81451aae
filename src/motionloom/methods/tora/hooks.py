"""A Tora adapter on a stock CogVideoX transformer: forward hooks, and nothing of the transformer changed.

The norm before the attention of a block returns what the attention reads. A hook on it puts the motion into its video
tokens; text, gates and the residual stream are left alone, as published.
"""

from __future__ import annotations

import math
from collections.abc import MutableMapping, Sequence
from typing import Any, Protocol, cast

import torch
from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from motionloom.errors import InputError
from motionloom.methods.tora.adapter import ToraAdapter
from motionloom.methods.tora.fuser import Cache, Condition, Fuser


class TokenSharding(Protocol):
    """How the video tokens of a call are divided among processes (context parallelism)."""

    def gather(self, hidden: Tensor) -> Tensor:
        """Own tokens [B, L / n, C] to what the fuser is given: all tokens [B, L, C]."""
        ...

    def scatter(self, hidden: Tensor) -> Tensor:
        """What the fuser made of them to own tokens [B, L / n, C]."""
        ...


def attach(transformer: Any, adapter: ToraAdapter, *, cache: Cache = "features") -> Attachment:
    """Hook an adapter into a transformer. Until features are given the transformer is the base model.

    The adapter's parameters stay its own: the transformer's parameters and state dict do not change. Quantise, offload
    or add LoRA to the transformer before or after; compile it with `motionloom.models.speed.compile_blocks`, or set
    ``torch._dynamo.config.skip_nnmodule_hook_guards = False``, as it would not see adapters come and go otherwise. The
    adapter may have a higher precision than the transformer; what it changes is computed in its own. With gradient
    checkpointing the backward pass runs the blocks again: leave the adapter attached, and its features as they are,
    until it is done.

    Args:
        transformer: a `CogVideoXTransformer3DModel`.
        cache: how much of what depends on the motion alone is kept for a run: "features" (0.2 GB for 49 frames of
            480x720 with CogVideoX-5B in bfloat16), "spatial" (2.3 GB more) or "modulation" (9.1 GB more), as long as
            the features live. The latter two save time in every step, and are for generating: they have no gradients
            and do not see the adapter change.

    Raises:
        InputError: an adapter for another base model, a transformer that has one, or a cache that the adapter's design
            does not have.
    """
    adapter.check_fits(transformer)
    if any(isinstance(hook, _Fuse) for block in transformer.transformer_blocks for hook in _hooks(block)):
        raise InputError("transformer: an adapter is attached already; detach it first, or leave its `with` block")
    for fuser in adapter.fuser:
        cast(Fuser, fuser).check_cache(cache)
    return Attachment(transformer, adapter, cache)


class Attachment:
    """An adapter in force on a transformer, until `detach` or the end of a ``with`` block.

    Attributes:
        features: what `ToraAdapter.features` found for B videos. Calls of the transformer may have a multiple of B in
            their batch: branches of guidance, one after the other, which all get the same motion. None is the base
            model, bit for bit.
        strength: of the motion, h' = h + strength * (fused - h). 0 is the base model, bit for bit, and computes
            nothing.
        tokens: set where processes share the tokens of a call.
    """

    def __init__(self, transformer: Any, adapter: ToraAdapter, cache: Cache) -> None:
        self.adapter = adapter
        self.cache: Cache = cache
        self.tokens: TokenSharding | None = None
        self.strength = 1.0
        self._features: list[Tensor] | None = None
        self._prepared: MutableMapping[Tensor, list[Condition]] = WeakIdKeyDictionary()
        blocks = transformer.transformer_blocks
        self._patch = (transformer.config.patch_size_t or 1, transformer.config.patch_size)
        self._hooks = [_Fuse(self, fuser) for fuser in adapter.fuser]  # pyright: ignore[reportArgumentType]
        # Not on the transformer itself: what divides a clip into windows calls its forward several times.
        self._handles = [transformer.patch_embed.register_forward_pre_hook(self._check)]
        self._handles += [
            block.norm1.register_forward_hook(hook) for block, hook in zip(blocks, self._hooks, strict=True)
        ]

    @property
    def features(self) -> list[Tensor] | None:
        return self._features

    @features.setter
    def features(self, features: Sequence[Tensor] | None) -> None:
        if features is None:
            self._features = None
            for hook in self._hooks:
                hook.condition = None
            return
        features = list(features)
        if len(features) != len(self._hooks):
            raise InputError(f"features: found {len(features)}, expected {len(self._hooks)}, one for every block")
        shape = features[0].shape
        if len(shape) != 5 or any(feature.shape != shape for feature in features):
            raise InputError(
                f"features: found shapes {', '.join(sorted({'x'.join(map(str, each.shape)) for each in features}))}, "
                "expected the same for every block: videos x frames x channels x rows x columns, as the adapter gives "
                "them"
            )
        dtypes = {feature.dtype for feature in features} - {self.adapter.dtype}
        if dtypes and not torch.is_autocast_enabled(features[0].device.type):
            raise InputError(
                f"features: found {', '.join(map(str, dtypes))}, but the adapter is {self.adapter.dtype}; compute the "
                "features with the adapter as it is now"
            )
        conditions = self._conditions(features)
        self._features = features
        for hook, condition in zip(self._hooks, conditions, strict=True):
            hook.condition = condition

    @property
    def strength(self) -> float:
        return self._strength

    @strength.setter
    def strength(self, strength: float) -> None:
        if not (math.isfinite(strength) and strength >= 0):
            raise InputError(f"strength: found {strength}, expected zero or more")
        self._strength, self.off = float(strength), strength == 0
        # A tensor, as compiled blocks would be compiled again for every other number.
        self.weight = None if strength == 1 else torch.tensor(self._strength)

    def detach(self) -> None:
        """Take the hooks off and let go of the features; the transformer is as it was. Twice is once."""
        for handle in self._handles:
            handle.remove()
        self.features = None
        self._prepared.clear()

    def __enter__(self) -> Attachment:
        return self

    def __exit__(self, *exception: object) -> None:
        self.detach()

    def _conditions(self, features: list[Tensor]) -> Sequence[Condition]:
        """What the fusers are given; computed once for these very tensors, which windows of a clip give in turn."""
        if self.cache == "features":
            return features
        prepared = self._prepared.get(features[0])
        if prepared is None:
            with torch.no_grad():
                prepared = [
                    hook.fuser.prepare(each, self.cache) for hook, each in zip(self._hooks, features, strict=True)
                ]
            self._prepared[features[0]] = prepared
        return prepared

    def _check(self, patch_embed: Any, args: tuple[Any, ...]) -> None:
        """Refuse features of another video than the one that is denoised."""
        if self._features is None or self.off:
            return
        hidden: Tensor = args[1]
        videos, frames, _, height, width = hidden.shape
        step_t, step = self._patch
        batch, times, _, rows, columns = self._features[0].shape
        expected = (frames // step_t, height // step, width // step)
        if (times, rows, columns) != expected:
            raise InputError(
                f"features: found {times} frames x {rows} x {columns} patches of motion, expected {expected[0]} frames "
                f"x {expected[1]} x {expected[2]} (frames x height x width) for latents of {frames} frames x {height} "
                f"x {width}; make the motion latents for the number of frames and the size of the video"
            )
        if videos % batch:
            raise InputError(
                f"features: found motions of {batch} videos for a batch of {videos}, expected as many, or a "
                "whole part of them where the batch holds branches of guidance"
            )
        if self._features[0].device != hidden.device:
            raise InputError(
                f"features: found on {self._features[0].device}, but the video is denoised on {hidden.device}; move "
                "the adapter there before it computes them"
            )


class _Fuse:
    """The hook of one block; it holds all it needs, so that compiled blocks share their code."""

    def __init__(self, attachment: Attachment, fuser: Fuser) -> None:
        self.attachment, self.fuser = attachment, fuser
        self.condition: Condition | None = None

    def __call__(self, norm: Any, args: Any, output: tuple[Tensor, ...]) -> tuple[Tensor, ...] | None:
        if self.condition is None or self.attachment.off:
            return None
        hidden, tokens, weight = output[0], self.attachment.tokens, self.attachment.weight
        if tokens is not None:
            hidden = tokens.gather(hidden)
        fused = self.fuser(hidden, self.condition)
        if weight is not None:
            fused = hidden + weight * (fused - hidden)
        if tokens is not None:
            fused = tokens.scatter(fused)
        return (fused, *output[1:])


def _hooks(block: Any) -> list[Any]:
    return list(block.norm1._forward_hooks.values())
