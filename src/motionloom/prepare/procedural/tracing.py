"""Exact tracks, flow and visibility of procedural scenes."""

from __future__ import annotations

import torch

from motionloom.errors import InputError
from motionloom.prepare.procedural.layers import coverage
from motionloom.prepare.procedural.natural import NaturalScene, natural_layer_at, trace_natural
from motionloom.prepare.procedural.scene import Scene, at_frames


def trace(
    scene: Scene, points: torch.Tensor, size: tuple[int, int], frame: int = 0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Exact tracks of what is seen at some points of one frame, usually the first.

    Args:
        points: [B, N, 2], (x, y) in pixels of ``size`` at ``frame`` (continuous, pixel centres at +0.5).
        frame: from 0 to T - 1.

    Returns:
        (points float32 [B, T, N, 2] in pixels, visible bool [B, T, N]): a point is visible while it is inside the
        frame and no layer in front of its own covers it by more than half. On the scene's device.

    Raises:
        InputError: points of another shape, or a frame that the scene does not have.
    """
    points = _checked(scene, points, frame)
    if isinstance(scene, NaturalScene):
        return trace_natural(scene, points, size, frame)
    height, width = size
    half = min(size) / 2
    origin = torch.tensor([width / 2, height / 2], device=points.device)
    start = torch.view_as_complex(((points - origin) / half).contiguous())
    layers = scene.scale.shape[1]

    owner = _owner(scene, start, frame)

    def of_owner(values: torch.Tensor) -> torch.Tensor:
        """[B, L, ...] -> [B, N, ...], each point's own layer."""
        index = owner.reshape(*owner.shape, *[1] * (values.ndim - 2)).expand(*owner.shape, *values.shape[2:])
        return torch.gather(values, 1, index)

    scale, shift = of_owner(scene.scale).transpose(1, 2), of_owner(scene.shift).transpose(1, 2)  # [B, T, N]
    wave, phase, gain = (of_owner(v) for v in (scene.bend_wave, scene.bend_phase, scene.bend_gain))
    phase, gain = phase.permute(0, 3, 1, 2), gain.permute(0, 3, 1, 2)  # [B, T, N, WAVES]

    def bend(u: torch.Tensor, frames: slice) -> torch.Tensor:
        angle = torch.einsum("btnd,bnwd->btnw", torch.view_as_real(u), wave) + phase[:, frames]
        return (gain[:, frames] * torch.sin(angle)).sum(-1)

    now = slice(frame, frame + 1)
    u = (start[:, None] - shift[:, now]) / scale[:, now]
    material = (u + bend(u, now)).expand_as(scale)
    u = material
    for _ in range(12):  # a contraction: the bend's slope is kept below one half
        u = material - bend(u, slice(None))
    x = scale * u + shift

    pixels = torch.view_as_real(x) * half + origin
    limit = torch.tensor([width, height], device=points.device)
    visible = ((pixels >= 0) & (pixels < limit)).all(-1)
    for layer in range(1, layers):
        hides = (coverage(scene, layer, x, slice(None)) > 0.5) & (owner[:, None] < layer)
        visible &= ~hides
    return pixels, visible


def layer_at(scene: Scene, points: torch.Tensor, size: tuple[int, int], frame: int = 0) -> torch.Tensor:
    """Which layer is seen at points [B, N, 2] (pixels) of one frame: int64 [B, N], 0 is the background.

    Raises:
        InputError: as `trace`.
    """
    points = _checked(scene, points, frame)
    if isinstance(scene, NaturalScene):
        return natural_layer_at(scene, points, size, frame)
    origin = points.new_tensor([size[1] / 2, size[0] / 2])
    return _owner(scene, torch.view_as_complex(((points - origin) / (min(size) / 2)).contiguous()), frame)


def _checked(scene: Scene, points: torch.Tensor, frame: int) -> torch.Tensor:
    """The points, float32 on the scene's device."""
    if points.ndim != 3 or points.shape[0] != scene.num_clips or points.shape[2] != 2:
        raise InputError(f"points: found shape {tuple(points.shape)}, expected [{scene.num_clips}, N, 2]")
    if not 0 <= frame < scene.num_frames:
        raise InputError(f"frame: found {frame}, expected 0 to {scene.num_frames - 1}")
    return points.to(scene.device, torch.float32)


def _owner(scene: Scene, places: torch.Tensor, frame: int) -> torch.Tensor:
    """The nearest layer [B, N] that covers places (complex [B, N], half short sides) of a simple scene."""
    owner = torch.zeros(places.shape, dtype=torch.long, device=places.device)
    for layer in range(1, scene.scale.shape[1]):
        covered = coverage(scene, layer, places[:, None], slice(frame, frame + 1))[:, 0] > 0.5
        owner[covered] = layer
    return owner


def dense_flow(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """float32 [B, T - 1, 2, H, W]: how far (x, y), in pixels, what each pixel shows moves until the next frame."""
    centres = _centres(scene, size)
    steps = [trace(at_frames(scene, [frame, frame + 1]), centres, size)[0] for frame in range(scene.num_frames - 1)]
    moved = [(points[:, 1] - points[:, 0]).transpose(1, 2).unflatten(2, size) for points in steps]
    return torch.stack(moved, 1) if moved else centres.new_zeros(scene.num_clips, 0, 2, *size)


def visible_before(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """bool [B, T, H, W]: what a pixel shows could be seen in the first frame, i.e. is neither uncovered nor new."""
    centres = _centres(scene, size)
    masks = [trace(at_frames(scene, [frame, 0]), centres, size)[1][:, 1] for frame in range(scene.num_frames)]
    return torch.stack(masks, 1).unflatten(2, size)


def _centres(scene: Scene, size: tuple[int, int]) -> torch.Tensor:
    """The pixels' centres (x, y), row by row, for every clip: float32 [B, H * W, 2]."""
    y, x = (torch.arange(extent, device=scene.device) + 0.5 for extent in size)
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
    return centres.reshape(1, -1, 2).expand(scene.num_clips, -1, -1)
