"""Exact tracks and visibility in natural scenes."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from motionloom.prepare.procedural.natural.geometry import (
    bending,
    carry,
    folded,
    homographies,
    inverses,
    onto_ball,
    rotated,
    unrotated,
)
from motionloom.prepare.procedural.natural.scene import NaturalScene

SOLVING = 14  # rounds that undo the bend, a contraction whose slope stays below one half: 2^-14 of a pixel is left
POINTS = 1 << 21  # places looked at together, which bounds the memory


def trace_natural(
    scene: NaturalScene, points: torch.Tensor, size: tuple[int, int], frame: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """As `motionloom.prepare.procedural.trace`, some points at a time."""
    step = max(1, POINTS // max(1, scene.num_clips * scene.num_frames))
    parts = [_trace(scene, part, size, frame) for part in points.split(step, dim=1)]
    return torch.cat([part[0] for part in parts], 2), torch.cat([part[1] for part in parts], 2)


def _trace(
    scene: NaturalScene, points: torch.Tensor, size: tuple[int, int], frame: int
) -> tuple[torch.Tensor, torch.Tensor]:
    height, width = size
    half = min(size) / 2
    start = (points - points.new_tensor([width / 2, height / 2])) / half
    start_x, start_y = start[:, None, :, 0], start[:, None, :, 1]  # [B, 1, N]
    there = homographies(scene)
    back = inverses(there).float()
    there = there.float()
    layers = int(scene.present.sum(1).max())
    now = slice(frame, frame + 1)

    owner = _owner(scene, back, start_x, start_y, now)

    def own(values: torch.Tensor) -> torch.Tensor:
        """[B, L, ..., T] -> [..., B, T, N], each point's own layer."""
        flat = values.reshape(*values.shape[:2], -1)
        taken = torch.gather(flat, 1, owner[..., None].expand(-1, -1, flat.shape[-1]))
        taken = taken.reshape(*owner.shape, *values.shape[2:])
        return taken.permute(*range(2, taken.ndim - 1), 0, taken.ndim - 1, 1)

    def own_entries(matrices: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return own(matrices.flatten(2, 3)).unbind(0)

    wave = own(scene.bend_wave.unsqueeze(-1))  # [WAVES, 2, B, 1, N]
    phase, gain, turn = own(scene.bend_phase), own(scene.bend_gain), own_entries(scene.turn)
    ball = own(scene.ball.unsqueeze(-1))  # [B, 1, N]
    x, y = carry(tuple(entry[:, now] for entry in own_entries(back)), start_x, start_y)
    bent_x, bent_y = bending(x, y, wave, phase[..., now, :], gain[..., now, :])
    flat_x, flat_y = x + bent_x, y + bent_y
    surface = unrotated(tuple(entry[:, now] for entry in turn), onto_ball(x, y))

    x, y = flat_x.expand_as(phase[0]), flat_y.expand_as(phase[0])
    for _ in range(SOLVING):
        bent_x, bent_y = bending(x, y, wave, phase, gain)
        x, y = flat_x - bent_x, flat_y - bent_y
    surface = rotated(turn, surface)
    x, y = torch.where(ball, surface[0], x), torch.where(ball, surface[1], y)
    x, y = carry(own_entries(there), x, y)

    pixels = torch.stack([x, y], -1) * half + points.new_tensor([width / 2, height / 2])
    limit = points.new_tensor([width, height])
    visible = ((pixels >= 0) & (pixels < limit)).all(-1) & ~(ball & (surface[2] > 0))
    for layer in range(1, layers):
        visible &= ~((distance(scene, back, layer, x, y, slice(None)) > 0) & (owner[:, None] < layer))
    return pixels, visible


def natural_layer_at(scene: NaturalScene, points: torch.Tensor, size: tuple[int, int], frame: int) -> torch.Tensor:
    """As `motionloom.prepare.procedural.layer_at`."""
    place = (points - points.new_tensor([size[1] / 2, size[0] / 2])) / (min(size) / 2)
    back = inverses(homographies(scene)).float()
    return _owner(scene, back, place[:, None, :, 0], place[:, None, :, 1], slice(frame, frame + 1))


def _owner(scene: NaturalScene, back: torch.Tensor, x: torch.Tensor, y: torch.Tensor, now: slice) -> torch.Tensor:
    """The nearest layer [B, N] that covers places [B, 1, N] at one frame."""
    owner = torch.zeros(x.shape[0], x.shape[2], dtype=torch.long, device=x.device)
    for layer in range(1, int(scene.present.sum(1).max())):
        owner[distance(scene, back, layer, x, y, now)[:, 0] > 0] = layer
    return owner


def distance(
    scene: NaturalScene, back: torch.Tensor, layer: int, x: torch.Tensor, y: torch.Tensor, frames: slice
) -> torch.Tensor:
    """Signed distance [B, T', N] to the outline of one layer, positive inside, at places (x, y) of the picture.

    Args:
        back: of `inverses`, float32.
        x, y: [B, T' or 1, N] in half short sides, at the T' chosen frames.
    """
    x, y = carry(back[:, layer, :, :, frames].flatten(1, 2)[..., None].unbind(1), x, y)
    rim = 1 - (x * x + y * y).sqrt()
    wave = scene.bend_wave[:, layer].movedim(0, -1)[..., None, None]
    phase, gain = (v[:, layer, :, frames].movedim(1, 0)[..., None] for v in (scene.bend_phase, scene.bend_gain))
    bent_x, bent_y = bending(x, y, wave, phase, gain)
    place = torch.stack([x + bent_x, y + bent_y], -1)
    goes_on = scene.mirrored[:, layer, None, None]
    within = ((place.abs() < 1) | goes_on).all(-1)
    place = torch.where(goes_on, folded(place), place)
    sprite = scene.sprites[:, layer - 1, 3:]
    inside = F.grid_sample(sprite, place, padding_mode="border", align_corners=False)[:, 0]
    inside = torch.where(scene.ball[:, layer, None, None], rim, torch.where(within, inside, -1.0))
    return torch.where(scene.present[:, layer, None, None], inside, -1.0)
