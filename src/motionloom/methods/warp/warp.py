"""Moving a photograph along tracks, by geometry alone.

The picture is taken apart into the things that move (a layer with a region each: cut out, moved as one, put in front)
and the background (warped by moving least squares, its holes filled once from the rest of the photograph). No network:
the instant preview, and the baseline every model has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.methods.warp.compose import STILL, Scene, Sprite, Veil, extent
from motionloom.methods.warp.field import background_field
from motionloom.methods.warp.fill import fill as fill_hole
from motionloom.methods.warp.fill import smooth_fill
from motionloom.methods.warp.matte import Matting, matte, object_colours
from motionloom.methods.warp.shadow import contact_shadow, shade
from motionloom.tracks.interpolate import complete

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.tracks import Tracks

Fill = Literal["patch", "smooth", "none"]

MAX_SIDE = 16_000
"""cv2.remap addresses 32767 pixels, and the photograph may be continued beyond its rim."""
HOLE_MARGIN = 0.016
"""How far the hole reaches beyond the object, as a share of the short side: contact shadows, glow, soft edges."""

FAINT = 0.75
"""A shadow that leaves more than this share of the light stays behind, and is filled like what else touches a thing."""


@overload
def warp(
    image: NDArray[np.uint8],
    tracks: Tracks | None = None,
    *,
    layers: Sequence[Layer] | None = None,
    num_frames: int | None = None,
    strength: float = 1.0,
    fill: Fill = "patch",
    matting: Matting = "refine",
    reach: float | None = None,
    return_mask: Literal[False] = False,
    on_progress: Callable[[int, int], Any] | None = None,
) -> NDArray[np.uint8]: ...
@overload
def warp(
    image: NDArray[np.uint8],
    tracks: Tracks | None = None,
    *,
    layers: Sequence[Layer] | None = None,
    num_frames: int | None = None,
    strength: float = 1.0,
    fill: Fill = "patch",
    matting: Matting = "refine",
    reach: float | None = None,
    return_mask: Literal[True],
    on_progress: Callable[[int, int], Any] | None = None,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]: ...
def warp(
    image: NDArray[np.uint8],
    tracks: Tracks | None = None,
    *,
    layers: Sequence[Layer] | None = None,
    num_frames: int | None = None,
    strength: float = 1.0,
    fill: Fill = "patch",
    matting: Matting = "refine",
    reach: float | None = None,
    return_mask: bool = False,
    on_progress: Callable[[int, int], Any] | None = None,
) -> NDArray[np.uint8] | tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The photograph set in motion.

    Args:
        image: uint8 [H, W, 3], any size. Tracks and regions of another canvas are scaled to it.
        tracks: moves the whole picture, when there are no layers.
        layers: what moves apart from the rest; takes the place of ``tracks``. All layers without a region together
            move the background. A layer with a region is cut out along it and moved in front, later ``order`` nearer.
        num_frames: length of the result; the motion is resampled onto it. None keeps that of the tracks.
        strength: factor on every displacement; 0 repeats the image.
        fill: what appears behind a thing that moves away: "patch" continues the texture around, "smooth" only the
            colours (quicker), "none" leaves the photograph as it is, with the thing still in it.
        matting: whether a region's outline is moved to the edge of the thing in it, see `matte`.
        reach: how far a free track drags the picture along, in pixels; None chooses, see `interpolate_motion`.
        return_mask: also return where the result shows the photograph, and not filled or continued picture.
        on_progress: called with (frames done, frames in all) after every frame; an exception in it ends the run.

    Returns:
        uint8 [T, H, W, 3]; with ``return_mask`` also bool [T, H, W]. Frame 0 and frames without any motion are the
        image itself.

    Raises:
        InputError: image, strength, number of frames or a region not usable.
    """
    pieces = _take_apart(image, tracks, layers, num_frames, strength, fill, matting, reach)
    frames = np.empty((pieces.num_frames, *image.shape), np.uint8)
    known = np.empty(frames.shape[:3], np.bool_) if return_mask else None
    for t, (frame, mask) in enumerate(pieces.frames(return_mask)):
        frames[t] = frame
        if known is not None and mask is not None:
            known[t] = mask
        if on_progress is not None:
            on_progress(t + 1, pieces.num_frames)
    return frames if known is None else (frames, known)


def _take_apart(
    image: NDArray[np.uint8],
    tracks: Tracks | None,
    layers: Sequence[Layer] | None,
    num_frames: int | None,
    strength: float,
    fill: Fill,
    matting: Matting,
    reach: float | None,
) -> Scene:
    _check(image, num_frames, strength, fill, matting)
    size = (image.shape[0], image.shape[1])
    free: list[Tracks] = []
    things: list[tuple[Tracks, NDArray[np.bool_], bool]] = []
    for layer in sorted(layers, key=lambda layer: layer.order) if layers else ():
        region = None if layer.region is None else _fit_region(layer.region, size, layer.name)
        if region is None:
            free.append(layer.tracks)
        elif region.any() and layer.tracks.visible.any():
            things.append((layer.tracks, region, layer.rigid))
    if not layers and tracks is not None:
        free.append(tracks)
    given = [*free, *(thing[0] for thing in things)] or [layer.tracks for layer in layers or ()]
    length = num_frames or max((one.num_frames for one in given), default=1)

    def prepare(one: Tracks) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        paths, seen = complete(one.resize(size).resample(length))
        return paths[0] + strength * (paths - paths[0]), seen

    prepared = [prepare(one) for one in free if one.num_tracks]
    paths = np.concatenate([one[0] for one in prepared], axis=1) if prepared else np.zeros((length, 0, 2))
    seen = np.concatenate([one[1] for one in prepared], axis=1) if prepared else np.zeros((length, 0), np.bool_)
    field = background_field(paths, seen, size, reach=reach)
    moves = [prepare(tracks) for tracks, _, _ in things]
    background_moves = bool(np.abs(field).max() > STILL)
    lifted = [background_moves or extent(paths) > STILL for paths, _ in moves]
    alphas = [matte(image, region, matting=matting) for _, region, _ in things]
    if not any(lifted):
        return Scene(image, image, np.zeros(size, np.bool_), field, [])
    plate, holes, shadows, colours = _peel(image, alphas, [region for _, region, _ in things], lifted, fill)
    hole = np.logical_or.reduce(holes) & (fill != "none")
    solid = [cv2.dilate((alpha > 0.02).astype(np.uint8), np.ones((3, 3), np.uint8)) > 0 for alpha in alphas]
    shades = [_carried_shade(image, plate, shadows[k], solid[k]) for k in range(len(things))]
    sprites = [
        Sprite(colours[k], alphas[k], shades[k], *moves[k], rigid=things[k][2], size=size) for k in range(len(things))
    ]
    veils: list[Veil | None] = [None] * len(things)
    if fill != "none":
        open_ = ~np.logical_or.reduce(solid)
        for k in reversed(range(len(things))):
            veils[k] = Veil.over(image, plate, holes[k] & open_, shades[k], open_)
            open_ = open_ & ~holes[k]
    return Scene(image, plate, hole, field, sprites, veils)


