"""Deblocking: in smooth surroundings, steps between the blocks of a picture become ramps, as in video codecs."""

from __future__ import annotations

import torch
from torch import Tensor

# Of the range from -1 to 1, chosen by eye and by what benchmarks/nano.py says of blocks and PSNR of held-out clips.
_STEP = 0.5  # a step between blocks as large as this is an edge of the picture
_DETAIL = 0.12  # a difference within a block as large as this is detail of the picture, whatever lies beside it
_ROUNDS = 2


def deblocked(frames: Tensor, block: int) -> Tensor:
    """Frames [B, 3, T, H, W] in [-1, 1] whose steps at the borders of blocks are smoothed, across and then down.

    The larger a step and the more detail beside it, the less it is smoothed.

    Args:
        block: pixels in height and width, 4 or more.
    """
    for _ in range(_ROUNDS):
        for axis in (-1, -2):
            frames = _along(frames.movedim(axis, -1), block).movedim(-1, axis)
    return frames


def _along(frames: Tensor, block: int) -> Tensor:
    border = torch.arange(block, frames.shape[-1], block, device=frames.device)
    outer, inner, beyond, far = (frames[..., border + offset] for offset in (-2, -1, 0, 1))
    step = (beyond - inner).abs().amax(1, keepdim=True)  # of all colours together, so that none is fringed
    detail = torch.maximum((inner - outer).abs(), (far - beyond).abs()).amax(1, keepdim=True)
    share = (1 - step / _STEP).clamp_min(0) * (1 - detail / _DETAIL).clamp_min(0)
    ramped = frames.clone()
    ramped[..., border - 1] = inner + share * ((2 * outer + far) / 3 - inner)
    ramped[..., border] = beyond + share * ((outer + 2 * far) / 3 - beyond)
    return ramped
