"""Where a layer is bent to, and what it covers."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from motionloom.prepare.procedural.scene import WAVES, Scene


def coverage(scene: Scene, layer: int, x: torch.Tensor, frames: slice) -> torch.Tensor:
    """Alpha [B, T', N] of one layer at positions x (complex [B, T', N]) during the T' chosen frames."""
    u = (x - scene.shift[:, layer, frames, None]) / scene.scale[:, layer, frames, None]
    material = u + bend(scene, layer, u, frames)
    alpha = F.grid_sample(
        scene.sprites[:, layer - 1, 3:], torch.view_as_real(material), padding_mode="zeros", align_corners=False
    )
    return alpha[:, 0] * scene.present[:, layer, None, None]


def bend(scene: Scene, layer: int, u: torch.Tensor, frames: slice = slice(None)) -> torch.Tensor:
    """The bending field at u (complex [B, T', ...]) during the T' chosen frames."""
    out = torch.zeros_like(u)
    extra = [1] * (u.ndim - 2)
    real = torch.view_as_real(u)
    for wave in range(WAVES):
        frequency = scene.bend_wave[:, layer, wave].reshape(-1, 1, *extra, 2)
        phase = scene.bend_phase[:, layer, wave, frames].reshape(*u.shape[:2], *extra)
        gain = scene.bend_gain[:, layer, wave, frames].reshape(*u.shape[:2], *extra)
        if not gain.abs().max() > 0:
            continue
        out = out + gain * torch.sin((real * frequency).sum(-1) + phase)
    return out
