"""Moving a photograph along tracks, by geometry alone.

The picture is taken apart into the things that move (a layer with a region each: cut out, moved as one, put in front)
and the background (warped by moving least squares, its holes filled once from the rest of the photograph). No network:
the instant preview, and the baseline every model has to beat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, overload

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.methods.warp.field import (
    ONE_MAP,
    background_field,
    scale_of,
    similarities,
    upsample,
    whole_field,
)
from motionloom.methods.warp.fill import fill as fill_hole
from motionloom.methods.warp.fill import smooth_fill
from motionloom.methods.warp.matte import Matting, matte, object_colours
from motionloom.tracks.interpolate import complete

if TYPE_CHECKING:
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.tracks import Tracks

Fill = Literal["patch", "smooth", "none"]

STILL = 0.02
"""Pixels: less than this is no motion (cv2.remap itself resolves 1/32 pixel)."""
MIN_SCALE = 0.01
"""A thing shrunk to less than this share of its size is drawn at this share."""
MAX_SIDE = 16_000
"""cv2.remap addresses 32767 pixels, and the photograph may be continued beyond its rim."""
BEYOND = ((0.012, 0.02, 0.12), (0.04, 0.1, 0.35))
"""Blurs of the continued picture: (sigma, distance from the rim where it begins, where it is full) / short side."""
HOLE_MARGIN = 0.01
"""How far the hole reaches beyond the object, as a share of the short side: contact shadows, glow, soft edges."""


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
) -> _Scene:
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
    lifted = [background_moves or _extent(paths) > STILL for paths, _ in moves]
    alphas = [matte(image, region, matting=matting) for _, region, _ in things]
    plate, hole, colours = _peel(image, alphas, [region for _, region, _ in things], lifted, fill)
    sprites = [
        _Sprite(colours[k], alphas[k], *moves[k], rigid=things[k][2], size=size)
        for k in range(len(things))
        if any(lifted)
    ]
    return _Scene(image, plate, hole, field, sprites)


def _extent(paths: NDArray[np.float64]) -> float:
    return float(np.abs(paths - paths[0]).max())


def _peel(
    image: NDArray[np.uint8],
    alphas: list[NDArray[np.float32]],
    regions: list[NDArray[np.bool_]],
    lifted: list[bool],
    fill: Fill,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], list[NDArray[np.uint8]]]:
    """The picture without its moving things, where it had to be filled, and every thing's own colours.

    From the nearest thing to the farthest, so that one behind another is completed where the other covered it.
    """
    margin = max(2, round(HOLE_MARGIN * min(image.shape[:2])))
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * margin + 1, 2 * margin + 1))
    holes = [
        cv2.dilate(((alpha > 0.02) | region).astype(np.uint8), kernel).astype(bool) & moving
        for alpha, region, moving in zip(alphas, regions, lifted, strict=True)
    ]
    plate, hole = image, np.zeros(image.shape[:2], np.bool_)
    waiting = np.zeros_like(hole)
    colours: list[NDArray[np.uint8]] = []
    things = np.logical_or.reduce(holes) if holes else hole
    for k in reversed(range(len(alphas))):
        if (waiting & (holes[k] | regions[k])).any():
            plate, waiting = _fill_plate(plate, waiting, things & ~regions[k], fill), np.zeros_like(hole)
        colours.insert(0, object_colours(plate, alphas[k]))
        waiting = waiting | holes[k]
        hole = hole | holes[k]
    return _fill_plate(plate, waiting, things, fill), hole if fill != "none" else np.zeros_like(hole), colours


def _fill_plate(
    plate: NDArray[np.uint8], hole: NDArray[np.bool_], avoid: NDArray[np.bool_], fill: Fill
) -> NDArray[np.uint8]:
    if fill == "none" or not hole.any():
        return plate
    if fill == "patch":
        return fill_hole(plate, hole, avoid=avoid)
    return np.clip(np.rint(smooth_fill(plate.astype(np.float32), hole)), 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class _Scene:
    """A photograph in pieces: the background with its field, and the things in front of it."""

    image: NDArray[np.uint8]
    plate: NDArray[np.uint8]
    hole: NDArray[np.bool_]
    field: NDArray[np.float64]
    sprites: list[_Sprite]

    @property
    def num_frames(self) -> int:
        return len(self.field)

    def frames(self, with_mask: bool) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.bool_] | None]]:
        size = self.hole.shape
        pad = self._padding()
        wide = _continue_beyond(self.plate, pad)
        hidden = self.hole.astype(np.uint8) * 255
        unknown = cv2.copyMakeBorder(hidden, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(255,))
        columns, rows = np.meshgrid(
            np.arange(size[1], dtype=np.float32) + pad, np.arange(size[0], dtype=np.float32) + pad
        )
        scale = scale_of(self.field)
        for t in range(self.num_frames):
            moved = bool(np.abs(self.field[t]).max() > STILL)
            if not moved and not any(sprite.moved(t) for sprite in self.sprites):
                yield self.image, np.ones(size, np.bool_) if with_mask else None
                continue
            frame, mask = self.plate.copy(), ~self.hole if with_mask else None
            if moved:
                fine = upsample(self.field[t], size)
                from_x, from_y = fine[..., 0] + columns, fine[..., 1] + rows
                source = _prefilter(wide, scale[t])
                frame = cv2.remap(source, from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
                if with_mask:
                    mask = cv2.remap(unknown, from_x, from_y, cv2.INTER_LINEAR, borderValue=(255,)) < 128
            for sprite in self.sprites:
                sprite.put(frame, mask, t)
            yield frame, mask

    def _padding(self) -> int:
        """How far outside the photograph its pixels are asked for; at most once its own size."""
        beyond = float(np.abs(self.field).max()) + 2 if self.field.size else 0.0
        return int(min(np.ceil(beyond), max(self.hole.shape), (32_000 - max(self.hole.shape)) // 2))


class _Sprite:
    """A thing cut out of the photograph, and how it moves."""

    def __init__(
        self,
        colours: NDArray[np.uint8],
        alpha: NDArray[np.float32],
        paths: NDArray[np.float64],
        seen: NDArray[np.bool_],
        *,
        rigid: bool,
        size: tuple[int, int],
    ) -> None:
        self.turn, self.shift, error = similarities(paths)
        self.turn = np.where(np.abs(self.turn) < MIN_SCALE, MIN_SCALE, self.turn)
        self.still = np.abs(paths - paths[0]).reshape(len(paths), -1).max(axis=1) <= STILL
        self.field = None if rigid or error <= ONE_MAP else whole_field(paths, seen, size)
        # Where the photograph's rim cuts the thing off, it goes on straight outwards; else moving would show the cut.
        pad = int(min(np.ceil(_extent(paths)) + 2, *size))
        wide = cv2.copyMakeBorder(alpha, pad, pad, pad, pad, cv2.BORDER_REPLICATE)
        rows, columns = np.flatnonzero(wide.any(axis=1)), np.flatnonzero(wide.any(axis=0))
        top, bottom = max(0, rows[0] - 2), rows[-1] + 3
        left, right = max(0, columns[0] - 2), columns[-1] + 3
        own = cv2.copyMakeBorder(np.ones(alpha.shape, np.uint8), pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0,))
        self.alpha = np.ascontiguousarray(wide[top:bottom, left:right])
        self.known = np.ascontiguousarray(own[top:bottom, left:right])
        self.colours = np.ascontiguousarray(
            cv2.copyMakeBorder(colours, pad, pad, pad, pad, cv2.BORDER_REFLECT)[top:bottom, left:right]
        )
        self.corner = complex(left - pad, top - pad)

    def moved(self, t: int) -> bool:
        return not self.still[t]

    def put(self, frame: NDArray[np.uint8], mask: NDArray[np.bool_] | None, t: int) -> None:
        """Composite over ``frame`` [H, W, 3] in place; ``mask`` [H, W] becomes what is seen of the photograph there."""
        source = self._source(t, (frame.shape[0], frame.shape[1]))
        if source is None:
            return
        box, from_x, from_y, scale = source
        colours = _sample(_prefilter(self.colours, scale), from_x, from_y, cv2.INTER_CUBIC, cv2.BORDER_REPLICATE)
        alpha = _sample(_prefilter(self.alpha, scale), from_x, from_y, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
        below = frame[box].astype(np.float32)
        frame[box] = np.rint(below + alpha[..., None] * (colours - below)).astype(np.uint8)
        if mask is not None:
            own = _sample(self.known * np.float32(1), from_x, from_y, cv2.INTER_LINEAR, cv2.BORDER_CONSTANT)
            mask[box] = np.where(alpha > 0.5, own > 0.5, mask[box])

    def _source(
        self, t: int, size: tuple[int, int]
    ) -> tuple[tuple[slice, slice], NDArray[np.float32], NDArray[np.float32], float] | None:
        """The box of the frame that the thing can cover, and where in the cut-out its pixels come from."""
        height, width = self.alpha.shape
        if self.field is not None:
            fine = upsample(self.field[t], size)
            from_x = fine[..., 0] + np.arange(size[1], dtype=np.float32) - np.float32(self.corner.real)
            from_y = fine[..., 1] + np.arange(size[0], dtype=np.float32)[:, None] - np.float32(self.corner.imag)
            covered = (from_x > -1) & (from_x < width) & (from_y > -1) & (from_y < height)
            if not covered.any():
                return None
            rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
            box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
            scale = float(scale_of(self.field[t : t + 1])[0])
            return box, np.ascontiguousarray(from_x[box]), np.ascontiguousarray(from_y[box]), scale
        turn, shift = complex(self.turn[t]), complex(self.shift[t])
        corners = self.corner + np.array([0, width, 1j * height, width + 1j * height])
        moved = turn * corners + shift
        left, right = max(0, int(moved.real.min()) - 1), min(size[1], int(moved.real.max()) + 2)
        top, bottom = max(0, int(moved.imag.min()) - 1), min(size[0], int(moved.imag.max()) + 2)
        if left >= right or top >= bottom:
            return None
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        place = (x + 1j * y - shift) / turn - self.corner
        box = (slice(top, bottom), slice(left, right))
        return box, (place.real - 0.5).astype(np.float32), (place.imag - 0.5).astype(np.float32), 1.0 / abs(turn)


def _continue_beyond(image: NDArray[np.uint8], pad: int) -> NDArray[np.uint8]:
    """The photograph with ``pad`` pixels around it: its mirror image, out of focus further out.

    No black border and no seam; and a mirrored face, once blurred, is not taken for a second one.
    """
    wide = cv2.copyMakeBorder(image, pad, pad, pad, pad, cv2.BORDER_REFLECT)
    side = min(image.shape[:2])
    outside = np.ones(wide.shape[:2], np.uint8)
    outside[pad : pad + image.shape[0], pad : pad + image.shape[1]] = 0
    distance = cv2.distanceTransform(outside, cv2.DIST_L2, 5) / side
    for blur, near, far in BEYOND:
        if distance.max() <= near:
            break
        # A strong blur needs no more pixels than it leaves details.
        shrink = max(1, int(blur * side / 2))
        size = (-(-wide.shape[1] // shrink), -(-wide.shape[0] // shrink))
        small = cv2.GaussianBlur(cv2.resize(wide, size, interpolation=cv2.INTER_AREA), (0, 0), blur * side / shrink)
        soft = cv2.resize(small, (wide.shape[1], wide.shape[0]), interpolation=cv2.INTER_LINEAR)
        share = np.clip((distance - near) / (far - near), 0.0, 1.0)
        wide = cv2.blendLinear(wide, soft, 1.0 - share, share)
    return wide


def _sample(
    source: NDArray[Any], from_x: NDArray[np.float32], from_y: NDArray[np.float32], interpolation: int, border: int
) -> NDArray[np.float32]:
    return cv2.remap(source, from_x, from_y, interpolation, borderMode=border).astype(np.float32)


def _prefilter(source: NDArray[Any], scale: float) -> NDArray[Any]:
    """The source without what is too fine for the target when it shrinks by ``scale``; else moiré would shimmer."""
    if scale <= 1.05:
        return source
    return cv2.GaussianBlur(source, (0, 0), 0.5 * float(np.sqrt(scale * scale - 1.0)))


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
