"""Scenes drawn from a seed and the numbers of the clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Literal, get_args, overload

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.prepare.procedural.natural import NaturalScene, sample_natural
from motionloom.prepare.procedural.scene import Scene
from motionloom.prepare.procedural.simple import simple_clip

Style = Literal["simple", "natural"]
"""Flat textured layers that slide, turn, scale and bend; or miniature worlds with light, depth and jointed things."""


@overload
def sample_scene(
    seed: int,
    indices: Sequence[int],
    *,
    num_frames: int = 17,
    resolution: int = 128,
    motion: float = 1.0,
    style: Literal["natural"],
    photographs: Sequence[NDArray[np.uint8]] | None = None,
    device: torch.device | str = "cpu",
) -> NaturalScene: ...


@overload
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
) -> Scene: ...


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
        device: where the scenes live and natural ones are made.

    Raises:
        InputError: arguments that make no sense.
    """
    if num_frames < 1 or resolution < 8:
        raise InputError(
            f"num_frames, resolution: found {num_frames}, {resolution}; expected at least 1 frame and 8 pixels"
        )
    if not len(indices):
        raise InputError("indices: found none, expected the number of at least one clip")
    if style not in get_args(Style):
        raise InputError(f"style: found {style!r}, expected one of {', '.join(get_args(Style))}")
    if style == "natural":
        pictures = [_checked(number, picture) for number, picture in enumerate(photographs or ())]
        return sample_natural(seed, indices, num_frames, resolution, motion, pictures, device)
    if photographs is not None:
        raise InputError('photographs: textures of style "natural" alone; use with_photographs for simple scenes')
    clips = [simple_clip(np.random.default_rng([seed, index]), num_frames, resolution, motion) for index in indices]
    return Scene(**{f.name: torch.stack([clip[f.name] for clip in clips]).to(device) for f in fields(Scene)})


def _checked(number: int, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8 or min(picture.shape[:2]) < 8:
        raise InputError(
            f"photographs[{number}]: found {picture.dtype} {picture.shape}, expected uint8 [H, W, 3], "
            "8 pixels or more along each side"
        )
    return picture
