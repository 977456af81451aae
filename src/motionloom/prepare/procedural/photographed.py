"""Photographs as the textures of procedural scenes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.prepare.procedural.scene import SceneT


def with_photographs(scene: SceneT, photographs: Sequence[NDArray[np.uint8]], seed: int) -> SceneT:
    """The same motion with photographs for textures: one behind, patches of the others on the things in front.

    Args:
        photographs: uint8 [H, W, 3], at least one; clip i shows number i modulo their count in the background.
        seed: of the patches' places.

    Raises:
        InputError: there is no photograph.
    """
    if not len(photographs):
        raise InputError("photographs: found none, expected at least one, uint8 [H, W, 3]")
    background, sprites = [], scene.sprites.clone()
    for clip in range(scene.scale.shape[0]):
        rng = np.random.default_rng([seed, clip])
        side = scene.background.shape[-1]
        background.append(_square(photographs[clip % len(photographs)], side, rng, least=1.0))
        for layer in range(sprites.shape[1]):
            other = photographs[(clip + layer + 1) % len(photographs)]
            sprites[clip, layer, :3] = _square(other, sprites.shape[-1], rng, least=0.3)
    return replace(scene, background=torch.stack(background).to(scene.device), sprites=sprites)


def _square(image: NDArray[np.uint8], side: int, rng: np.random.Generator, least: float) -> torch.Tensor:
    """A random square of a photograph, at least ``least`` of its short side, as float32 [3, side, side]."""
    short = min(image.shape[:2])
    crop = max(8, int(short * rng.uniform(least, 1.0)))
    top, left = (int(rng.integers(0, extent - crop + 1)) for extent in image.shape[:2])
    part = torch.from_numpy(image[top : top + crop, left : left + crop].copy()).permute(2, 0, 1)[None].float() / 255
    return F.interpolate(part, (side, side), mode="bilinear", antialias=True)[0]
