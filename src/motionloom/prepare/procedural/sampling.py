"""Scenes drawn from a seed and the numbers of the clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.prepare.procedural.scene import Scene
from motionloom.prepare.procedural.simple import simple_clip

Style = Literal["simple", "natural"]
"""Flat textured layers that slide, turn, scale and bend; or miniature worlds with light, depth and jointed things."""


def sample_scene(
    seed: int,
    indices: Sequence[int],
    *,
    num_frames: int = 17,
    resolution: int = 128,
    motion: float = 1.0,
    style: Style = "simple",
    photographs: Sequence[NDArray[np.uint8]] | None = None,
    device: torch.device | str = "cpu",
) -> Scene:
    """The scenes of some clips.

    Args:
        seed: names the data set.
        indices: which clips of it; clip i is the same in every batch.
        num_frames: T.
        resolution: short side in pixels the clips will be rendered at; it sets the detail of the textures.
        motion: factor on all amounts of movement; 0 gives still clips.
        style: see `Style`.
        photographs: uint8 [H, W, 3], textures of some layers of natural scenes.
        device: where the scenes live.
    """
    if num_frames < 1 or resolution < 8:
        raise InputError(
            f"num_frames, resolution: found {num_frames}, {resolution}; expected at least 1 frame and 8 pixels"
        )
    clips = [simple_clip(np.random.default_rng([seed, index]), num_frames, resolution, motion) for index in indices]
    return Scene(**{f.name: torch.stack([clip[f.name] for clip in clips]).to(device) for f in fields(Scene)})
