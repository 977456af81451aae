"""Wan-Move (Chu et al. 2025, arXiv 2512.08765): latent trajectory guidance.

Source: `create_pos_feature_map` and `replace_feature` in `wan/modules/trajectory.py` of ali-vilab/Wan-Move. No
parameter is learnt here: the first-frame latent cell under each track's start is copied to the cells it passes later.

Shape suffixes: B batch, C all channels of the condition, D latent channels, F pixel frames, T latent frames, N tracks,
H and W latent rows and columns, M cells that are written.
"""

from __future__ import annotations

import math
from numbers import Integral

import numpy as np
import torch
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.wan_move.choices import Collision, Pooling

STRIDES = (4, 8, 8)  # time, height, width of the Wan VAE


@torch.no_grad()
def guide(
    condition: Tensor,
    points: Tensor,
    visible: Tensor,
    size: tuple[int, int],
    *,
    strides: tuple[int, int, int] = STRIDES,
    pooling: Pooling = "sample",
    collision: Collision = "random",
    order: Tensor | None = None,
    seed: int = 0,
    legacy_hidden_source: bool = False,
    strength: float | Tensor = 1.0,
    mask_channels: int | None = None,
) -> Tensor:
    """The image condition with first-frame latents copied along the tracks.

    Args:
        condition: [B, C, T, H, W], mask channels first, then normalised latents of the first frame followed by blank
            frames. Not changed.
        points: [F, N, 2] for all samples or [B, F, N, 2], (x, y) in pixels of ``size``. Points that are not finite
            count as hidden. With fewer frames than the condition the later latent frames stay as they are.
        visible: bool or 0/1, [F, N] or [B, F, N].
        size: (height, width) in pixels of the video the condition belongs to.
        strides: pixels per latent step in time, height and width.
        pooling: how the frames of a latent frame make one position, see `latent_cells`.
        collision: which track writes to a cell that several reach. "random": the one that is last in an order drawn
            from ``seed``; "last" and "first": by index; "nearest": closest to the cell's centre. The published program
            draws its order without a seed; here the same seed gives the same cells on every device.
        order: int64 [N], a permutation; the track that is last in it wins. Overrules ``collision``.
        seed: of the order drawn by "random". A track's turn does not depend on how many tracks follow it.
        legacy_hidden_source: copy the bottom right cell along tracks that are hidden or outside at frame 0, as the
            published program does; otherwise such tracks are left out.
        strength: d + strength (f - d) is written where d was and f is copied; a number, or [T, N] / [B, T, N] for
            one per latent frame and track (see `motionloom.methods.adaptive`). 0 leaves the condition as it is.
        mask_channels: of the condition; as many as the stride in time when not given. Latent frames whose mask is
            already 1 (a given last frame) keep their latents.

    Returns:
        [B, C, T, H, W]. With N = 0 the condition's values, unchanged.

    Raises:
        InputError: shapes that do not belong together or options out of range.
    """
    masks = strides[0] if mask_channels is None else mask_channels
    if condition.ndim != 5 or condition.shape[1] <= masks:
        raise InputError(
            f"condition: found shape {tuple(condition.shape)}, expected [B, {masks} mask + latent channels, T, H, W]"
        )
    _check_size(condition, size, strides)
    points, visible = _per_sample(condition, points, visible, strides[0])
    cells, offset = latent_cells(points, visible, size, strides, pooling)
    if order is None:
        turn = _turn(cells.shape[2], collision, seed, condition.device)
    else:
        if sorted(order.tolist()) != list(range(cells.shape[2])):
            raise InputError(f"order: expected a permutation of 0 to {cells.shape[2] - 1}")
        turn = order.to(condition.device).argsort()
    out = condition.clone(memory_format=torch.contiguous_format)  # written through a flat view below
    copies = _copies(
        out[:, masks:],
        cells,
        turn,
        distance=offset if order is None and collision == "nearest" else None,
        frozen=condition[:, :masks].amax(1) >= 1 if masks else None,
        legacy_hidden_source=legacy_hidden_source,
        strength=strength,
    )
    if copies is not None:
        sample, place, value = copies
        out[:, masks:].flatten(2)[sample, :, place] = value
    return out


