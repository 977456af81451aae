"""Natural scenes: a few numbers drawn per clip, all pictures made together on the device."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.prepare.procedural.natural.clip import draw_clip
from motionloom.prepare.procedural.natural.outlines import make_outlines
from motionloom.prepare.procedural.natural.photographed import lay_photographs
from motionloom.prepare.procedural.natural.scene import MAX_LAYERS, NaturalScene
from motionloom.prepare.procedural.natural.textures import paint_textures

TEXELS = 1 << 21  # of textures painted together, which bounds the memory

_SAME = (
    "bend_wave",
    "bend_phase",
    "bend_gain",
    "turn",
    "perspective",
    "ball",
    "mirrored",
    "light",
    "shade",
    "shadow",
)


def sample_natural(
    seed: int,
    indices: Sequence[int],
    num_frames: int,
    resolution: int,
    motion: float,
    photographs: Sequence[NDArray[np.uint8]],
    device: torch.device | str,
) -> NaturalScene:
    """The scenes of some clips; see `motionloom.prepare.procedural.sample_scene`."""
    clips = [draw_clip(np.random.default_rng([seed, index, 17]), num_frames, motion) for index in indices]
    numbers = {name: torch.from_numpy(np.stack([clip[name] for clip in clips])).to(device) for name in clips[0]}
    textures = {name.removeprefix("texture_"): v for name, v in numbers.items() if name.startswith("texture_")}
    present, side = numbers["present"], max(32, resolution * 3 // 4)
    background = _painted({name: value[:, 0] for name, value in textures.items()}, 2 * resolution)
    sprites = torch.zeros(len(clips), MAX_LAYERS - 1, 4, side, side, device=device)
    there = present[:, 1:]
    sprites[there] = torch.cat(
        [
            _painted({name: value[:, 1:][there] for name, value in textures.items()}, side),
            make_outlines(numbers["outline"][:, 1:][there], side)[:, None],
        ],
        dim=1,
    )
    # About one texel per pixel: a sprite shrunk to a few pixels would glitter.
    detail = (numbers["size"] * resolution / side).clamp(0.1, 1.0)
    scene = NaturalScene(
        scale=numbers["scale"],
        shift=numbers["shift"],
        background=background,
        sprites=sprites,
        present=present,
        detail=detail,
        **{name: numbers[name] for name in _SAME},
    )
    return lay_photographs(scene, photographs, seed, indices) if len(photographs) else scene


def _painted(numbers: dict[str, torch.Tensor], side: int) -> torch.Tensor:
    """Textures, as many at a time as memory allows."""
    step = max(1, TEXELS // side**2 // 4)
    count = len(numbers["key"])
    parts = [
        paint_textures({name: value[start : start + step] for name, value in numbers.items()}, side)
        for start in range(0, count, step)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, 3, side, side, device=numbers["key"].device)
