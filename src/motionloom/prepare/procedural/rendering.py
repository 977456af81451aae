"""Frames of procedural scenes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from motionloom.prepare.procedural.layers import bend
from motionloom.prepare.procedural.natural import NaturalScene, render_natural
from motionloom.prepare.procedural.scene import BACKGROUND_REACH, Scene, pixel_centres


def render(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """Frames float32 [B, T, 3, H, W] in [0, 1] of the scenes at (height, width)."""
    if isinstance(scene, NaturalScene):
        return render_natural(scene, size)
    batch, layers, frames = scene.scale.shape
    height, width = size
    x = pixel_centres(size, scene.scale.device)
    frame = torch.zeros(batch, 3, frames * height, width, device=x.device)
    for layer in range(layers):
        if layer and not scene.present[:, layer].any():
            continue
        u = (x - scene.shift[:, layer, :, None, None]) / scene.scale[:, layer, :, None, None]
        material = (u + bend(scene, layer, u)).reshape(batch, frames * height, width)
        if layer == 0:
            grid = torch.view_as_real(material / BACKGROUND_REACH)
            frame = F.grid_sample(scene.background, grid, padding_mode="reflection", align_corners=False)
            continue
        sprite = F.grid_sample(
            scene.sprites[:, layer - 1], torch.view_as_real(material), padding_mode="zeros", align_corners=False
        )
        alpha = sprite[:, 3:] * scene.present[:, layer, None, None, None]
        # grid_sample mixed the colours with zero outside the texture; dividing by coverage is not needed because
        # alpha is zero well before the border of every sprite.
        frame = frame * (1 - alpha) + sprite[:, :3] * alpha
    return frame.clamp(0, 1).reshape(batch, 3, frames, height, width).transpose(1, 2)