def latent_cells(
    points: Tensor,
    visible: Tensor,
    size: tuple[int, int],
    strides: tuple[int, int, int] = STRIDES,
    pooling: Pooling = "sample",
) -> tuple[Tensor, Tensor]:
    """The latent cell each track is in during each latent frame.

    Latent frame 0 is pixel frame 0; for k >= 1 and s frames per latent frame:

    - "sample" (what the published program runs): frame s k alone, for position and visibility;
    - "average" (the published program's other branch): mean of frames s k to s k + s - 1, hidden or not; visible if
      any of them is;
    - "window": mean over the visible ones of frames s (k - 1) + 1 to s k, which are the frames a causal VAE puts into
      latent frame k.

    Args:
        points: [..., F, N, 2] in pixels of ``size`` (height, width); visible: [..., F, N].

    Returns:
        cells: int64 [..., T, N, 2] of (row, column), (-1, -1) where hidden or outside, T = ceil(F / s);
        distance: [..., T, N] of the position to the centre of its cell, in cells.
    """
    time, *pixels = strides
    visible = visible.bool() & torch.isfinite(points).all(-1)
    points = points.float().nan_to_num(0.0, 0.0, 0.0)
    frames = points.shape[-3]
    count = math.ceil(frames / time)
    place, seen = points[..., ::time, :, :], visible[..., ::time, :]
    if pooling == "average":
        ends = [min(time * k + time, frames) for k in range(count)]
        later = [slice(time * k, ends[k]) for k in range(1, count)]
        mean = [points[..., part, :, :].mean(-3, keepdim=True) for part in later]
        some = [visible[..., part, :].any(-2, keepdim=True) for part in later]
        place = torch.cat([place[..., :1, :, :], *mean], dim=-3)
        seen = torch.cat([seen[..., :1, :], *some], dim=-2)
    elif pooling == "window":
        used = slice(1, time * (count - 1) + 1)
        share = visible[..., used, :].unflatten(-2, (count - 1, time)).float()
        total = share.sum(-2)
        mean = (points[..., used, :, :].unflatten(-3, (count - 1, time)) * share.unsqueeze(-1)).sum(-3)
        place = torch.cat([place[..., :1, :, :], mean / total.clamp(min=1).unsqueeze(-1)], dim=-3)
        seen = torch.cat([seen[..., :1, :], total > 0], dim=-2)
    elif pooling != "sample":
        raise InputError(f"pooling: found {pooling!r}, expected 'sample', 'average' or 'window'")
    x, y = place.unbind(-1)
    valid = seen & (x >= 0) & (x < size[1]) & (y >= 0) & (y < size[0])
    scaled = torch.stack([y / pixels[0], x / pixels[1]], dim=-1)
    # Clamped before the conversion: what does not fit an integer is outside anyway.
    cells = scaled.clamp(-1, 1 << 20).floor()
    distance = (scaled - cells - 0.5).norm(dim=-1)
    return torch.where(valid.unsqueeze(-1), cells, -1).long(), distance


@torch.no_grad()
def replicate(
    latents: Tensor,
    cells: Tensor,
    turn: Tensor,
    *,
    distance: Tensor | None = None,
    frozen: Tensor | None = None,
    legacy_hidden_source: bool = False,
    strength: float | Tensor = 1.0,
) -> Tensor:
    """Copy the first-frame feature of every track to the cells it is in later.

    Args:
        latents: [B, D, T, H, W]; not changed.
        cells: int64 [B, K, N, 2], K <= T, of `latent_cells`.
        turn: int64 [N]; where tracks meet in a cell the largest turn wins.
        distance: [B, K, N]; where given, the smallest wins instead, and ``turn`` only decides between equals.
        frozen: bool [B, T, H, W]; cells that are not written.
        legacy_hidden_source, strength: see `guide`.
    """
    out = latents.clone(memory_format=torch.contiguous_format)  # written through a flat view below
    copies = _copies(latents, cells, turn, distance, frozen, legacy_hidden_source, strength)
    if copies is not None:
        sample, place, value = copies
        out.flatten(2)[sample, :, place] = value
    return out


