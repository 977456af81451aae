"""From the picture to a layer's material and back.

The material of a plane is (x, y, 0) before bending; that of a ball is its surface point (x, y, z), of length one.
A plane goes to the picture by bending back, a rotation in depth with perspective, and a similarity; the last two make
one homography.
"""

from __future__ import annotations

import torch

from motionloom.prepare.procedural.natural.scene import NaturalScene
from motionloom.prepare.procedural.scene import WAVES


def homographies(scene: NaturalScene) -> torch.Tensor:
    """From the bent plane (or the disc of a ball) to the picture: float64 [B, L, 3, 3, T]."""
    scale, shift = scene.scale.to(torch.complex128), scene.shift.to(torch.complex128)
    zero, one = torch.zeros_like(scale.real), torch.ones_like(scale.real)
    planar = ~scene.ball[:, :, None, None, None]
    depth = torch.where(planar, scene.turn.double(), torch.eye(3, device=scene.device)[:, :, None].double())
    strength = (scene.perspective * ~scene.ball).double()[:, :, None]
    similar = [[scale.real, -scale.imag, shift.real], [scale.imag, scale.real, shift.imag], [zero, zero, one]]
    tilted = [
        [depth[:, :, 0, 0], depth[:, :, 0, 1], zero],
        [depth[:, :, 1, 0], depth[:, :, 1, 1], zero],
        [strength * depth[:, :, 2, 0], strength * depth[:, :, 2, 1], one],
    ]
    # Written out: a matrix product may round differently in batches of different sizes.
    rows = [[a * tilted[0][j] + b * tilted[1][j] + c * tilted[2][j] for j in range(3)] for a, b, c in similar]
    return torch.stack([torch.stack(row, 2) for row in rows], 2)


def inverses(matrices: torch.Tensor) -> torch.Tensor:
    """The inverse homographies [B, L, 3, 3, T], by the adjugate."""
    a, b, c, d, e, f, g, h, i = matrices.flatten(2, 3).unbind(2)
    rows = [e * i - f * h, c * h - b * i, b * f - c * e, f * g - d * i, a * i - c * g, c * d - a * f]
    rows += [d * h - e * g, b * g - a * h, a * e - b * d]
    determinant = a * rows[0] + b * rows[3] + c * rows[6]
    return (torch.stack(rows, 2) / determinant[:, :, None]).unflatten(2, (3, 3))


def carry(matrix: tuple[torch.Tensor, ...], x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Points (x, y) through homographies given as their nine entries, row by row, all of shapes that broadcast."""
    a, b, c, d, e, f, g, h, i = matrix
    under = g * x + h * y + i
    return (a * x + b * y + c) / under, (d * x + e * y + f) / under


def bending(
    x: torch.Tensor, y: torch.Tensor, wave: torch.Tensor, phase: torch.Tensor, gain: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """The bending field at points [...]; wave [WAVES, 2, ...], phase [WAVES, ...], gain complex [WAVES, ...]."""
    out_x, out_y = torch.zeros_like(x), torch.zeros_like(y)
    for k in range(WAVES):
        swing = torch.sin(wave[k, 0] * x + wave[k, 1] * y + phase[k])
        out_x, out_y = out_x + gain[k].real * swing, out_y + gain[k].imag * swing
    return out_x, out_y


def onto_ball(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """The surface points [3, ...] of a unit ball that are seen at (x, y); beyond its rim, those at the rim."""
    radius = (x * x + y * y).sqrt().clamp_min(1.0)
    x, y = x / radius, y / radius
    return torch.stack([x, y, -(1 - x * x - y * y).clamp_min(0).sqrt()])


def rotated(rotation: tuple[torch.Tensor, ...], points: torch.Tensor) -> torch.Tensor:
    """Rotation matrices, as nine entries row by row, times points [3, ...]."""
    x, y, z = points
    return torch.stack([rotation[k] * x + rotation[k + 1] * y + rotation[k + 2] * z for k in (0, 3, 6)])


def unrotated(rotation: tuple[torch.Tensor, ...], points: torch.Tensor) -> torch.Tensor:
    """Points turned back: the transposed matrices times points [3, ...]."""
    x, y, z = points
    return torch.stack([rotation[k] * x + rotation[k + 3] * y + rotation[k + 6] * z for k in range(3)])


def on_sprite(ball: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Where in a sprite the colour of a ball's surface points [3, ...] is taken.

    Each half of the ball is flattened with equal areas (Lambert's azimuthal projection); the far half lies beside the
    near one, joined along the rim, so that there is no seam and nothing repeats on the other side.
    """
    x, y, z = ball
    flat = 0.6 / (1 + z.abs()).sqrt()
    return x * flat - 0.24 * z, y * flat - 0.32 * z


def folded(value: torch.Tensor) -> torch.Tensor:
    """Into [-1, 1] by mirroring at the borders."""
    return ((value - 1).remainder(4) - 2).abs() - 1