def _peel(
    image: NDArray[np.uint8],
    alphas: list[NDArray[np.float32]],
    regions: list[NDArray[np.bool_]],
    lifted: list[bool],
    fill: Fill,
) -> tuple[NDArray[np.uint8], list[NDArray[np.bool_]], list[NDArray[np.bool_]], list[NDArray[np.uint8]]]:
    """The picture without its moving things; for every thing its hole, the shadow in it, and its own colours.

    From the nearest thing to the farthest, so that one behind another is completed where the other covered it.
    """
    margin = max(2, round(HOLE_MARGIN * min(image.shape[:2])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    holes = [
        cv2.dilate(((alpha > 0.02) | region).astype(np.uint8), kernel).astype(bool) & moving
        for alpha, region, moving in zip(alphas, regions, lifted, strict=True)
    ]
    shadows = [np.zeros_like(hole) for hole in holes]
    if fill != "none":
        taken = np.logical_or.reduce([*holes, *regions])
        shadows = [contact_shadow(image, hole, taken) if hole.any() else hole for hole in holes]
        holes = [hole | shadow for hole, shadow in zip(holes, shadows, strict=True)]
        # The margin of the hole that the shadow begins beyond is dark as well.
        shadows = [
            (cv2.dilate(shadow.astype(np.uint8), np.ones((2 * margin + 3,) * 2)) > 0) & hole
            for hole, shadow in zip(holes, shadows, strict=True)
        ]
    plate, waiting = image, np.zeros(image.shape[:2], np.bool_)
    colours: list[NDArray[np.uint8]] = []
    things = np.logical_or.reduce(holes)
    for k in reversed(range(len(alphas))):
        if (waiting & (holes[k] | regions[k])).any():
            plate, waiting = _fill_plate(plate, waiting, things & ~regions[k], fill), np.zeros_like(waiting)
        colours.insert(0, object_colours(plate, alphas[k]))
        waiting = waiting | holes[k]
    return _fill_plate(plate, waiting, things, fill), holes, shadows, colours


def _carried_shade(
    image: NDArray[np.uint8], plate: NDArray[np.uint8], shadow: NDArray[np.bool_], solid: NDArray[np.bool_]
) -> NDArray[Any] | None:
    """The shadow that goes along; None where there is none to speak of, such as dark spots of the ground."""
    light = shade(image, plate, shadow, solid) if shadow.any() else None
    return None if light is None or light[shadow].mean() > FAINT else light


def _fill_plate(
    plate: NDArray[np.uint8], hole: NDArray[np.bool_], avoid: NDArray[np.bool_], fill: Fill
) -> NDArray[np.uint8]:
    if fill == "none" or not hole.any():
        return plate
    if fill == "patch":
        return fill_hole(plate, hole, avoid=avoid)
    return np.clip(np.rint(smooth_fill(plate.astype(np.float32), hole)), 0, 255).astype(np.uint8)


def _fit_region(region: NDArray[np.bool_], size: tuple[int, int], name: str) -> NDArray[np.bool_]:
    region = np.asarray(region)
    if region.ndim != 2 or region.dtype != np.bool_:
        raise InputError(f"layer {name!r}: found a region of {region.dtype} {region.shape}, expected bool [H, W]")
    if region.shape == size:
        return region
    return cv2.resize(region.astype(np.uint8), (size[1], size[0]), interpolation=cv2.INTER_NEAREST).astype(bool)


def _check(image: NDArray[np.uint8], num_frames: int | None, strength: float, fill: str, matting: str) -> None:
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        found = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise InputError(f"image: found {found}, expected uint8 [H, W, 3]")
    if not 1 <= min(image.shape[:2]) <= max(image.shape[:2]) <= MAX_SIDE:
        raise InputError(f"image: found {image.shape[1]}x{image.shape[0]}, expected sides of 1 to {MAX_SIDE} pixels")
    if num_frames is not None and num_frames < 1:
        raise InputError(f"num_frames: found {num_frames}, expected one or more")
    if not np.isfinite(strength):
        raise InputError(f"strength: found {strength}, expected a finite number (0 is no motion, 1 the motion drawn)")
    if fill not in ("patch", "smooth", "none"):
        raise InputError(f"fill: found {fill!r}, expected patch, smooth or none")
    if matting not in ("refine", "feather"):
        raise InputError(f"matting: found {matting!r}, expected refine or feather")