def _copies(
    latents: Tensor,
    cells: Tensor,
    turn: Tensor,
    distance: Tensor | None,
    frozen: Tensor | None,
    legacy_hidden_source: bool,
    strength: float | Tensor,
) -> tuple[Tensor, Tensor, Tensor] | None:
    """What is written where, each cell once: samples [M], places in T * H * W [M], values [M, D]; None for nothing."""
    B, _, T, H, W = latents.shape
    K, N = cells.shape[1:3]
    if N == 0 or K <= 1 or (not isinstance(strength, Tensor) and strength == 0):
        return None
    flat = cells[..., 0] * W + cells[..., 1]
    start = flat[:, :1]
    known = (cells[:, :1, :, 0] >= 0).expand(-1, K - 1, -1)
    if legacy_hidden_source:
        start = torch.where(cells[:, :1, :, 0] >= 0, start, H * W - 1)
        known = torch.ones_like(known)
    written = known & (cells[:, 1:, :, 0] >= 0)
    target = flat[:, 1:].clamp(min=0) + torch.arange(1, K, device=flat.device).view(1, -1, 1) * (H * W)
    if frozen is not None:
        written &= ~frozen.flatten(1).gather(1, target.flatten(1)).view_as(target)

    # The winner of a cell is found with a maximum over unique integers: no order of writing, the same on every device.
    rank = (turn + 1).view(1, 1, N).expand(B, K - 1, N)
    if distance is not None:
        near = distance[:, 1:].float().contiguous().view(torch.int32).to(torch.int64)
        rank = ((0x7FFFFFFF - near) << 32) | rank
    rank = torch.where(written, rank, 0).flatten(1)
    target = target.flatten(1)
    best = torch.zeros(B, T * H * W, dtype=torch.int64, device=latents.device).scatter_reduce_(1, target, rank, "amax")
    wins = (rank > 0) & (rank == best.gather(1, target))
    sample, slot = wins.nonzero(as_tuple=True)

    place = target[sample, slot]
    source = start.expand(-1, K - 1, -1).flatten(1)[sample, slot]
    flat_latents = latents.flatten(2)
    value = flat_latents[sample, :, source]
    if isinstance(strength, Tensor):
        share = strength.to(latents.device).expand(B, -1, -1)[:, 1:K].flatten(1)[sample, slot].unsqueeze(-1)
        before = flat_latents[sample, :, place]
        value = (before + share * (value - before)).to(latents.dtype)
    elif strength != 1:
        value = torch.lerp(flat_latents[sample, :, place], value, strength)
    return sample, place, value


def _turn(count: int, collision: Collision, seed: int, device: torch.device) -> Tensor:
    """int64 [N]: the turn of each track; the largest wins."""
    index = torch.arange(count, device=device)
    if collision == "first":
        return count - 1 - index
    if collision in ("last", "nearest"):
        return index
    if collision == "random":
        if not (isinstance(seed, Integral) and seed >= 0):
            raise InputError(f"seed of collisions: found {seed!r}, expected a whole number, 0 or more")
        # Numbers drawn one after the other: more tracks behind a track do not change its place among the others.
        drawn = np.random.default_rng(seed).random(count)
        return torch.from_numpy(drawn.argsort(kind="stable").argsort(kind="stable")).to(device)
    raise InputError(f"collision: found {collision!r}, expected 'random', 'last', 'first' or 'nearest'")


def _check_size(condition: Tensor, size: tuple[int, int], strides: tuple[int, int, int]) -> None:
    expected = (condition.shape[3] * strides[1], condition.shape[4] * strides[2])
    if tuple(size) != expected:
        raise InputError(
            f"size: found {tuple(size)}, expected {expected}: {condition.shape[3]}x{condition.shape[4]} latent cells "
            f"of {strides[1]}x{strides[2]} pixels"
        )


def _per_sample(condition: Tensor, points: Tensor, visible: Tensor, time_stride: int) -> tuple[Tensor, Tensor]:
    """Points [B, F, N, 2] and visibility bool [B, F, N] on the condition's device, checked against it."""
    batch, latent_frames = condition.shape[0], condition.shape[2]
    points = points.unsqueeze(0) if points.ndim == 3 else points
    visible = visible.unsqueeze(0) if visible.ndim == 2 else visible
    if points.ndim != 4 or points.shape[-1] != 2 or points.shape[0] not in (1, batch) or points.shape[1] < 1:
        raise InputError(f"points: found shape {tuple(points.shape)}, expected [F, N, 2] or [{batch}, F, N, 2]")
    if visible.ndim != 3 or visible.shape[1:] != points.shape[1:3] or visible.shape[0] not in (1, batch):
        raise InputError(
            f"visible: found shape {tuple(visible.shape)}, expected {tuple(points.shape[:3])} as points has"
        )
    longest = time_stride * (latent_frames - 1) + 1
    if math.ceil(points.shape[1] / time_stride) > latent_frames:
        raise InputError(
            f"points: found {points.shape[1]} frames, expected at most {longest} for {latent_frames} latent frames; "
            f"resample the tracks to {longest} frames"
        )
    points = points.to(condition.device, torch.float32).expand(batch, -1, -1, -1)
    return points, visible.to(condition.device).bool().expand(batch, -1, -1)
