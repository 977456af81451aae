"""Crops of photographs as the textures of natural scenes, cut on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from motionloom.prepare.procedural.natural.scene import NaturalScene

_LEVELS = 5  # of the pyramid of halved photographs


def lay_photographs(
    scene: NaturalScene, photographs: Sequence[NDArray[np.uint8]], seed: int, indices: Sequence[int]
) -> NaturalScene:
    """Photographs for some textures: of a third of the clips none, of a third some, of a third all.

    In half of the clips everything is cut out of one photograph, so that figure and ground have like colours.
    """
    present = scene.present.cpu().numpy()
    detail = scene.detail.cpu().numpy()
    grounds: list[_Crop] = []
    things: list[_Crop] = []
    for clip, index in enumerate(indices):
        rng = np.random.default_rng([seed, index, 11])
        share, alike = rng.choice([0.0, 0.6, 1.0]), rng.random() < 0.5
        ground = int(rng.integers(len(photographs)))
        for layer in range(scene.present.shape[1]):
            number = ground if alike or not layer else int(rng.integers(len(photographs)))
            # What is drawn does not depend on what is there, so that the motion and the crops go together.
            taken, crop = rng.random() < share, _draw(rng, clip, layer, number, photographs[number].shape)
            if not (taken and present[clip, layer]):
                continue
            if layer == 0:
                grounds.append(crop)
            else:
                # Of a thing's texture only the middle is seen if it is small; the crop is of what is seen.
                things.append(replace(crop, side=crop.side / max(0.35, min(1.0, float(detail[clip, layer])))))
    background, sprites = scene.background.clone(), scene.sprites.clone()
    for crops, target in ((grounds, background), (things, sprites)):
        side = target.shape[-1]
        for number in sorted({crop.number for crop in crops}):
            some = [crop for crop in crops if crop.number == number]
            pictures = _cut(photographs[number], some, side, scene.device)
            clips = torch.tensor([crop.clip for crop in some], device=scene.device)
            layers = torch.tensor([crop.layer for crop in some], device=scene.device)
            if target is background:
                background[clips] = pictures
            else:
                sprites[clips, layers - 1, :3] = pictures
    return replace(scene, background=background, sprites=sprites)


@dataclass(frozen=True)
class _Crop:
    """A square of a photograph: its middle and side in pixels, turned by quarters, mirrored; a change of its light."""

    clip: int
    layer: int
    number: int
    x: float
    y: float
    side: float
    quarter: int
    mirrored: bool
    gain: tuple[float, float, float]
    lift: float


def _draw(rng: np.random.Generator, clip: int, layer: int, number: int, shape: tuple[int, ...]) -> _Crop:
    height, width = shape[:2]
    short = min(height, width)
    side = short * rng.uniform(0.7, 1.6) if layer == 0 else short * np.exp(rng.uniform(np.log(0.15), np.log(0.6)))
    x, y = (extent / 2 + rng.uniform(-0.5, 0.5) * max(0.2 * extent, extent - side) for extent in (width, height))
    gain = rng.uniform(0.75, 1.25) * (1 + rng.normal(0, 0.08, 3))
    # Grounds stay upright, as photographs are; things lie any way.
    quarter = 0 if layer == 0 and rng.random() < 0.8 else int(rng.integers(4))
    return _Crop(clip, layer, number, x, y, side, quarter, bool(rng.random() < 0.5), tuple(gain), rng.normal(0, 0.05))


def _cut(photograph: NDArray[np.uint8], crops: Sequence[_Crop], side: int, device: torch.device) -> torch.Tensor:
    """The crops [n, 3, side, side] of one photograph in [0, 1], from a pyramid so that shrinking does not glitter."""
    height, width = photograph.shape[:2]
    most = min(_LEVELS - 1, int(np.log2(min(height, width))))
    levels = [int(np.clip(round(np.log2(crop.side / side)), 0, most)) for crop in crops]
    planes = torch.from_numpy(np.ascontiguousarray(photograph.transpose(2, 0, 1)))
    pyramid = [planes.to(device)[None].float() / 255]
    while len(pyramid) <= max(levels):
        pyramid.append(F.avg_pool2d(pyramid[-1], 2, ceil_mode=True, count_include_pad=False))
    out = torch.empty(len(crops), 3, side, side, device=device)
    axis = (torch.arange(side, device=device) + 0.5) * (2 / side) - 1
    plane = torch.complex(axis.expand(side, side), axis[:, None].expand(side, side).contiguous())
    for level in sorted(set(levels)):
        some = [k for k, other in enumerate(levels) if other == level]
        turn = torch.tensor([1j ** crops[k].quarter * crops[k].side / 2 for k in some], device=device)
        flat = torch.tensor([crops[k].mirrored for k in some], device=device)[:, None, None]
        middle = torch.tensor([complex(crops[k].x, crops[k].y) for k in some], device=device)
        place = torch.where(flat, plane.conj().resolve_conj(), plane) * turn[:, None, None] + middle[:, None, None]
        grid = torch.view_as_real(place.to(torch.complex64)) * place.real.new_tensor([2 / width, 2 / height]) - 1
        source = pyramid[level].expand(len(some), -1, -1, -1)
        taken = F.grid_sample(source, grid.float(), padding_mode="reflection", align_corners=False)
        gain = torch.tensor([crops[k].gain for k in some], device=device, dtype=torch.float32)[:, :, None, None]
        lift = torch.tensor([crops[k].lift for k in some], device=device, dtype=torch.float32)[:, None, None, None]
        out[some] = (taken * gain + lift).clamp(0, 1)
    return out
