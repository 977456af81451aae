"""Tora's motion-guidance fusers, which let the features of a motion move the tokens of a transformer.

Zhang et al., "Tora: Trajectory-oriented Diffusion Transformer for Video Generation" (arXiv 2407.21705). Three designs
are compared there; only the adaptive norm was published, with the layers and names of its checkpoints (traj_module.py).
All of them are the identity until they are trained.

Letters in shapes: B videos, G branches of classifier-free guidance, T frames of the transformer (latent frames, or
pairs of them), y and x patches, L = T y x tokens, C width of the transformer, c width of the features.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from motionloom.errors import InputError

Design = Literal["adaptive_norm", "extra_channel", "cross_attention"]
Cache = Literal["features", "spatial", "modulation"]

GROUPS = 32  # of the fuser's GroupNorm, as published
CHUNK = 4  # frames that the adaptive norm modulates at once, to need little memory beside its result


class Spatial(NamedTuple):
    """What depends on the features alone, before the convolution over time: two tensors [B, T, y x, C / 4]."""

    gamma: Tensor
    beta: Tensor


class Modulation(NamedTuple):
    """All that depends on the features alone: two tensors [B, T, y x, C]."""

    gamma: Tensor
    beta: Tensor


Condition = Tensor | Spatial | Modulation


class Fuser(nn.Module):
    """What the three designs share.

    ``forward(hidden, condition)`` takes video tokens [G B, L, C] in the order (t, y, x), as the block's norm1 leaves
    them, and a condition for B videos, which all G branches get; it gives the tokens with the motion in them.
    """

    caches: tuple[Cache, ...] = ("features",)

    def prepare(self, features: Tensor, cache: Cache) -> Condition:
        """Features [B, T, c, y, x] as far computed as ``cache`` says, to be given to every forward of a run.

        Raises:
            InputError: this design has nothing more to compute in advance.
        """
        self.check_cache(cache)
        return features

    def check_cache(self, cache: Cache) -> None:
        """Raises InputError: see `prepare`."""
        if cache not in self.caches:
            raise InputError(f"cache: found {cache!r}, expected {' or '.join(map(repr, self.caches))} for this design")

    def forward(self, hidden: Tensor, condition: Condition) -> Tensor:
        raise NotImplementedError


class MotionFuser(Fuser):
    """The published design: h' = h + GroupNorm(h) * gamma(f) + beta(f).

    gamma and beta are made by a convolution in space and one in time, whose weights start at zero. The norm's
    statistics are those of a frame. (The paper has h' = h + gamma * h + beta, without the norm.)

    Raises:
        InputError: a width that is no multiple of 32.
    """

    caches = ("features", "spatial", "modulation")

    def __init__(self, hidden_size: int, condition_channels: int = 128) -> None:
        super().__init__()
        if hidden_size % GROUPS:
            raise InputError(f"hidden_size: found {hidden_size}, expected a multiple of {GROUPS}")
        quarter = hidden_size // 4
        self.flow_gamma_spatial = nn.Conv2d(condition_channels, quarter, 3, padding=1)
        self.flow_gamma_temporal = TemporalConvolution(quarter, hidden_size)
        self.flow_beta_spatial = nn.Conv2d(condition_channels, quarter, 3, padding=1)
        self.flow_beta_temporal = TemporalConvolution(quarter, hidden_size)
        self.flow_cond_norm = FrameNorm(GROUPS, hidden_size)

    def prepare(self, features: Tensor, cache: Cache) -> Condition:
        super().prepare(features, cache)
        if cache == "features":
            return features
        spatial = self._spatial(features)
        if cache == "spatial":
            return spatial
        frames = range(features.shape[1])
        return Modulation(
            self.flow_gamma_temporal(spatial.gamma, frames), self.flow_beta_temporal(spatial.beta, frames)
        )

    def forward(self, hidden: Tensor, condition: Condition) -> Tensor:
        if isinstance(condition, Tensor):
            condition = self._spatial(condition)
        batch, frames, patches = condition.gamma.shape[:3]
        state = hidden.reshape(-1, batch, frames, patches, hidden.shape[-1])
        parts = []
        for chunk in _chunks(frames):
            part = state[:, :, chunk.start : chunk.stop]
            gamma, beta = self._modulation(condition, chunk)
            # The branches of guidance share one gamma and beta.
            parts.append((torch.addcmul(part, self.flow_cond_norm(part), gamma) + beta).to(hidden.dtype))
        return torch.cat(parts, 2).reshape(hidden.shape)

    def _spatial(self, features: Tensor) -> Spatial:
        maps = features.flatten(0, 1)
        gamma, beta = (
            convolution(maps).unflatten(0, features.shape[:2]).flatten(3).transpose(2, 3)
            for convolution in (self.flow_gamma_spatial, self.flow_beta_spatial)
        )
        return Spatial(gamma, beta)

    def _modulation(self, condition: Spatial | Modulation, frames: range) -> tuple[Tensor, Tensor]:
        if isinstance(condition, Modulation):
            chunk = slice(frames.start, frames.stop)
            return condition.gamma[:, chunk], condition.beta[:, chunk]
        return self.flow_gamma_temporal(condition.gamma, frames), self.flow_beta_temporal(condition.beta, frames)


class TemporalConvolution(nn.Conv1d):
    """A convolution over three frames, replicating the first and the last one; zero until trained.

    It reads tokens as they lie, three frames side by side in one matrix product, where the published program puts all
    patches of the video into the batch of a one-dimensional convolution.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, out_channels, 3)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, x: Tensor, frames: range) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """[B, T, y x, C / 4] to the given frames of the result, [B, frames, y x, C]."""
        start, stop, last = frames.start, frames.stop, x.shape[1] - 1
        before, after = x[:, max(start - 1, 0)], x[:, min(stop, last)]
        around = torch.cat([before.unsqueeze(1), x[:, start:stop], after.unsqueeze(1)], 1)
        neighbours = torch.cat([around[:, :-2], around[:, 1:-1], around[:, 2:]], -1)
        return functional.linear(neighbours, self.weight.transpose(1, 2).flatten(1), self.bias)


