"""The motion cue of Time-to-Move: a crude clip of the moved photograph, and where the drawing determines it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.methods.warp.compose import Sprite
from motionloom.methods.warp.matte import matte
from motionloom.methods.warp.warp import warp
from motionloom.tracks.interpolate import automatic_reach, complete, falloff
from motionloom.tracks.layers import Layer

if TYPE_CHECKING:
    from motionloom.tracks.tracks import Tracks

_CELL = 4  # pixels between the places where the reach of free tracks is computed


def motion_cue(
    image: NDArray[np.uint8],
    tracks: Tracks | None,
    layers: Sequence[Layer] | None,
    size: tuple[int, int],
    num_frames: int,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """What the warp model makes of a photograph and its motion, with the part of it that was drawn.

    Determined are: a thing with a region, at its place in each frame; the surroundings of free paths and static
    points, as far as they drag or hold the picture (see `motionloom.tracks.interpolate.interpolate_motion`); under a
    camera move everything. Never what the photograph does not show: filled holes, and what comes in over its rim.

    Args:
        image: uint8 [H, W, 3], scaled to ``size``.
        tracks, layers: of the motion, as `motionloom.methods.warp.warp` takes them; layers take the place of tracks.
        size: (height, width) of the clip.
        num_frames: of the clip; the motion is resampled onto them.

    Returns:
        frames uint8 [T, H, W, 3] and mask bool [T, H, W]. Without a visible track the mask is empty.

    Raises:
        InputError: see `warp`.
    """
    if image.shape[:2] != size:
        shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
        image = np.asarray(cv2.resize(image, (size[1], size[0]), interpolation=way), np.uint8)
    if not layers:
        layers = [] if tracks is None else [Layer(tracks, None, False, "background", 0)]
    frames, known = warp(image, layers=layers, num_frames=num_frames, return_mask=True)
    determined = np.zeros(known.shape, np.bool_)
    for layer in sorted(layers, key=lambda layer: layer.order):
        fitted = layer.tracks.resize(size).resample(num_frames)
        if not fitted.visible.any():
            continue
        if layer.region is None:
            determined |= _reached(fitted, size)
        else:
            _add_thing(determined, image, layer, fitted)
    return frames, determined & known


def _add_thing(determined: NDArray[np.bool_], image: NDArray[np.uint8], layer: Layer, tracks: Tracks) -> None:
    """Mark where a cut-out thing is in each frame, in place."""
    size = tracks.size
    assert layer.region is not None
    region = cv2.resize(layer.region.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST) > 0
    if not region.any():
        return
    sprite = Sprite(image, matte(image, region), None, *complete(tracks), rigid=layer.rigid, size=size)
    canvas = np.zeros_like(image)
    for t in range(len(determined)):
        sprite.put(canvas, determined[t], t)


def _reached(tracks: Tracks, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Where free tracks say what the picture does: bool [T, H, W]."""
    paths, seen = complete(tracks)
    reach = automatic_reach(paths, size)
    if np.isinf(reach):
        return np.ones((len(paths), *size), np.bool_)
    rows, columns = (np.arange(-(-side // _CELL)) * _CELL + _CELL / 2 for side in size)
    places = np.stack(np.meshgrid(columns, rows), axis=-1).reshape(-1, 2).astype(np.float64)
    reached = np.zeros((len(paths), *size), np.bool_)
    for t in range(len(paths)):
        if seen[t].any():
            # Down to half of the motion: beyond, the picture is more at rest than moved.
            near = falloff(places, paths[t, seen[t]], reach).reshape(len(rows), len(columns)) >= 0.5
            wide = np.repeat(np.repeat(near, _CELL, axis=0), _CELL, axis=1)
            reached[t] = wide[: size[0], : size[1]]
    return reached
