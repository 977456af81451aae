"""What a batch of natural clips is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from motionloom.prepare.procedural.scene import Scene

MAX_LAYERS = 14


@dataclass(frozen=True)
class NaturalScene(Scene):
    """Layers that also turn in depth, are lit, and cast shadows; and balls. L is `MAX_LAYERS`.

    The last channel of ``sprites`` holds the signed distance to the outline, positive inside, in material units;
    what covers a pixel by more than half is where it is positive.

    Attributes:
        turn: float32 [B, L, 3, 3, T], rotation in depth (x right, y down, z away) before the similarity.
        perspective: float32 [B, L], how strongly depth foreshortens: a point at depth z shrinks by 1 + perspective z.
        ball: bool [B, L], layers that are spheres of radius 1 instead of planes, seen from far away.
        mirrored: bool [B, L, 2], the sprite goes on in x, in y, by mirroring, as for hills and fences.
        detail: float32 [B, L], the part of the sprite's colours that is stretched over [-1, 1].
        light: float32 [B, 3], direction to the light, of length one; its z is below zero.
        shade: float32 [B, L, 3], strengths of diffuse light, of the ramp over a plane, and of gloss.
        shadow: float32 [B, L, 3], of the shadow on what lies behind: its distance (in units of the layer's scale),
            softness (material units) and strength.
    """

    timed: ClassVar[tuple[str, ...]] = (*Scene.timed, "turn")

    turn: torch.Tensor
    perspective: torch.Tensor
    ball: torch.Tensor
    mirrored: torch.Tensor
    detail: torch.Tensor
    light: torch.Tensor
    shade: torch.Tensor
    shadow: torch.Tensor