class FrameNorm(nn.GroupNorm):
    """GroupNorm over the channels of a group and all patches of a frame, of tokens [..., y x, C].

    Computed in the dtype of its weights, as the published FloatGroupNorm.
    """

    def forward(self, x: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        # As an image one pixel high with its channels last in memory, which torch normalises without moving anything.
        image = x.to(self.weight.dtype).flatten(0, -3).transpose(1, 2).unsqueeze(2)
        if torch.is_grad_enabled() and self.weight.requires_grad and not x.requires_grad:
            # The first block of a frozen base: there the backward of torch 2.13 crashes on such images on the CPU.
            image = image.contiguous()
        return super().forward(image).squeeze(2).transpose(1, 2).reshape(x.shape)


class ChannelFuser(Fuser):
    """The paper's extra channels: h' = h + MLP([h, f]), the last layer zero until trained.

    The paper gives no sizes; one hidden layer as wide as the transformer makes it about as large as the adaptive norm.
    """

    def __init__(self, hidden_size: int, condition_channels: int = 128) -> None:
        super().__init__()
        self.proj_in = nn.Linear(hidden_size + condition_channels, hidden_size)
        self.proj_out = nn.Linear(hidden_size, hidden_size)
        _zero(self.proj_out)

    def forward(self, hidden: Tensor, condition: Condition) -> Tensor:
        assert isinstance(condition, Tensor)
        batch = condition.shape[0]
        features = _tokens(condition).flatten(1, 2)
        state = hidden.unflatten(0, (-1, batch))
        both = torch.cat([state.to(features.dtype), features.expand(state.shape[0], *features.shape)], -1)
        change = self.proj_out(functional.gelu(self.proj_in(both), approximate="tanh"))
        return (state + change).to(hidden.dtype).flatten(0, 1)


class AttentionFuser(Fuser):
    """The paper's cross-attention: h' = h + CrossAttention(h, f), the last layer zero until trained.

    The paper gives no sizes. A token attends to the features of its own frame: attending to the whole clip would cost
    T times as much, and the features have seen their neighbours in time already, in the motion latents. Rotary
    positions over rows and columns tell which feature is where, since a block with rotary positions of its own has none
    in its tokens.

    Raises:
        InputError: a width that the heads do not divide into multiples of 4.
    """

    def __init__(self, hidden_size: int, condition_channels: int = 128, num_attention_heads: int = 48) -> None:
        super().__init__()
        if hidden_size % (4 * num_attention_heads):
            raise InputError(
                f"num_attention_heads: {num_attention_heads} heads do not divide a width of {hidden_size} into "
                "multiples of 4 channels"
            )
        self.heads = num_attention_heads
        self.norm = nn.LayerNorm(condition_channels)
        self.to_q = nn.Linear(hidden_size, hidden_size, bias=False)
        self.to_k = nn.Linear(condition_channels, hidden_size, bias=False)
        self.to_v = nn.Linear(condition_channels, hidden_size, bias=False)
        self.to_out = nn.Linear(hidden_size, hidden_size)
        _zero(self.to_out)

    def forward(self, hidden: Tensor, condition: Condition) -> Tensor:
        assert isinstance(condition, Tensor)
        batch, frames, _, rows, columns = condition.shape
        features = self.norm(_tokens(condition))  # [B, T, y x, c]
        state = hidden.reshape(-1, batch, frames, rows * columns, hidden.shape[-1])
        query = self._split(self.to_q(state.to(features.dtype)))  # [G, B, T, heads, y x, C / heads]
        key, value = self._split(self.to_k(features)), self._split(self.to_v(features))
        cos, sin = _rotation(rows, columns, query.shape[-1], query.device)
        query, key = _rotate(query, cos, sin), _rotate(key, cos, sin)
        shape = query.shape
        key, value = (each.expand(shape).flatten(0, 2) for each in (key, value))
        attended = functional.scaled_dot_product_attention(query.flatten(0, 2), key, value)
        change = self.to_out(attended.transpose(1, 2).flatten(2)).reshape(state.shape)
        return (state + change).to(hidden.dtype).reshape(hidden.shape)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(-2, -3)


def make_fuser(design: Design, hidden_size: int, condition_channels: int, num_attention_heads: int) -> Fuser:
    """An untrained fuser of a design.

    Raises:
        InputError: an unknown design, or a width that the design cannot have.
    """
    if design == "adaptive_norm":
        return MotionFuser(hidden_size, condition_channels)
    if design == "extra_channel":
        return ChannelFuser(hidden_size, condition_channels)
    if design == "cross_attention":
        return AttentionFuser(hidden_size, condition_channels, num_attention_heads)
    raise InputError(f"design: found {design!r}, expected 'adaptive_norm', 'extra_channel' or 'cross_attention'")


def _chunks(frames: int) -> Iterator[range]:
    return (range(start, min(start + CHUNK, frames)) for start in range(0, frames, CHUNK))


def _tokens(features: Tensor) -> Tensor:
    """[B, T, c, y, x] to [B, T, y x, c]."""
    return features.flatten(3).transpose(2, 3)


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)


def _rotation(rows: int, columns: int, channels: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosine and sine float32 [y x, channels / 2]: half of the angles by the row, half by the column."""
    quarter = channels // 4
    frequencies = 10000.0 ** -(torch.arange(quarter, device=device) / quarter)
    by_row = torch.arange(rows, device=device)[:, None] * frequencies
    by_column = torch.arange(columns, device=device)[:, None] * frequencies
    angles = torch.cat([by_row[:, None].expand(-1, columns, -1), by_column[None].expand(rows, -1, -1)], -1).flatten(
        0, 1
    )
    return angles.cos(), angles.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.float().chunk(2, -1)
    return torch.cat([first * cos - second * sin, first * sin + second * cos], -1).to(x.dtype)
