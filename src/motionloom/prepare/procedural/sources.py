"""Where in the first frame things come from, for blocks of pixels and frames."""

from __future__ import annotations

import torch

from motionloom.errors import InputError
from motionloom.prepare.procedural.scene import Scene, at_frames
from motionloom.prepare.procedural.tracing import trace


def sources(scene: Scene, size: tuple[int, int], *, block: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """What the middle of each block of ``block`` frames and ``block`` x ``block`` pixels shows, seen from frame 0.

    The first frame stands alone; block t covers frames block * (t - 1) + 1 to block * t.

    Args:
        size: (height, width) in pixels, multiples of ``block``.
        block: even, and T = 1 + S block.

    Returns:
        (places float32 [B, S, h, w, 2], (x, y) in pixels of the first frame; seen bool [B, S, h, w], whether that place
        is visible there), S = (T - 1) / block.

    Raises:
        InputError: a size or a number of frames that blocks do not fill.
    """
    if block < 2 or block % 2 or size[0] % block or size[1] % block:
        raise InputError(f"size, block: found {tuple(size)} and {block}, expected multiples of an even block")
    if scene.num_frames <= block or (scene.num_frames - 1) % block:
        raise InputError(f"scene: found {scene.num_frames} frames, expected one and then blocks of {block}")
    rows, columns = size[0] // block, size[1] // block
    row, column = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    centres = (torch.stack([column, row], dim=-1) * block).reshape(1, -1, 2)
    centres = centres.expand(scene.num_clips, -1, -1).contiguous().to(scene.device)
    places, seen = [], []
    for end in range(block, scene.num_frames, block):
        middle = end - block // 2  # the middle of the block lies half a frame after this one
        points, visible = trace(at_frames(scene, [middle, middle + 1, 0]), centres, size)
        places.append(points[:, 2] - (points[:, 1] - points[:, 0]) / 2)
        seen.append(visible[:, 2])
    shape = scene.num_clips, len(places), rows, columns
    return torch.stack(places, 1).reshape(*shape, 2), torch.stack(seen, 1).reshape(shape)
