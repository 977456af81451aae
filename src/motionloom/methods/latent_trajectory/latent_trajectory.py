"""Latent-trajectory guidance on any model's input: the first frame's latent copied along the tracks.

The copying is Wan-Move's (Chu et al. 2025, arXiv 2512.08765), told where another model keeps the first frame.

Shape suffixes: B batch, C channels, F pixel frames, T latent frames, N tracks, H and W latent rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.wan_move import wan_move
from motionloom.methods.wan_move.choices import Pooling


@dataclass(frozen=True)
class FirstFrame:
    """Where the input of a denoiser carries the latent of the first frame.

    Attributes:
        channels: (start, stop) of it on the channel axis.
        strides: pixels per latent step in time, height and width.
        time_axis: 2 for [B, C, T, H, W], 1 for [B, T, C, H, W].
        lead: latent frames in front that are not shown. The first frame's latent is at 0; the shown frame k >= 1 at
            k + lead.
        argument: of the denoiser's forward that holds the input.
    """

    channels: tuple[int, int]
    strides: tuple[int, int, int] = wan_move.STRIDES
    time_axis: int = 2
    lead: int = 0
    argument: str = "hidden_states"

    def size(self, value: Tensor) -> tuple[int, int]:
        """(height, width) in pixels of the video that the input belongs to."""
        return value.shape[-2] * self.strides[1], value.shape[-1] * self.strides[2]

    def num_frames(self, value: Tensor) -> int:
        """Pixel frames of that video."""
        return (value.shape[self.time_axis] - self.lead - 1) * self.strides[0] + 1


@torch.no_grad()
def guide(
    value: Tensor,
    points: Tensor,
    visible: Tensor,
    place: FirstFrame,
    *,
    strength: float = 1.0,
    seed: int = 0,
    pooling: Pooling = "sample",
) -> Tensor:
    """A denoiser's input with the first frame's latent copied along the tracks.

    Args:
        value: [B, C, T, H, W] or [B, T, C, H, W], see ``place``. Not changed.
        points, visible: [B, F, N, 2] in pixels of the video and bool [B, F, N].
        strength, seed, pooling: see `motionloom.methods.wan_move.wan_move.guide`.

    Raises:
        InputError: channels the input does not have; see `wan_move.guide`.
    """
    start, stop = place.channels
    channel_axis = 3 - place.time_axis
    if value.ndim != 5 or not 0 <= start < stop <= value.shape[channel_axis]:
        raise InputError(
            f"{place.argument}: found shape {tuple(value.shape)}, expected five axes with channels {start} to {stop} "
            f"on axis {channel_axis}; correct the FirstFrame of this model"
        )
    out = value.clone()
    part = out.narrow(channel_axis, start, stop - start)
    time_second = part if place.time_axis == 2 else part.transpose(1, 2)  # a view [B, C, T, H, W]
    later = place.lead + 1
    shown = torch.cat([time_second[:, :, :1], time_second[:, :, later:]], dim=2)
    copied = wan_move.guide(
        shown,
        points,
        visible,
        place.size(value),
        strides=place.strides,
        mask_channels=0,
        strength=strength,
        seed=seed,
        pooling=pooling,
    )
    time_second[:, :, later:] = copied[:, :, 1:]
    return out


@torch.no_grad()
def copy_tokens(
    latents: Tensor,
    points: Tensor,
    visible: Tensor,
    strides: tuple[int, int, int],
    token: tuple[int, int],
    *,
    seed: int = 0,
) -> tuple[Tensor, Tensor]:
    """The first latent frame copied along the tracks, whole tokens at a time.

    For models whose tokens have a noise level each: all cells of a token must be known or none. What surrounds the
    track's cell within its token comes from around the track's start.

    Args:
        latents: [B, C, T, H, W]; not changed.
        points, visible: [B, F, N, 2] in pixels and bool [B, F, N].
        token: latent rows and columns of a token.

    Returns:
        The latents with the copies, and where they are, bool [B, T, H, W] (never in frame 0).
    """
    rows, columns = latents.shape[-2:]
    size = (rows * strides[1], columns * strides[2])
    cells, _ = wan_move.latent_cells(points, visible, size, strides)
    steps = [torch.arange(1 - side, side, device=cells.device) for side in token]
    offsets = torch.stack(torch.meshgrid(*steps, indexing="ij"), dim=-1).reshape(-1, 2)
    whole = torch.tensor(token, device=cells.device)
    seen = cells[..., :1] >= 0
    around = cells[..., None, :] + offsets
    own_token = (around.div(whole, rounding_mode="floor") == (cells // whole)[..., None, :]).all(-1)
    around[:, 0] = around[:, 0].clamp_min(0).minimum(torch.tensor([rows - 1, columns - 1], device=cells.device))
    own_token[:, 0] = True  # a source may lie in the token beside
    cells = torch.where((seen & own_token)[..., None], around, -1).flatten(2, 3)
    # The copies of one track take their turns together, so that a token is one track's.
    drawn = np.random.default_rng(seed).random(points.shape[2]).argsort(kind="stable").argsort(kind="stable")
    turn = torch.from_numpy(drawn).to(cells.device)[:, None] * len(offsets) + torch.arange(
        len(offsets), device=cells.device
    )
    marker = torch.zeros_like(latents[:, :1])
    marker[:, :, 0] = 1
    both = wan_move.replicate(torch.cat([latents, marker], dim=1), cells, turn.flatten())
    known = both[:, -1] > 0.5
    known[:, 0] = False
    return both[:, :-1], known
